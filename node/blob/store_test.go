package blob

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A store that cannot be made is said so.
func TestOpenFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
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
