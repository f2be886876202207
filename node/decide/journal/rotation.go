package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// rotation is the files of a folder. Only one goroutine uses it.
type rotation struct {
	dir    string
	config Config
	kept   []uint64 // numbers of files, oldest first
	file   *os.File // nil before the first block
	size   int64
	later  bool // a file of this run is there
}

func newRotation(dir string, c Config) (rotation, error) {
	r := rotation{dir: dir, config: c}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = os.Chmod(dir, 0o700)
	}
	if err == nil {
		r.kept, err = files(dir)
	}
	return r, err
}

// write appends a block, to another file if it does not fit.
func (r *rotation) write(block []byte) error {
	if r.file != nil && r.size+int64(len(block)) > r.config.MaxFileBytes {
		if err := r.close(); err != nil {
			return fmt.Errorf("close decision journal: %w", err)
		}
	}
	if r.file == nil {
		if err := r.begin(); err != nil {
			return fmt.Errorf("begin decision journal: %w", err)
		}
	}
	n, err := r.file.WriteAt(block, r.size)
	if err != nil {
		// What is half written must not be taken for a block.
		if n > 0 {
			err = errors.Join(err, r.file.Truncate(r.size))
		}
		return fmt.Errorf("write decision journal: %w", err)
	}
	r.size += int64(n)
	return nil
}

// begin makes the next file, and room for it among those that are kept.
func (r *rotation) begin() error {
	seq := uint64(1)
	if n := len(r.kept); n > 0 {
		seq = r.kept[n-1] + 1
	}
	for len(r.kept) >= r.config.MaxFiles {
		err := os.Remove(filepath.Join(r.dir, fileName(r.kept[0])))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		r.kept = r.kept[1:]
	}
	path := filepath.Join(r.dir, fileName(seq))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	var head [fileHead]byte
	putFileHead(head[:], r.config.Version, !r.later)
	if _, err := f.Write(head[:]); err != nil {
		return errors.Join(err, f.Close(), os.Remove(path))
	}
	r.file, r.size, r.later = f, fileHead, true
	r.kept = append(r.kept, seq)
	return nil
}

func (r *rotation) close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}
