package member

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"omx/node/files"
)

// The files in a mesh's folder.
const (
	membershipFile = "membership"
	keyFile        = "key"
	holderFile     = "holder"
	knownFile      = "known"
)

// sealed is a file's content with a checksum over it: a signature says who wrote
// something, not that a disk has kept it.
type sealed struct {
	Sum  string          `json:"sha256"`
	Body json.RawMessage `json:"body"`
}

func writeSealed(dir, name string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	sum := sha256.Sum256(body)
	b, err := json.Marshal(sealed{Sum: hex.EncodeToString(sum[:]), Body: body})
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	if err := files.Write(filepath.Join(dir, name), 0o600, append(b, '\n')); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	return nil
}

// readSealed reports a file that is not there as fs.ErrNotExist.
func readSealed(dir, name string, v any) error {
	path := filepath.Join(dir, name)
	b, err := files.ReadBounded(path, maxFile)
	if err != nil {
		return err
	}
	var s sealed
	err = json.Unmarshal(b, &s)
	if err == nil {
		if sum := sha256.Sum256(s.Body); s.Sum != hex.EncodeToString(sum[:]) {
			err = errors.New("its checksum is wrong")
		} else {
			err = json.Unmarshal(s.Body, v)
		}
	}
	if err != nil {
		return fmt.Errorf("%s is damaged: %w; restore it from a backup", path, err)
	}
	return nil
}

// secret refuses a file that others can read.
func secret(path string) error {
	st, err := os.Stat(path)
	if err == nil && st.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%s: mode is %#o, others can read it; run chmod 600 on it", path, st.Mode().Perm())
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
