package blob

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A lock is on the file that others find, though it is removed all the time.
func TestLockOfVanishing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	stop := make(chan bool)
	done := make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
				if _, err := reap(path); err != nil {
					done <- err
					return
				}
			}
		}
	}()
	for range 20_000 {
		f, err := openLocked(path, os.O_RDWR|os.O_CREATE)
		if errors.Is(err, ErrBusy) {
			continue
		} else if err != nil {
			t.Error(err)
			break
		}
		held, err := f.Stat()
		named, err2 := os.Lstat(path)
		f.Close()
		if err != nil || err2 != nil || !os.SameFile(held, named) {
			t.Errorf("locked what nobody finds: %v, %v", err, err2)
			break
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
