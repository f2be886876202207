package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/node/policy"
	"omx/policies/abi"
)

// What a node has kept is read back beside it; a module that was damaged or lost
// since says so.
func TestReadKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "policies")
	if list, err := policy.ReadKept(dir); err != nil || len(list) != 0 {
		t.Errorf("no folder: %v, %v", list, err)
	}
	r := newRig(t, dir, nil)
	r.start(t, "")
	file := write(t, filepath.Join(t.TempDir(), "mine.wasm"), code(t, "nearest"), 0)
	r.activate(t, abi.Route, file, "")
	if err := r.Shadow(t.Context(), abi.Route, r.find(t, "random")); err != nil {
		t.Fatal(err)
	}
	says := func(want string) {
		t.Helper()
		var text []string
		list, err := policy.ReadKept(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range list {
			if (k.Err == nil) != (k.Module != nil) {
				t.Errorf("%+v", k)
			}
			text = append(text, fmt.Sprintf("%s %s %s %v", k.Kind, k.Role, filepath.Base(k.Name), k.Err == nil))
		}
		if got := strings.Join(text, ", "); got != want {
			t.Errorf("%s; want %s", got, want)
		}
	}
	says("admit active free-slot true, route active mine.wasm true, route last good prefix-affinity true, route shadow random true")
	modules, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
	if err != nil || len(modules) == 0 {
		t.Fatal(modules, err)
	}
	for _, m := range modules {
		if err := os.Truncate(m, 100); err != nil {
			t.Fatal(err)
		}
	}
	says("admit active free-slot true, route active mine.wasm false, route last good prefix-affinity true, route shadow random true")
	if err := os.Truncate(filepath.Join(dir, "state.json"), 30); err != nil {
		t.Fatal(err)
	}
	if _, err := policy.ReadKept(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
}
