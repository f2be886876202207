package library

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"omx/node/nodetest"
)

// installed is the folder that the tests take real libraries from.
func installed(t testing.TB) Library {
	t.Helper()
	dirs, err := Only("cpu", nodetest.EngineDirs(t)...)
	if err != nil {
		t.Fatal(err)
	}
	lib, err := Find(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

// fakeNPM puts an npm into the path that unpacks the installed libraries, and
// then runs a line of shell in the package's folder of libraries.
func fakeNPM(t *testing.T, then string) {
	t.Helper()
	lib := installed(t)
	bin := t.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
set -e
[ "$1 $2" = "ci --ignore-scripts" ]
pkg="node_modules/@node-llama-cpp/%[1]s"
mkdir -p "$pkg/bins/%[1]s"
cp %[2]q/lib*.so "$pkg/bins/%[1]s/"
cp %[2]q/LICENSE "$pkg/"
cd "$pkg/bins/%[1]s"
%[3]s
`, lib.Platform, lib.Dir, then)
	if err := os.WriteFile(filepath.Join(bin, "npm"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

func TestInstall(t *testing.T) {
	fakeNPM(t, "")
	dir := filepath.Join(t.TempDir(), "engine")
	var said bytes.Buffer
	if err := Install(t.Context(), Options{Dir: dir, Backend: "cpu"}, &said); err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	lib, err := Find(dir)
	if err != nil || lib.Version != Version || filepath.Dir(lib.Dir) != dir {
		t.Fatalf("Find = %+v, %v", lib, err)
	}
	if again, err := Find("", lib.Dir); err != nil || again != lib {
		t.Errorf("Find of the folder itself = %+v, %v", again, err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("%d names are left in %s, want 1", len(names), dir)
	}
	t.Setenv("PATH", "")
	if err := Install(t.Context(), Options{Dir: dir, Backend: "cpu"}, &said); err != nil || !strings.Contains(said.String(), "are in") {
		t.Errorf("a second time, without npm: %v", err)
	}
}

func TestInstallAtOnce(t *testing.T) {
	fakeNPM(t, "")
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var said bytes.Buffer
			if err := Install(t.Context(), Options{Dir: dir, Backend: "cpu"}, &said); err != nil {
				t.Errorf("%v\n%s", err, &said)
			}
		})
	}
	wg.Wait()
	if _, err := Find(dir); err != nil {
		t.Error(err)
	}
}

func TestInstallRefuses(t *testing.T) {
	tests := []struct{ name, then, want string }{
		{"changed byte", "printf x | dd of=libggml-base.so bs=1 seek=5000 conv=notrunc", "libggml-base.so is not the file"},
		{"missing file", "rm libllama.v0.5.0.so", "libllama.v0.5.0.so"},
		{"npm fails", "exit 3", "npm: exit status 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fakeNPM(t, tt.then)
			dir := t.TempDir()
			var said bytes.Buffer
			err := Install(t.Context(), Options{Dir: dir, Backend: "cpu"}, &said)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if names, _ := os.ReadDir(dir); len(names) != 0 {
				t.Errorf("%d names are left", len(names))
			}
		})
	}
	t.Run("no npm", func(t *testing.T) {
		t.Setenv("PATH", "")
		err := Install(t.Context(), Options{Dir: t.TempDir(), Backend: "cpu"}, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), "apt-get install npm; or") || !strings.HasSuffix(err.Error(), "omx engine install --from FILE") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		fakeNPM(t, "exec sleep 60")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := Install(ctx, Options{Dir: t.TempDir(), Backend: "cpu"}, &bytes.Buffer{}); err == nil {
			t.Error("no error")
		}
	})
}

// A published folder that is not as it was verified is refused with one line,
// and Install puts it right.
func TestCheck(t *testing.T) {
	tests := []struct {
		name string
		harm func(dir string) error
	}{
		{"cut off", func(dir string) error { return os.Truncate(filepath.Join(dir, "libllama.v0.5.0.so"), 1000) }},
		{"another version's file", func(dir string) error { // of the same length
			path := filepath.Join(dir, "libllama.v0.5.0.so")
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			copy(b[len(b)/2:], "v0.5.1")
			return os.WriteFile(path, b, 0o644)
		}},
		{"file gone", func(dir string) error { return os.Remove(filepath.Join(dir, "libggml-base.so")) }},
		{"link elsewhere", func(dir string) error {
			os.Remove(filepath.Join(dir, "libllama.so"))
			return os.Symlink("/tmp/other.so", filepath.Join(dir, "libllama.so"))
		}},
		{"other version", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, manifestName), []byte("abc 1 libllama.so\n"), 0o644)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fakeNPM(t, "")
			dir := t.TempDir()
			if err := Install(t.Context(), Options{Dir: dir, Backend: "cpu"}, &bytes.Buffer{}); err != nil {
				t.Fatal(err)
			}
			lib, err := Find(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.harm(lib.Dir); err != nil {
				t.Fatal(err)
			}
			_, found := Find(dir)
			for _, err := range []error{found, Check(lib.Dir)} {
				if !errors.Is(err, ErrMissing) || !errors.Is(err, ErrChanged) || !strings.HasSuffix(err.Error(), fix) || strings.Contains(err.Error(), "\n") {
					t.Errorf("error %v", err)
				}
			}
			if err := Install(t.Context(), Options{Dir: dir, Backend: "cpu"}, &bytes.Buffer{}); err != nil {
				t.Error(err)
			}
			if _, err := Find(dir); err != nil {
				t.Errorf("after another Install: %v", err)
			}
		})
	}
}

func TestFindNothing(t *testing.T) {
	_, err := Find("", t.TempDir(), "/nowhere")
	if !errors.Is(err, ErrMissing) || errors.Is(err, ErrChanged) || !strings.HasSuffix(err.Error(), fix) {
		t.Errorf("error %v", err)
	}
}
