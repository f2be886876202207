package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"syscall"
)

// Put stores what r gives. A blob that is there already is not read again. Want
// may be zero, if the digest is not known beforehand. Limit is the most bytes, 1
// to MaxBlob; 0 is MaxBlob. A context that ends stops it between two reads.
//
// Errors: ErrMismatch, ErrTooLarge, ErrNoSpace, the context's, or one of r or check;
// after any of them nothing is stored.
func (s *Store) Put(ctx context.Context, r io.Reader, want Digest, limit int64, check Check) (Ref, error) {
	ref, err := s.put(ctx, r, want, limit, check)
	if err != nil {
		return Ref{}, fmt.Errorf("put blob: %w", err)
	}
	return ref, nil
}

func (s *Store) put(ctx context.Context, r io.Reader, want Digest, limit int64, check Check) (Ref, error) {
	if ref, ok, err := s.already(want, check); ok || err != nil {
		return ref, err
	}
	f, err := s.temp()
	if err != nil {
		return Ref{}, err
	}
	defer f.Close()
	defer os.Remove(f.Name()) // in vain once it has its place
	w := s.sink(f, limit)
	if err := w.copy(ctx, r); err != nil {
		return Ref{}, err
	}
	return s.finish(w, want, check)
}

// already tells whether there is a blob, which its caller is about to want.
func (s *Store) already(want Digest, check Check) (Ref, bool, error) {
	if want.IsZero() {
		return Ref{}, false, nil
	}
	if has, err := s.Has(want); !has || err != nil {
		return Ref{}, false, err
	}
	n, err := s.stat(want)
	if err == nil && check != nil {
		err = check(s.blob(want))
	}
	return Ref{want, n}, err == nil, err
}

// finish publishes what a sink has taken, if it is what was wanted.
func (s *Store) finish(w *sink, want Digest, check Check) (Ref, error) {
	ref := Ref{w.digest(), w.n}
	if !want.IsZero() && ref.Digest != want {
		return Ref{}, fmt.Errorf("%w: its digest is %s, not %s", ErrMismatch, ref.Digest, want)
	}
	s.step("sync file")
	if err := w.f.Sync(); err != nil {
		return Ref{}, noSpace(err)
	}
	if check != nil {
		if err := check(w.f.Name()); err != nil {
			return Ref{}, err
		}
	}
	// A blob of that digest may be there, and may have rotted: these bytes are right.
	return ref, s.change(func() error {
		s.step("mark")
		if err := s.touch(ref.Digest); err != nil {
			return err
		}
		return s.place(w.f.Name(), s.blob(ref.Digest))
	})
}

// sink writes a file, hashes it, and stops at its bounds.
type sink struct {
	s       *Store
	f       *os.File
	h       hash.Hash
	n       int64 // bytes written
	limit   int64
	checked int64 // up to here there was room
}

func (s *Store) sink(f *os.File, limit int64) *sink {
	if limit <= 0 || limit > MaxBlob {
		limit = MaxBlob
	}
	return &sink{s: s, f: f, h: sha256.New(), limit: limit}
}

func (w *sink) digest() (d Digest) {
	w.h.Sum(d.sum[:0])
	return d
}

func (w *sink) Write(b []byte) (int, error) {
	if w.n+int64(len(b)) > w.limit {
		return 0, fmt.Errorf("%w: it has more than %d bytes", ErrTooLarge, w.limit)
	}
	if w.n+int64(len(b)) > w.checked {
		if err := w.s.room(w.s.every); err != nil {
			return 0, err
		}
		w.checked = w.n + w.s.every
	}
	if w.n == 0 {
		w.s.step("first bytes")
	}
	n, err := w.f.Write(b)
	w.h.Write(b[:n])
	w.n += int64(n)
	return n, noSpace(err)
}

// copy writes what r gives, until it ends.
func (w *sink) copy(ctx context.Context, r io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, reader{ctx, r}, make([]byte, bufferSize))
	return err
}

// room says ErrNoSpace if the disk cannot take n bytes and stay usable.
func (s *Store) room(n int64) error {
	free, err := s.free(s.dir)
	if err == nil && free-MinFree < n {
		err = fmt.Errorf("%w: %d bytes are free in %s, %d are needed and %d stay free; remove models or use another disk", ErrNoSpace, free, s.dir, n, MinFree)
	}
	return err
}

func noSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %v; remove models or use another disk", ErrNoSpace, err)
	}
	return err
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(b)
}
