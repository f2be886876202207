package doctor

import (
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/node"
	"omx/policies"
)

// What a node has kept is broken after it has stopped, one way after the other.
func TestKeptPolicies(t *testing.T) {
	cfg := at(t.TempDir())
	look := func() []Finding { return keptPolicies(t.Context(), patientOf(t, cfg)) }
	expect(t, look(), "ok: none kept")
	src := t.TempDir()
	route, admit := filepath.Join(src, "near.wasm"), filepath.Join(src, "bucket.wasm")
	for file, name := range map[string]string{route: "nearest", admit: "token-bucket"} {
		code, is := policies.Builtin(name)
		if !is {
			t.Fatalf("no policy %s", name)
		}
		write(t, file, string(code), 0o600)
	}
	n := started(t, node.Config{Data: cfg.Data, RoutePolicy: route, AdmitPolicy: admit, AdmitParams: []string{"rate=50"}})
	expect(t, look(), "ok: admit bucket.wasm, route near.wasm; 2 kept") // beside the node
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}

	state := filepath.Join(cfg.Data, node.PolicyDir, "state.json")
	b, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(b), "\n")
	body = strings.Replace(body, "rate=50", "rte=50", 1)
	write(t, state, fmt.Sprintf("%08x\n%s", crc32.Checksum([]byte(body), crc32.MakeTable(crc32.Castagnoli)), body), 0o600)
	api := " --api " + nobody
	expect(t, look(), "problem: admit, active bucket.wasm: >> omx policy activate admit "+admit+api, "ok: route near.wasm; 2 kept")

	modules, err := filepath.Glob(filepath.Join(cfg.Data, node.PolicyDir, "*.wasm"))
	if err != nil || len(modules) != 2 {
		t.Fatal(modules, err)
	}
	for _, m := range modules {
		write(t, m, "no module", 0o600)
	}
	if err := os.Remove(route); err != nil {
		t.Fatal(err)
	}
	expect(t, look(), "problem: admit, active bucket.wasm: the kept module >> omx policy activate admit "+admit+api,
		"problem: route, active near.wasm: the kept module >> omx policy activate route "+policies.DefaultRoute+api)

	write(t, state, "rubbish", 0o600)
	expect(t, look(), "problem: damaged (checksum): after a restart the default policies decide >> omx policy status"+api)
}
