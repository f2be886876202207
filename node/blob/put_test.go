package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

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
