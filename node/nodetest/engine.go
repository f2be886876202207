package nodetest

import (
	"os"
	"path/filepath"
	"testing"
)

// EngineDirs are the folders that engine libraries are taken from: that of
// OMX_ENGINE_DIR, then where make engine puts them. The test ends if there is none;
// what lies in them is not looked at.
func EngineDirs(t testing.TB) (dirs []string) {
	t.Helper()
	root, err := os.Getwd() // of a test: its package's folder
	if err != nil {
		t.Fatal(err)
	}
	for !isFile(filepath.Join(root, "go.mod")) && root != filepath.Dir(root) {
		root = filepath.Dir(root)
	}
	for _, dir := range []string{os.Getenv("OMX_ENGINE_DIR"), filepath.Join(root, ".cache", "engine")} {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		t.Fatal("the engine libraries are not installed; run: make engine")
	}
	return dirs
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}
