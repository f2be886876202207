//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// storeLock is a file that exists as long as the store is open. Without flock
// a process that dies leaves it behind.
type storeLock struct{ path string }

func lockStore(dir string) (*storeLock, error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w: stop the other omx, or remove %s if none runs", errStoreLocked(dir), path)
	} else if err != nil {
		return nil, err
	}
	return &storeLock{path}, f.Close()
}

func (l *storeLock) release() error { return os.Remove(l.path) }
