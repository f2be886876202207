//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package blob

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// openLocked opens a file and locks it, or says ErrBusy.
// Closing the file gives the lock back, and so does the end of the process.
func openLocked(path string, flag int) (*os.File, error) {
	for range lockGone {
		f, err := os.OpenFile(path, flag, 0o644)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, fmt.Errorf("%s %w", path, ErrBusy)
			}
			return nil, fmt.Errorf("lock %s: %w; put the store on a file system that has locks", path, err)
		}
		// Whoever had it locked before may have removed or moved the file after we
		// opened it; then we hold a lock that nobody else will meet.
		held, err1 := f.Stat()
		named, err2 := os.Lstat(path)
		if err1 == nil && err2 == nil && os.SameFile(held, named) {
			return f, nil
		}
		f.Close()
	}
	return nil, fmt.Errorf("lock %s: the file keeps vanishing", path)
}
