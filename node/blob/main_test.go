package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"omx/node/nodetest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
	}
	goleak.VerifyTestMain(m)
}

var ctx = context.Background()

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.backoff = time.Millisecond
	return s
}

var model = nodetest.Model

// noise is n bytes that are the same for the same seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

func digestOf(b []byte) Digest { return Digest{sha256.Sum256(b)} }

func put(t testing.TB, s *Store, b []byte) Ref {
	t.Helper()
	ref, err := s.Put(ctx, bytes.NewReader(b), digestOf(b), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// sound checks what must be true after anything: no manifest is damaged, each has
// its blob, and each blob has the bytes of its digest.
func sound(t testing.TB, s *Store) (models, blobs int) {
	t.Helper()
	l, err := s.Names()
	if err != nil || len(l.Damaged) > 0 {
		t.Fatalf("%v, damaged: %v", err, l.Damaged)
	}
	for _, m := range l.Models {
		if n, err := s.stat(m.Digest); err != nil || n != m.Bytes {
			t.Errorf("model %s: %d bytes, %v", m.Model, n, err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(s.dir, blobDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		d, ok := digestIn(e.Name(), blobPrefix)
		if !ok {
			t.Errorf("%s among the blobs", e.Name())
		} else if err := s.Verify(ctx, d); err != nil {
			t.Error(err)
		}
	}
	return len(l.Models), len(entries)
}

// partials are the files in partial/ that are no marks.
func partials(t testing.TB, s *Store) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.dir, partialDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, mark := digestIn(e.Name(), askedMark); !mark {
			names = append(names, e.Name())
		}
	}
	return names
}

// backdate makes files older.
func backdate(t testing.TB, age time.Duration, paths ...string) {
	t.Helper()
	at := time.Now().Add(-age)
	for _, p := range paths {
		if err := os.Chtimes(p, at, at); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}
