// Package omx_test keeps the shape of the repository true: who may import whom,
// which modules are linked, how long a file may be.
package omx_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite modules.txt")

// maxModules is the ceiling of linked modules: each one is code somebody must
// trust on every machine of the fleet.
const maxModules = 75

// maxLines is the hard end of a source file; 500 is already long.
const maxLines = 800

// leaves may be imported from wherever the folder they are in may not.
var leaves = []string{"omx/node/files"}

// forTests are packages that tests share; no program links them.
var forTests = []string{"omx/node/engine/enginetest", "omx/node/nodetest"}

type rule struct{ pkg, banned, why string }

// A pkg ending in /... covers the folders below it; so does a banned one.
var rules = []rule{
	{"...", "github.com/libp2p/go-libp2p", "the root package links WebRTC, WebTransport and fx: 36 modules more"},
	{"...", "github.com/pion/...", "WebRTC is not spoken here"},
	{"...", "math/rand", "use math/rand/v2"},
	{"...", "io/ioutil", "deprecated"},

	{"policies/abi", "omx/...", "the contract with policy authors is a leaf"},
	{"wasm", "omx/node/...", "the policy host knows bytes, not requests"},
	{"wasm", "omx/bench/...", "imports point inwards"},
	{"wasm", "omx/testnet/...", "imports point inwards"},

	{"node/files", "omx/...", "it is a leaf"},
	{"node/catalog", "omx/node/...", "catalog is what everyone else imports"},
	{"node/api", "omx/node/mesh/...", "api, mesh, engine and blob meet in node only"},
	{"node/api", "omx/node/engine/...", "api, mesh, engine and blob meet in node only"},
	{"node/api", "omx/node/blob/...", "api, mesh, engine and blob meet in node only"},
	{"node/mesh/...", "omx/node/api/...", "api, mesh, engine and blob meet in node only"},
	{"node/mesh/...", "omx/node/engine/...", "api, mesh, engine and blob meet in node only"},
	{"node/mesh/...", "omx/node/blob/...", "api, mesh, engine and blob meet in node only"},
	{"node/mesh/member", "omx/node/mesh", "what is signed is checked without a connection"},
	{"node/mesh/member", "net", "what is signed is checked without a connection"},
	{"node/mesh/udp", "omx/...", "datagrams carry anything"},
	{"node/engine/...", "omx/node/blob/...", "api, mesh, engine and blob meet in node only"},
	{"node/engine/...", "omx/node/api/...", "api, mesh, engine and blob meet in node only"},
	{"node/engine/...", "omx/node/mesh/...", "api, mesh, engine and blob meet in node only"},
	{"node/blob", "omx/node/api/...", "api, mesh, engine and blob meet in node only"},
	{"node/blob", "omx/node/mesh/...", "api, mesh, engine and blob meet in node only"},
	{"node/blob", "omx/node/engine/...", "whoever stores a file brings the check of it"},
	{"node/blob", "omx/node/decide/...", "a store of files decides nothing"},
	{"node/...", "omx/bench/...", "a running node does not know that it is measured"},
	{"node/...", "omx/testnet/...", "a running node does not know that it is simulated"},
	{"node/...", "omx/cmd/...", "imports point inwards"},
	{"node/...", "omx/node/doctor", "a node does not look at itself from outside"},
	{"node/doctor", "os/exec", "it looks: what has to run for that is the engine's worker"},
	{"testnet/...", "omx/bench/...", "imports point inwards"},

	{"node/decide", "net", "a decision opens no socket"},
	{"node/decide", "math/rand/v2", "randomness is in the view"},
	{"node/decide/journal", "net", "a journal is files"},
	{"policies/sign", "omx/...", "signatures are checked without anything else"},
	{"policies/rules", "omx/wasm", "a compiler trusts its output with nothing, and runs nothing"},
	{"node/decide", "omx/node/mesh/...", "decide is pure"},
	{"node/decide", "omx/node/engine/...", "decide is pure"},
	{"node/decide", "omx/node/api/...", "decide is pure"},
	{"wasm", "net", "a policy has no network"},
	{"wasm", "math/rand/v2", "randomness is in the view"},
	{"wasm", "crypto/rand", "randomness is in the view"},
	{"node/catalog", "net", "records come from the mesh"},
	{"testnet/virtual/vnet", "omx/...", "packets carry anything"},
	{"testnet/virtual", "net/http", "a bubble's time stands still while a socket is waited for"},
	{"testnet/sim", "omx/node/mesh/...", "no node of it is real"},
	{"testnet/sim", "omx/node/engine/...", "no node of it is real"},
	{"testnet/sim", "net", "simulated networks only"},
	{"testnet/sim", "os", "a simulation depends on its scenario alone"},
	{"testnet/sim", "crypto/rand", "the seed decides"},
}

