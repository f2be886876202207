package wasm

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"omx/policies/abi"
)

func cached(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	decide := func() {
		t.Helper()
		i, err := newHost(t, Config{CacheDir: dir}).Load(t.Context(), "nearest", builtin(t, "nearest"), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := i.try(abi.Route, 8); err != nil {
			t.Fatal(err)
		}
		if err := i.Close(); err != nil {
			t.Fatal(err)
		}
	}
	decide()
	files := cached(t, dir)
	if len(files) != 1 {
		t.Fatalf("cached %v", files)
	}
	first, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	decide() // from the cache

	// A damaged entry is made again.
	bad := append([]byte(nil), first...)
	bad[len(bad)/2] ^= 1
	if err := os.WriteFile(files[0], bad, 0o600); err != nil {
		t.Fatal(err)
	}
	decide()
	if again, err := os.ReadFile(files[0]); err != nil || string(again) != string(first) {
		t.Errorf("the damaged entry was not replaced (%v)", err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder %v, %v", info.Mode(), err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	dir := t.TempDir()
	root := newHost(t, Config{CacheDir: dir}).cacheRoot()
	for n := range 2 * maxCached {
		if err := os.MkdirAll(filepath.Join(root, fmt.Sprint(n)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := newHost(t, Config{CacheDir: dir}).Load(t.Context(), "nearest", builtin(t, "nearest"), Limits{}); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(root)
	if err != nil || len(left) != maxCached+1 {
		t.Errorf("%d entries left, %v", len(left), err)
	}
}

func TestCacheFolderMustBeUsable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewHost(t.Context(), Config{CacheDir: file}); err == nil {
		t.Error("took a file for a folder")
	}
}
