//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package catalog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockTries bounds how often a lock file that vanishes while it is being locked
// is tried again: each time, its owner has just closed.
const lockTries = 100

// storeLock is an flock on a file that is removed when the lock is given back.
// The kernel gives it back when the process dies.
type storeLock struct {
	f    *os.File
	path string
}

func lockStore(dir string) (*storeLock, error) {
	path := filepath.Join(dir, lockFile)
	for range lockTries {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, fmt.Errorf("%w: stop the other omx or give this one another folder", errStoreLocked(dir))
			}
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		// The owner before may have removed the file after we opened it; then
		// the lock is on a file that nobody else will find.
		held, err1 := f.Stat()
		named, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(held, named) {
			return &storeLock{f, path}, nil
		}
		f.Close()
	}
	return nil, fmt.Errorf("lock %s: the file keeps vanishing", path)
}

// release removes the file while it is still locked, so that whoever opened it
// before sees that it is gone.
func (l *storeLock) release() error { return errors.Join(os.Remove(l.path), l.f.Close()) }
