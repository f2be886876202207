package bench

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	benchengine "omx/bench/engine"
	"omx/bench/testnet"
	"omx/node/engine"
	"omx/node/nodetest"
	"omx/policies"
)

// The test program is its own worker and its own bare binding, as omx is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		os.Exit(engine.RunWorker(context.Background(), os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) > 2 && os.Args[2] == benchengine.BareArgs[1] {
		os.Exit(benchengine.RunBare(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestReport(t *testing.T) {
	code, ok := policies.Builtin(policies.DefaultRoute)
	if !ok {
		t.Fatal("no default policy")
	}
	path := filepath.Join(t.TempDir(), "BENCHMARKS.md")
	opt := Options{Version: "v-test", EngineDirs: nodetest.EngineDirs(t), Short: true, Testnet: testnet.Options{Nodes: 10, Seeds: 1,
		Policies: []testnet.NamedPolicy{{Name: policies.DefaultRoute, Code: code}}}}
	if err := Report(t.Context(), path, opt, io.Discard); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"v-test", "## Decisions", "## The policy host", "## The API", "## The engine", "## The mesh", "## The store", "## Policies on a simulated mesh", "## The node's parts", "allocs/op"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
