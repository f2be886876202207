package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Swept is what GC removed.
type Swept struct {
	Blobs    int   // that no name pointed at
	Partials int   // what was left of uploads, imports and downloads
	Bytes    int64 // of both
}

// GC removes the blobs that no name points at and that nobody has put or asked for
// for so long, at least MinAge; and what is left of uploads and imports that died,
// and of downloads that nobody has continued for a week. What is being written, by
// whichever process, stays. While a manifest is damaged no blob is removed, and
// ErrDamaged says which.
func (s *Store) GC(age time.Duration) (w Swept, err error) {
	err = s.change(func() error {
		if err := s.sweep(&w); err != nil {
			return err
		}
		used, err := s.used()
		if err != nil {
			return err
		}
		return s.collect(used, max(age, MinAge), &w)
	})
	if err != nil {
		err = fmt.Errorf("remove unused blobs: %w", err)
	}
	return w, err
}

// collect removes blobs; the lock is held.
func (s *Store) collect(used map[Digest]bool, age time.Duration, w *Swept) error {
	entries, err := readDir(filepath.Join(s.dir, blobDir), maxFiles)
	if err != nil {
		return err
	}
	for _, e := range entries {
		d, ok := digestIn(e.Name(), blobPrefix)
		if !ok || used[d] {
			continue // what is named otherwise is not ours
		}
		st, err := e.Info()
		if err != nil || !st.Mode().IsRegular() || time.Since(st.ModTime()) < age {
			continue
		}
		if mark, err := os.Lstat(s.mark(d)); err == nil && time.Since(mark.ModTime()) < age {
			continue // a linked file may be old, and put just now
		}
		n, err := s.drop(d)
		if err != nil {
			return err
		}
		os.Remove(s.mark(d)) // else it is swept as a mark without a blob
		w.Blobs, w.Bytes = w.Blobs+1, w.Bytes+n
	}
	return nil
}

// sweep removes from partial/ what nobody will finish; the lock is held.
func (s *Store) sweep(w *Swept) error {
	dir := filepath.Join(s.dir, partialDir)
	entries, err := readDir(dir, maxFiles)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path, old := filepath.Join(dir, e.Name()), false
		if st, err := e.Info(); err != nil {
			continue // gone since
		} else {
			old = time.Since(st.ModTime()) > partialAge
		}
		switch name := e.Name(); {
		case strings.HasPrefix(name, askedMark):
			d, _ := digestIn(name, askedMark)
			if _, err := s.stat(d); errors.Is(err, ErrNotFound) || old {
				os.Remove(path)
			}
		case strings.HasPrefix(name, pullPrefix) && strings.HasSuffix(name, stateSuffix):
			_, err := os.Lstat(strings.TrimSuffix(path, stateSuffix))
			if old && errors.Is(err, fs.ErrNotExist) {
				os.Remove(path)
			}
		case strings.HasPrefix(name, pullPrefix) && old, strings.HasPrefix(name, tempPrefix):
			n, err := reap(path)
			if err != nil {
				return err
			}
			if n >= 0 {
				w.Partials, w.Bytes = w.Partials+1, w.Bytes+n
			}
		}
	}
	return nil
}

// reap removes a file that nobody is writing, and says how many bytes it had; -1 if
// it stays.
func reap(path string) (int64, error) {
	f, err := openLocked(path, os.O_RDONLY)
	if errors.Is(err, ErrBusy) || errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	} else if err != nil {
		return -1, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return -1, err
	}
	if err := os.Remove(path); err != nil {
		return -1, err
	}
	return st.Size(), nil
}

// digestIn reads the digest in the name of a blob or a mark.
func digestIn(name, prefix string) (Digest, bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	d, err := ParseDigest(digits)
	return d, ok && err == nil && d.Hex() == digits
}
