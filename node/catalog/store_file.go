package catalog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"omx/node/files"
)

// Files of a store's folder.
const (
	dataFile  = "catalog.db"      // what buntdb saved
	sumFile   = "catalog.db.sum"  // its SHA-256 and length
	asideFile = "catalog.db.bad"  // the last one that was in doubt
	lockFile  = "catalog.db.lock" // who has the folder
)

const maxSumFile = 128 // 64 hex digits, a length, a line end

func makeStoreDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// readSaved returns what was saved, nothing for a new folder, or why it must
// not be used.
func readSaved(dir string) ([]byte, error) {
	sum, sumErr := files.ReadBounded(filepath.Join(dir, sumFile), maxSumFile)
	data, dataErr := files.ReadBounded(filepath.Join(dir, dataFile), maxStoredBytes)
	if errors.Is(sumErr, fs.ErrNotExist) && errors.Is(dataErr, fs.ErrNotExist) {
		return nil, nil
	}
	if err := errors.Join(sumErr, dataErr); err != nil {
		return nil, err
	}
	if string(sum) != sumLine(sha256.Sum256(data), len(data)) {
		return nil, errors.New("its checksum does not match")
	}
	return data, nil
}

func sumLine(sum [sha256.Size]byte, n int) string { return fmt.Sprintf("%x %d\n", sum, n) }

// putAside takes a doubtful file out of the way. One is kept for a look at it.
func putAside(dir string) error {
	err := os.Rename(filepath.Join(dir, dataFile), filepath.Join(dir, asideFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	rm := os.Remove(filepath.Join(dir, sumFile))
	if errors.Is(rm, fs.ErrNotExist) {
		rm = nil
	}
	return errors.Join(err, rm)
}

// writeSaved replaces both files. A crash in the middle leaves two that do not
// match, which is seen at the next start.
func writeSaved(dir string, save func(io.Writer) error) error {
	h := sha256.New()
	n := &counter{}
	err := files.Replace(filepath.Join(dir, dataFile), 0o600, func(w io.Writer) error {
		return save(io.MultiWriter(w, h, n))
	})
	if err != nil {
		return err
	}
	return files.Write(filepath.Join(dir, sumFile), 0o600, []byte(sumLine([sha256.Size]byte(h.Sum(nil)), n.n)))
}

type counter struct{ n int }

func (c *counter) Write(b []byte) (int, error) { c.n += len(b); return len(b), nil }

// ErrStoreLocked says that another process, or another Store, has the folder.
var ErrStoreLocked = errors.New("catalog store is in use")

func errStoreLocked(dir string) error { return fmt.Errorf("%w: %s", ErrStoreLocked, dir) }
