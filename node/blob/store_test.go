package blob

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var ctx = context.Background()

func TestPut(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "models"))
	b := noise(1, 3<<20+17)
	want := digestOf(b)
	if has, err := s.Has(want); has || err != nil {
		t.Fatal(has, err)
	}
	if _, err := s.Path(want); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if _, err := s.Open(want); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	checked := 0
	check := func(path string) error {
		checked++
		got, err := os.ReadFile(path)
		if !bytes.Equal(got, b) {
			return fmt.Errorf("%d bytes, %v", len(got), err)
		}
		return nil
	}
	for range 2 { // the second time without reading
		ref, err := s.Put(ctx, iotest.OneByteReader(bytes.NewReader(b[:1<<10])), Digest{}, 0, nil)
		if err != nil || ref != (Ref{digestOf(b[:1<<10]), 1 << 10}) {
			t.Errorf("%v, %v", ref, err)
		}
		ref, err = s.Put(ctx, bytes.NewReader(b), want, int64(len(b)), check)
		if err != nil || ref != (Ref{want, int64(len(b))}) {
			t.Fatalf("%v, %v", ref, err)
		}
	}
	if ref, err := s.Put(ctx, iotest.ErrReader(io.ErrClosedPipe), want, 0, check); err != nil || ref.Digest != want {
		t.Errorf("a blob that is there was read again: %v", err)
	}
	if has, err := s.Has(want); !has || err != nil || checked != 3 {
		t.Error(has, err, checked)
	}
	f, err := s.Open(want)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, b) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if models, blobs := sound(t, s); models != 0 || blobs != 2 || len(partials(t, s)) != 0 {
		t.Error(models, blobs, partials(t, s))
	}
}

// Whatever goes wrong, nothing is stored and nothing is left.
func TestPutRefuses(t *testing.T) {
	s := open(t, t.TempDir())
	b := noise(2, 3<<20)
	refused := errors.New("no model")
	ended, end := context.WithCancel(ctx)
	end()
	free := s.free
	for name, c := range map[string]struct {
		ctx   context.Context
		r     io.Reader
		want  Digest
		limit int64
		check Check
		free  func(string) (int64, error)
		err   error
	}{
		"digest":    {r: bytes.NewReader(b[1:]), want: digestOf(b), err: ErrMismatch},
		"limit":     {r: bytes.NewReader(b), limit: int64(len(b)) - 1, err: ErrTooLarge},
		"reader":    {r: io.MultiReader(bytes.NewReader(b), iotest.ErrReader(io.ErrUnexpectedEOF)), err: io.ErrUnexpectedEOF},
		"check":     {r: bytes.NewReader(b), check: func(string) error { return refused }, err: refused},
		"cancelled": {ctx: ended, r: bytes.NewReader(b), err: context.Canceled},
		"full":      {r: bytes.NewReader(b), free: func(string) (int64, error) { return MinFree, nil }, err: ErrNoSpace},
		"filling up": {r: io.MultiReader(bytes.NewReader(b), bytes.NewReader(b)), err: ErrNoSpace, free: func() func(string) (int64, error) {
			left := int64(MinFree + 2<<20)
			return func(string) (int64, error) { left -= 1 << 20; return left, nil }
		}()},
	} {
		t.Run(name, func(t *testing.T) {
			s.free, s.every = free, 1<<20
			if c.free != nil {
				s.free = c.free
			}
			if c.ctx == nil {
				c.ctx = ctx
			}
			if _, err := s.Put(c.ctx, c.r, c.want, c.limit, c.check); !errors.Is(err, c.err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %v", err, c.err)
			}
			if _, blobs := sound(t, s); blobs != 0 || len(partials(t, s)) != 0 {
				t.Error(blobs, partials(t, s))
			}
		})
	}
}

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

