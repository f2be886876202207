package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
)

// File is a file of keys that may change while it is used. Poll is called by one
// goroutine, Ring by any.
type File struct {
	path string
	seen struct{ mtime, size int64 } // zeros: not there
	ring atomic.Pointer[Ring]
}

// Open reads the file. If it is not there, no keys are asked for until it comes.
func Open(path string) (*File, error) {
	f := &File{path: path}
	_, err := f.Poll()
	return f, err
}

// Ring is the keys as of now; nil: none are asked for.
func (f *File) Ring() *Ring { return f.ring.Load() }

// Poll reads the file if it has changed. A version that cannot be read leaves the
// one before it, and so does a file that goes: a door once locked stays locked.
// Each fault is told once.
func (f *File) Poll() (changed bool, err error) {
	seen := f.seen
	f.seen.mtime, f.seen.size = 0, 0
	st, err := os.Stat(f.path)
	if err == nil {
		f.seen.mtime, f.seen.size = st.ModTime().UnixNano(), st.Size()
	}
	switch {
	case seen == f.seen:
		return false, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("keys: %s is gone; the keys that it had are still asked for", f.path)
	case err != nil:
		return false, fmt.Errorf("keys: %w", err)
	}
	r, err := Read(f.path)
	if err != nil {
		return false, err
	}
	f.ring.Store(r)
	return true, nil
}
