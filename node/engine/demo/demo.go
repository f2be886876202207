package demo

import (
	"crypto/sha256"
	_ "embed" // the model
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ID is the model's name for clients.
const ID = "omx-demo"

const fileName = "omx-demo-q8_0.gguf"

//go:embed omx-demo-q8_0.gguf
var model []byte

// Write puts the model into dir, which is made if need be, and returns its path.
// A file that is already the model is left alone; any other is replaced in one
// step.
func Write(dir string) (string, error) {
	path := filepath.Join(dir, fileName)
	if same(path) {
		return path, nil
	}
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("write demonstration model: %w; choose a folder that can be written to", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(err)
	}
	f, err := os.CreateTemp(dir, ".omx-demo-")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(model)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fail(err)
	}
	return path, nil
}

func same(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, int64(len(model))+1))
	return err == nil && n == int64(len(model)) && [sha256.Size]byte(h.Sum(nil)) == sha256.Sum256(model)
}
