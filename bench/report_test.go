package bench

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/bench/testnet"
	"omx/policies"
)

func TestReport(t *testing.T) {
	code, ok := policies.Builtin(policies.DefaultRoute)
	if !ok {
		t.Fatal("no default policy")
	}
	path := filepath.Join(t.TempDir(), "BENCHMARKS.md")
	opt := Options{Version: "v-test", Short: true, Testnet: testnet.Options{Nodes: 10, Seeds: 1,
		Policies: []testnet.NamedPolicy{{Name: policies.DefaultRoute, Code: code}}}}
	if err := Report(t.Context(), path, opt, io.Discard); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"v-test", "## Decisions", "## The policy host", "## The API", "## The mesh", "## The store", "## Policies on a simulated mesh", "## The node's parts", "allocs/op"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
