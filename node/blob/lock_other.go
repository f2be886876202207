//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package blob

import (
	"errors"
	"os"
)

// Without locks that end with their process, a crash would leave a store that
// nobody may change, or one that two change at once.
func openLocked(string, int) (*os.File, error) {
	return nil, errors.New("the store of models needs flock, which this system lacks; name model files in the configuration instead")
}
