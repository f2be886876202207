package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Import stores a file of this machine. With link it becomes a second name of the
// same bytes (a hard link), which takes no room: the file may then be removed or
// moved, but not written to. Where that is not possible, and without link, it is
// copied, on file systems that can without taking room until one of the two changes.
//
// Errors: ErrMismatch if the file changes meanwhile, ErrTooLarge, ErrNoSpace, the
// context's, those of reading the file, and check's.
func (s *Store) Import(ctx context.Context, path string, link bool, check Check) (Ref, error) {
	ref, err := s.load(ctx, path, link, check)
	if err != nil {
		return Ref{}, fmt.Errorf("import %s: %w", path, err)
	}
	return ref, nil
}

func (s *Store) load(ctx context.Context, path string, link bool, check Check) (Ref, error) {
	path, err := filepath.EvalSymlinks(path) // a link to a link would be one
	if err != nil {
		return Ref{}, err
	}
	// Opening a pipe waits for its writer: look first.
	if st, err := os.Stat(path); err != nil {
		return Ref{}, err
	} else if !st.Mode().IsRegular() {
		return Ref{}, errors.New("it is no regular file")
	}
	from, err := os.Open(path)
	if err != nil {
		return Ref{}, err
	}
	defer from.Close()
	before, err := from.Stat()
	switch {
	case err != nil:
		return Ref{}, err
	case before.Size() > MaxBlob:
		return Ref{}, fmt.Errorf("%w: it has %d bytes, %d are possible", ErrTooLarge, before.Size(), int64(MaxBlob))
	}
	if link {
		ref, err := s.link(ctx, path, from, before, check)
		if !errors.Is(err, errNoLink) {
			return ref, err
		}
		if _, err := from.Seek(0, io.SeekStart); err != nil {
			return Ref{}, err
		}
	}
	return s.duplicate(ctx, from, before, check)
}

var errNoLink = errors.New("no hard link is possible")

// link adds a name to the file, without an intermediate one.
func (s *Store) link(ctx context.Context, path string, from *os.File, before fs.FileInfo, check Check) (Ref, error) {
	// Whether it can be done is tried first: hashing takes minutes.
	try := s.path(partialDir, tempPrefix+rand.Text())
	s.step("probe link")
	if err := os.Link(path, try); err != nil {
		return Ref{}, errNoLink
	}
	s.step("remove probe")
	if err := os.Remove(try); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Ref{}, err // but for a sweep that was faster
	}
	d, n, err := hashFile(ctx, from)
	if err != nil {
		return Ref{}, err
	}
	if check != nil {
		if err := check(path); err != nil {
			return Ref{}, err
		}
	}
	s.step("sync file")
	if err := from.Sync(); err != nil {
		return Ref{}, err
	}
	return Ref{d, n}, s.change(func() error {
		s.step("mark")
		if err := s.touch(d); err != nil {
			return err
		}
		if _, err := s.stat(d); err == nil {
			return nil // there already
		}
		s.step("link")
		if err := os.Link(path, s.blob(d)); err != nil {
			return err
		}
		// The path may lead to another file by now, or to other bytes of this one.
		after, err := os.Lstat(s.blob(d))
		if err == nil && (!os.SameFile(before, after) || unequal(before, after)) {
			err = errChanged
		}
		if err != nil {
			return errors.Join(err, os.Remove(s.blob(d)))
		}
		s.step("sync folder")
		return syncDir(filepath.Join(s.dir, blobDir))
	})
}

var errChanged = fmt.Errorf("%w: the file changes while it is read; try again when nobody writes it", ErrMismatch)

func unequal(a, b fs.FileInfo) bool { return a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime()) }

// duplicate makes the blob a file of its own.
func (s *Store) duplicate(ctx context.Context, from *os.File, before fs.FileInfo, check Check) (Ref, error) {
	f, err := s.temp()
	if err != nil {
		return Ref{}, err
	}
	defer f.Close()
	defer os.Remove(f.Name()) // in vain once it has its place
	w := s.sink(f, MaxBlob)
	s.step("clone")
	if clone(f, from) == nil {
		d, n, err := hashFile(ctx, f)
		if err != nil {
			return Ref{}, err
		}
		w.n = n
		return s.finish(w, d, check)
	}
	if err := s.room(before.Size()); err != nil {
		return Ref{}, err
	}
	if err := w.copy(ctx, from); err != nil {
		return Ref{}, err
	}
	after, err := from.Stat()
	if err == nil && (w.n != before.Size() || unequal(before, after)) {
		err = errChanged
	}
	if err != nil {
		return Ref{}, err
	}
	return s.finish(w, Digest{}, check)
}