type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func matches(pattern, path string) bool {
	if base, ok := strings.CutSuffix(pattern, "..."); ok {
		return base == "" || strings.HasPrefix(path+"/", base)
	}
	return pattern == path
}

func TestImportDirections(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, "omx/")
		for _, r := range rules {
			if !matches(r.pkg, path) {
				continue
			}
			seen[r.pkg] = true
			for _, imp := range p.Imports {
				// A package may import itself's siblings only where no rule says otherwise.
				if matches(r.banned, imp) && imp != p.ImportPath && !slices.Contains(leaves, imp) {
					t.Errorf("%s imports %s: %s", path, imp, r.why)
				}
			}
		}
	}
	for _, r := range rules {
		if !seen[r.pkg] {
			t.Errorf("rule for %q matches no package: it guards nothing", r.pkg)
		}
	}
}

func TestTestPackagesAreInNoProgram(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		if slices.Contains(forTests, p.ImportPath) {
			seen++
			continue
		}
		for _, imp := range p.Imports {
			if slices.Contains(forTests, imp) {
				t.Errorf("%s imports %s, which is for tests", p.ImportPath, imp)
			}
		}
	}
	if seen != len(forTests) {
		t.Errorf("of %v there are %d: the others guard nothing", forTests, seen)
	}
}

// The parts that must give the same answer on every machine may name moments
// and spans, but not ask what time it is or wait.
func TestNoClockInPureParts(t *testing.T) {
	for _, dir := range []string{"node/decide", "node/catalog", "wasm", "testnet/sim"} {
		for _, file := range goFiles(t, dir) {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range []string{"time.Now(", "time.Since(", "time.Sleep(", "time.After(", "time.NewTimer(", "time.NewTicker("} {
				if bytes.Contains(src, []byte(call)) {
					t.Errorf("%s calls %s…): the clock is passed in", file, call)
				}
			}
		}
	}
}

func TestPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		n := 0
		for _, f := range p.GoFiles {
			ast, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, f), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if ast.Doc != nil {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s has %d package comments, want one", p.ImportPath, n)
		}
	}
}

func TestFileLength(t *testing.T) {
	for _, file := range goFiles(t, ".") {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(src, []byte("\n")); n > maxLines {
			t.Errorf("%s has %d lines, the hard end is %d", file, n, maxLines)
		}
	}
}

// A module that comes into the link shows in review as a line of modules.txt.
func TestLinkedModules(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/omx").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	linked := strings.Fields(string(out))
	slices.Sort(linked)
	linked = slices.DeleteFunc(slices.Compact(linked), func(m string) bool { return m == "omx" })
	if len(linked) > maxModules {
		t.Errorf("%d modules are linked, the ceiling is %d", len(linked), maxModules)
	}
	got := strings.Join(linked, "\n") + "\n"
	if *update {
		if err := os.WriteFile("modules.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("modules.txt")
	if err != nil || string(want) != got {
		t.Errorf("modules.txt is not what is linked (%v): look at the change, then run go test . -update\n%s", err, got)
	}
}

func goFiles(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != "."):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go"):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
