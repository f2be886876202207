// Package files reads files of bounded length and replaces files whole.
package files

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// TempSuffix ends the name of what Replace has not put in its place yet: a crash
// may leave such a file behind.
const TempSuffix = ".tmp"

// ReadBounded reads a file of at most so many bytes, which may grow while it is
// read.
func ReadBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s has more than the %d bytes that are allowed", path, most)
	}
	return b, err
}

// Replace writes a file so that after a crash there is the old one or the new
// one, whole. Two of them on the same path must not run at once.
func Replace(path string, perm os.FileMode, write func(io.Writer) error) (err error) {
	temp := path + TempSuffix
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp) // best effort: the next Replace truncates it
		}
	}()
	w := bufio.NewWriter(f)
	err = write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// Write is Replace with what is in memory.
func Write(path string, perm os.FileMode, b []byte) error {
	return Replace(path, perm, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	d.Sync() // some file systems cannot sync a folder: who must know has a checksum in the file
	return d.Close()
}
