package blob

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

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
