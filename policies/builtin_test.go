package policies_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"omx/policies"
)

// What is embedded is what the source compiles to.
func TestCompiled(t *testing.T) {
	if _, err := os.Stat("node_modules/assemblyscript"); err != nil {
		t.Fatalf("the compiler of the policies is not installed: run make policies (%v)", err)
	}
	out := t.TempDir()
	if b, err := exec.CommandContext(t.Context(), "node", "build.mjs", out).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, b)
	}
	built, kept := modulesIn(t, out), modulesIn(t, ".")
	for name, b := range built {
		if !bytes.Equal(b, kept[name]) {
			t.Errorf("%s is not what its source compiles to: run make policies and commit", name)
		}
		delete(kept, name)
	}
	for name := range kept {
		t.Errorf("%s has no source", name)
	}
}

func modulesIn(t *testing.T, root string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, pattern := range []string{"wasm/*/*.wasm", "corpus/*/*.wasm"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(root, f)
			if err != nil {
				t.Fatal(err)
			}
			found[name] = b
		}
	}
	return found
}

func TestList(t *testing.T) {
	listed := 0
	for _, p := range policies.List() {
		if code, ok := policies.Builtin(p.Name); !ok || !bytes.HasPrefix(code, []byte("\x00asm")) {
			t.Errorf("%s is listed but not there", p.Name)
		}
		if p.Text == "" || strings.HasSuffix(p.Text, ".") {
			t.Errorf("%s: text %q", p.Name, p.Text)
		}
		listed++
	}
	files, err := filepath.Glob("wasm/*/*.wasm")
	if err != nil || len(files) != listed {
		t.Errorf("%d policies are listed, %d compiled (%v)", listed, len(files), err)
	}
	if _, ok := policies.Builtin("../../abi/doc"); ok {
		t.Error("found a policy that is not listed")
	}
}