func TestGC(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	named, put1, asked, old := put(t, s, noise(1, 10)), put(t, s, noise(2, 20)), put(t, s, noise(3, 30)), put(t, s, noise(4, 40))
	if err := s.Set(Manifest{Model: model(t, "m"), Digest: named.Digest}, false); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Ref{named, asked, old} {
		backdate(t, time.Hour, s.blob(r.Digest), s.mark(r.Digest))
	}
	if has, err := s.Has(asked.Digest); !has || err != nil {
		t.Fatal(has, err)
	}
	foreign := filepath.Join(dir, blobDir, "notes.txt")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	backdate(t, time.Hour, foreign)
	// An upload that lives, in another process as far as locks can tell, and one that died.
	live, err := open(t, dir).temp()
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	dead := s.path(partialDir, tempPrefix+"DEAD")
	pull := s.path(partialDir, pullPrefix+"abc")
	stale := s.path(partialDir, pullPrefix+"def")
	for _, p := range []string{dead, pull, stale, stale + stateSuffix} {
		if err := os.WriteFile(p, make([]byte, 5), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	backdate(t, 2*partialAge, stale, stale+stateSuffix, live.Name())
	if w, err := s.GC(2 * time.Hour); err != nil || w.Blobs != 0 || w.Partials != 2 || w.Bytes != 10 {
		t.Errorf("%+v, %v", w, err)
	}
	if w, err := s.GC(0); err != nil || w != (Swept{Blobs: 1, Bytes: 40}) {
		t.Errorf("%+v, %v", w, err)
	}
	for d, want := range map[Digest]bool{named.Digest: true, put1.Digest: true, asked.Digest: true, old.Digest: false} {
		if _, err := s.stat(d); (err == nil) != want {
			t.Errorf("%s: %v", d, err)
		}
	}
	for p, want := range map[string]bool{live.Name(): true, pull: true, stale: false, dead: false, foreign: true} {
		if _, err := os.Stat(p); (err == nil) != want {
			t.Errorf("%s: %v", p, err)
		}
	}
	// Removing the last name frees at once, but not what someone is about to name.
	os.Remove(foreign)
	if freed, err := s.Remove(model(t, "m")); err != nil || freed != 10 {
		t.Error(freed, err)
	}
	if err := s.Set(Manifest{Model: model(t, "n"), Digest: asked.Digest}, false); err != nil {
		t.Fatal(err)
	}
	if has, err := s.Has(asked.Digest); !has || err != nil {
		t.Fatal(has, err)
	}
	if freed, err := s.Remove(model(t, "n")); err != nil || freed != 0 {
		t.Error(freed, err)
	}
	sound(t, s)
}

func TestVerify(t *testing.T) {
	s := open(t, t.TempDir())
	ref := put(t, s, noise(1, 1<<20))
	if err := s.Verify(ctx, ref.Digest); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(s.blob(ref.Digest), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{1, 2, 3}, 1000); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(ctx, ref.Digest); !errors.Is(err, ErrMismatch) {
		t.Error(err)
	}
	if err := s.Verify(ctx, digestOf(nil)); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := os.Remove(s.blob(ref.Digest)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.blob(ref.Digest), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(ref.Digest); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

func TestImport(t *testing.T) {
	dir := t.TempDir()
	b := noise(1, 2<<20)
	file, link, pipe := filepath.Join(dir, "a.gguf"), filepath.Join(dir, "l.gguf"), filepath.Join(dir, "d")
	if err := errors.Join(os.WriteFile(file, b, 0o400), os.Symlink(file, link), os.Mkdir(pipe, 0o700)); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-100 * time.Hour).Truncate(time.Second)
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(file)
	for _, linked := range []bool{true, false} {
		for _, path := range []string{file, link} {
			s := open(t, filepath.Join(dir, fmt.Sprint(linked, filepath.Base(path))))
			var saw string
			for range 2 {
				ref, err := s.Import(ctx, path, linked, func(p string) error { saw = p; return nil })
				if err != nil || ref != (Ref{digestOf(b), 2 << 20}) || saw == "" {
					t.Fatalf("%v, %v, checked %q", ref, err, saw)
				}
			}
			after, err := os.Lstat(s.blob(digestOf(b)))
			if err != nil || !after.Mode().IsRegular() || os.SameFile(before, after) != linked {
				t.Errorf("linked %v: %v, %v", linked, after, err)
			}
			// However old the file is, it was imported now.
			if w, err := s.GC(0); err != nil || w.Blobs != 0 {
				t.Error(w, err)
			}
			if _, blobs := sound(t, s); blobs != 1 || len(partials(t, s)) != 0 {
				t.Error(blobs, partials(t, s))
			}
		}
	}
	if after, _ := os.Stat(file); !after.ModTime().Equal(before.ModTime()) || after.Mode() != before.Mode() {
		t.Errorf("the file was changed: %v", after)
	}
	s := open(t, filepath.Join(dir, "s"))
	refused := errors.New("no model")
	ended, end := context.WithCancel(ctx)
	end()
	for _, linked := range []bool{true, false} {
		grow := func(string) error {
			return errors.Join(os.Chmod(file, 0o600), os.WriteFile(file, b[:len(b)-1], 0o600))
		}
		for _, c := range []struct {
			ctx   context.Context
			path  string
			check Check
			err   error
		}{
			{ctx, filepath.Join(dir, "none"), nil, os.ErrNotExist},
			{ctx, pipe, nil, nil},
			{ctx, "/dev/zero", nil, nil},
			{ended, file, nil, context.Canceled},
			{ctx, file, func(string) error { return refused }, refused},
			{ctx, file, grow, ErrMismatch},
		} {
			if c.err == ErrMismatch && !linked {
				continue // a copy no longer minds what becomes of the file
			}
			if _, err := s.Import(c.ctx, c.path, linked, c.check); err == nil || c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("linked %v, %s: %v, want %v", linked, c.path, err, c.err)
			}
			if _, blobs := sound(t, s); blobs != 0 || len(partials(t, s)) != 0 {
				t.Fatal(blobs, partials(t, s))
			}
		}
	}
	s.free = func(string) (int64, error) { return MinFree, nil }
	if _, err := s.Import(ctx, file, false, nil); !errors.Is(err, ErrNoSpace) {
		t.Error(err)
	}
}

// Another file system has no hard links to this one's files.
func TestImportAcross(t *testing.T) {
	far, err := os.MkdirTemp("/dev/shm", "blob")
	if err != nil {
		t.Skip("no second file system: ", err)
	}
	defer os.RemoveAll(far)
	file := filepath.Join(far, "a.gguf")
	b := noise(1, 100_000)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, t.TempDir())
	if ref, err := s.Import(ctx, file, true, nil); err != nil || ref.Digest != digestOf(b) {
		t.Fatal(ref, err)
	}
	sound(t, s)
}

// One who holds the lock for long stops the others for a while, not for ever; and a
// store that cannot be made is said so.
func TestOpenFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Error(err)
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

// A lock is on the file that others find, though it is removed all the time.
func TestLockOfVanishing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	stop := make(chan bool)
	done := make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
				if _, err := reap(path); err != nil {
					done <- err
					return
				}
			}
		}
	}()
	for range 20_000 {
		f, err := openLocked(path, os.O_RDWR|os.O_CREATE)
		if errors.Is(err, ErrBusy) {
			continue
		} else if err != nil {
			t.Error(err)
			break
		}
		held, err := f.Stat()
		named, err2 := os.Lstat(path)
		f.Close()
		if err != nil || err2 != nil || !os.SameFile(held, named) {
			t.Errorf("locked what nobody finds: %v, %v", err, err2)
			break
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Adapters stay as long as a name needs them.
func TestAdaptersAreKept(t *testing.T) {
	s := open(t, t.TempDir())
	file, adapter, other := put(t, s, noise(1, 99)).Digest, put(t, s, noise(2, 99)).Digest, put(t, s, noise(3, 99)).Digest
	if err := s.Set(Manifest{Model: model(t, "m"), Digest: file, Adapters: []Digest{adapter}}, false); err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]Digest{{digestOf(nil)}, {{}}, make([]Digest, MaxAdapters+1)} {
		if err := s.Set(Manifest{Model: model(t, "m"), Digest: file, Adapters: bad}, true); err == nil {
			t.Errorf("adapters %v were taken", bad)
		}
	}
	backdate(t, 2*MinAge, s.mark(adapter), s.mark(other), s.blob(adapter), s.blob(other))
	if w, err := s.GC(MinAge); err != nil || w.Blobs != 1 {
		t.Errorf("swept %+v, %v", w, err)
	}
	if has, err := s.Has(adapter); !has || err != nil {
		t.Error("the adapter went", err)
	}
	if l, err := s.Names(); err != nil || len(l.Models) != 1 || len(l.Models[0].Adapters) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
}
