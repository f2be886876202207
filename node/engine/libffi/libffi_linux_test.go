package libffi

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestInstalled(t *testing.T) {
	write := func(t *testing.T, root, path, content string) {
		t.Helper()
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name, path, content string // one file below an empty root
		libraryPath         string // relative to it
		want                bool
	}{
		{"nothing", "etc/hosts", "", "", false},
		{"default folder", "usr/lib/aarch64-linux-gnu/libffi.so.8", "", "", true},
		{"other version", "usr/lib/libffi.so.7", "", "", false},
		{"index", "etc/ld.so.cache", "a\x00libffi.so.8\x00/opt/libffi.so.8\x00", "", true},
		{"index across two reads", "etc/ld.so.cache", strings.Repeat("x", 64<<10-4) + "libffi.so.8\x00", "", true},
		{"index with longer name", "etc/ld.so.cache", "libffi.so.8.1.2\x00", "", false},
		{"search path", "opt/libffi.so.8", "", "opt", true},
		{"search path elsewhere", "opt/libffi.so.8", "", "srv", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, tt.path, tt.content)
			search := ""
			if tt.libraryPath != "" {
				search = "/nowhere:" + filepath.Join(root, tt.libraryPath)
			}
			if got := installed(root, search); got != tt.want {
				t.Errorf("installed = %v, want %v", got, tt.want)
			}
		})
	}
}

// The check is worth nothing if the binding is initialised first.
func TestInitialisedBeforeTheBinding(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "order")
	if out, err := exec.Command("go", "build", "-o", exe, "./testdata/order").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ours := strings.Index(string(out), "init omx/node/engine/libffi ")
	binding := strings.Index(string(out), "init github.com/jupiterrider/ffi ")
	if ours < 0 || binding < 0 || ours > binding {
		t.Errorf("libffi at %d, the binding at %d of\n%s", ours, binding, out)
	}
}
