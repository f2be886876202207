package blob

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	dir := t.TempDir()
	s, other := open(t, dir), open(t, dir) // as the node and the command line are
	a, b := put(t, s, noise(1, 1000)), put(t, s, noise(2, 2000))
	small, large := model(t, "hf.co/Some/Model_x:Q4_K_M"), model(t, "llama3.2:3b")
	params := json.RawMessage(`{"system":"<be brief & kind>","stop":["</s>"]}`)
	m := Manifest{Model: small, Digest: a.Digest, Source: `https://host/a "b"`, Params: params}
	for n, c := range []struct {
		do     func() error
		err    error
		models string
	}{
		{func() error { return nil }, nil, ""},
		{func() error { return other.Set(m, false) }, nil, "1000"},
		{func() error { return s.Set(m, false) }, ErrExists, "1000"},
		{func() error { return s.Set(Manifest{Model: large, Digest: b.Digest, Bytes: 1}, false) }, ErrMismatch, "1000"},
		{func() error { return s.Set(Manifest{Model: large, Digest: digestOf(nil)}, false) }, ErrNotFound, "1000"},
		{func() error { return s.Set(Manifest{Model: large}, false) }, ErrBadName, "1000"},
		{func() error { return s.Set(Manifest{Digest: b.Digest}, false) }, ErrBadName, "1000"},
		{func() error { return other.Set(Manifest{Model: large, Digest: b.Digest, Bytes: 2000}, false) }, nil, "1000 2000"},
		{func() error { return s.Copy(small, large, false) }, ErrExists, "1000 2000"},
		{func() error { return other.Copy(small, large, true) }, nil, "1000 1000"},
		{func() error { return s.Copy(model(t, "none"), large, true) }, ErrNotFound, "1000 1000"},
		{func() error { return s.Copy(large, large, false) }, nil, "1000 1000"},
		{func() error { _, err := other.Remove(small); return err }, nil, "1000"},
		{func() error { _, err := s.Remove(small); return err }, ErrNotFound, "1000"},
	} {
		before, err := s.Names()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.do(); !errors.Is(err, c.err) {
			t.Errorf("step %d: %v, want %v", n, err, c.err)
		}
		l, err := s.Names()
		if err != nil || len(l.Damaged) > 0 {
			t.Fatal(err, l.Damaged)
		}
		var sizes []string
		for _, m := range l.Models {
			sizes = append(sizes, fmt.Sprint(m.Bytes))
		}
		if got := strings.Join(sizes, " "); got != c.models {
			t.Errorf("step %d: %s, want %s", n, got, c.models)
		}
		if changed := c.err == nil && n > 0 && n != 11; (l.Generation != before.Generation) != changed {
			t.Errorf("step %d: generation %d after %d", n, l.Generation, before.Generation)
		}
	}
	got, err := open(t, dir).Get(large)
	if err != nil || got.Source != m.Source || string(got.Params) != string(params) || got.Digest != a.Digest || time.Since(got.Added) > time.Minute {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s.Get(small); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	// A folder at rest is looked at, not read: here is what would be found.
	backdate(t, time.Hour, filepath.Join(dir, manifestDir))
	if _, err := s.Names(); err != nil {
		t.Fatal(err)
	}
	path, _ := s.manifest(large)
	if err := os.WriteFile(path, []byte("rot"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := s.Names(); err != nil || len(l.Models) != 1 {
		t.Error(l, err)
	}
	for path, want := range map[string]os.FileMode{path: 0o600, s.blob(a.Digest): 0o644} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm()&^want != 0 {
			t.Errorf("%s: %v, %v", path, st.Mode(), err)
		}
	}
}

// Two changes within one tick of the file system's clock are both seen.
func TestNamesWithinATick(t *testing.T) {
	s := open(t, t.TempDir())
	ref := put(t, s, noise(1, 10))
	dir := filepath.Join(s.dir, manifestDir)
	now := time.Now()
	for n := 1; n <= 3; n++ {
		if err := s.Set(Manifest{Model: model(t, fmt.Sprint("m", n)), Digest: ref.Digest}, false); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir, now, now); err != nil {
			t.Fatal(err)
		}
		if l, err := s.Names(); err != nil || len(l.Models) != n {
			t.Errorf("%d models of %d, %v", len(l.Models), n, err)
		}
	}
}

// Each way to cut or change a manifest is noticed, and the others stay.
func TestDamage(t *testing.T) {
	s := open(t, t.TempDir())
	ref := put(t, s, noise(1, 100))
	good, bad := model(t, "good"), model(t, "bad:1")
	for _, id := range []string{"good", "bad:1"} {
		if err := s.Set(Manifest{Model: model(t, id), Digest: ref.Digest}, false); err != nil {
			t.Fatal(err)
		}
	}
	path, _ := s.manifest(bad)
	other, _ := s.manifest(good)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	theirs, _ := os.ReadFile(other)
	torn := [][]byte{theirs, bytes.Repeat([]byte{0}, len(whole)), make([]byte, maxManifest+1), []byte("null"), []byte("{}")}
	for n := range len(whole) - 1 { // the last byte is the line's end
		torn = append(torn, whole[:n], append(append(bytes.Clone(whole[:n]), whole[n]^1), whole[n+1:]...))
	}
	for n, b := range torn {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := s.Names()
		if err != nil || len(l.Damaged) != 1 || len(l.Models) != 1 || l.Models[0].Model != good {
			t.Fatalf("%d: %q: %v, %v", n, b[:min(len(b), 300)], l, err)
		}
		if _, err := s.Get(bad); err == nil || n != 2 && !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d: %v", n, err)
		}
	}
	if _, err := s.GC(0); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	backdate(t, time.Hour, s.blob(ref.Digest), s.mark(ref.Digest))
	if freed, err := s.Remove(good); err != nil || freed != 0 {
		t.Errorf("freed %d, which the damaged one may need: %v", freed, err)
	}
	if _, err := s.Remove(bad); err != nil {
		t.Error(err)
	}
	if w, err := s.GC(0); err != nil || w.Blobs != 1 || w.Bytes != 100 {
		t.Error(w, err)
	}
	t.Logf("%d damaged versions of a manifest, none trusted", len(torn))
}
