package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// everything is all that a folder holds, with modes and times.
func everything(t testing.TB, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		st, serr := os.Lstat(path)
		if err = errors.Join(err, serr); err == nil {
			list = append(list, fmt.Sprint(path, st.Mode(), st.Size(), st.ModTime()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Look finds what is broken, one of each kind, while a change holds the lock, and
// leaves the folder as it was.
func TestLook(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "models")
	if _, err := Look(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	s := open(t, dir)
	for i, name := range []string{"good", "same", "gone", "short", "damaged", "bare"} {
		ref := put(t, s, noise(uint64(max(i, 1)), 1000))
		m := Manifest{Model: model(t, name), Digest: ref.Digest}
		if name == "bare" {
			m.Adapters = []Digest{put(t, s, noise(99, 10)).Digest}
		}
		if err := s.Set(m, false); err != nil {
			t.Fatal(err)
		}
	}
	blobOf := func(seed uint64, n int) string { return s.blob(digestOf(noise(seed, n))) }
	manifest, err := s.manifest(model(t, "damaged"))
	if err != nil {
		t.Fatal(err)
	}
	srv := serve(t, cut(good(noise(7, 2<<20), `"a"`), 1<<20), http.NotFound)
	s.every = 1 << 10
	if _, err := s.Pull(t.Context(), Source{URL: srv.URL}, PullOptions{}); err == nil {
		t.Fatal("a download that is cut off came to its end")
	}
	err = errors.Join(os.Remove(blobOf(2, 1000)), os.Truncate(blobOf(3, 1000), 999), os.Truncate(manifest, 20), os.Remove(blobOf(99, 10)),
		os.WriteFile(s.path(manifestDir, "note.txt"), nil, 0o600), os.WriteFile(s.path(manifestDir, "x.json"), nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}

	before := everything(t, dir)
	var r Report
	if err := s.change(func() (err error) { r, err = Look(dir); return err }); err != nil {
		t.Fatal(err)
	}
	if after := everything(t, dir); !slices.Equal(before, after) {
		t.Errorf("before %q, after %q", before, after)
	}
	if r.Models != 2 || r.Bytes != 1000 {
		t.Errorf("%d models of %d bytes, want the two that share 1000", r.Models, r.Bytes)
	}
	want := map[string]error{"gone": ErrNotFound, "short": ErrMismatch, "damaged": ErrDamaged, "bare": ErrNotFound, "": ErrDamaged}
	for _, f := range r.Faults {
		name := ""
		if !f.Model.IsZero() {
			name = f.Model.String()
		}
		if !errors.Is(f.Err, want[name]) {
			t.Errorf("%q: %v, want %v", name, f.Err, want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
	if len(r.Unfinished) != 1 || r.Unfinished[0].Have < 1<<20-1<<10 || r.Unfinished[0].Total != 2<<20 || time.Since(r.Unfinished[0].At) > time.Minute {
		t.Errorf("%+v", r.Unfinished)
	}
}
