package policies

import (
	"embed"
	"path"

	"omx/policies/abi"
)

//go:embed wasm/admit/*.wasm wasm/route/*.wasm
var modules embed.FS

// Policy is one that comes with omx.
type Policy struct {
	Name string
	Kind abi.Kind
	Text string // what it does, in one line
}

var builtins = [...]Policy{
	{"expected-time", abi.Route, "where the first words are expected first (the default)"},
	{"least-loaded", abi.Route, "where the fewest requests per slot are; of equal nodes the nearest"},
	{"nearest", abi.Route, "to the node with the shortest round trip, however busy"},
	{"random", abi.Route, "to any node with equal chance: a baseline"},
	{"bounded-queue", abi.Admit, "as long as fewer than four requests per slot wait (the default)"},
}

// List names the built-in policies, by kind.
func List() []Policy { return append([]Policy(nil), builtins[:]...) }

// Builtin is the module of a built-in policy.
func Builtin(name string) ([]byte, bool) {
	for _, p := range builtins {
		if p.Name == name {
			code, err := modules.ReadFile(path.Join("wasm", p.Kind.String(), name+".wasm"))
			return code, err == nil
		}
	}
	return nil, false
}
