package policies_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"omx/policies/abi"
	"omx/wasm"
)

// The examples of ABI.md compile, load and send a request to the nearest node.
func TestExamples(t *testing.T) {
	page, err := os.ReadFile("ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	sdk, err := os.ReadFile("sdk/assemblyscript/omx.ts")
	if err != nil {
		t.Fatal(err)
	}
	compilers := map[string][]string{
		"wat": {"node_modules/.bin/wasm-as"},
		"ts":  {"node_modules/.bin/asc", "-O3", "--noAssert", "--runtime", "stub", "--use", "abort="},
	}
	for language, compiler := range compilers {
		t.Run(language, func(t *testing.T) {
			m := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(page)
			if m == nil {
				t.Fatal("no example")
			}
			dir := t.TempDir()
			source, out := filepath.Join(dir, "route."+language), filepath.Join(dir, "route.wasm")
			for name, b := range map[string][]byte{source: m[1], filepath.Join(dir, "omx.ts"): sdk} {
				if err := os.WriteFile(name, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			args := append(compiler[1:], source, "-o", out)
			if b, err := exec.CommandContext(t.Context(), compiler[0], args...).CombinedOutput(); err != nil {
				t.Fatalf("compile: %v (run make policies)\n%s", err, b)
			}
			code, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			i, err := newHost(t, wasm.Config{}).Load(t.Context(), language, code, wasm.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			a, scores := guestOf(t, abi.Route, i).decide(nil, nodes(3, func(i int, r *abi.Row) { r.RTT = []uint32{7, 3, 5}[i] }))
			if a != abi.Pack(abi.OK, 1) || scores[0] != 7 || scores[2] != 5 {
				t.Errorf("answer %#x, scores %d", a, scores)
			}
		})
	}
}
