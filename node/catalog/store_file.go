package catalog

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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
	sum, sumErr := readBounded(filepath.Join(dir, sumFile), maxSumFile)
	data, dataErr := readBounded(filepath.Join(dir, dataFile), maxStoredBytes)
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

func readBounded(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(b) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return b, err
}

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
	err := replaceFile(filepath.Join(dir, dataFile), func(w io.Writer) error {
		return save(io.MultiWriter(w, h, n))
	})
	if err != nil {
		return err
	}
	err = replaceFile(filepath.Join(dir, sumFile), func(w io.Writer) error {
		_, err := io.WriteString(w, sumLine([sha256.Size]byte(h.Sum(nil)), n.n))
		return err
	})
	return errors.Join(err, syncDir(dir))
}

type counter struct{ n int }

func (c *counter) Write(b []byte) (int, error) { c.n += len(b); return len(b), nil }

// replaceFile writes a file beside path and puts it in its place once it is on
// disk.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	temp := path + ".tmp"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	err = write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp) // best effort: the next Save truncates it
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	// Some file systems cannot sync a folder; the checksum covers that case.
	d.Sync()
	return d.Close()
}

// ErrStoreLocked says that another process, or another Store, has the folder.
var ErrStoreLocked = errors.New("catalog store is in use")

func errStoreLocked(dir string) error { return fmt.Errorf("%w: %s", ErrStoreLocked, dir) }
