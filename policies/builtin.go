package policies

import (
	"embed"
	"path"

	"omx/policies/abi"
)

//go:embed wasm/admit/*.wasm wasm/route/*.wasm wasm/replicate/*.wasm
var modules embed.FS

// Policy is one that comes with omx.
type Policy struct {
	Name string
	Kind abi.Kind
	Text string // what it does, in one line
}

// Default tells whether it decides where the operator names none.
func (p Policy) Default() bool {
	return p.Name == DefaultAdmit || p.Name == DefaultRoute || p.Name == DefaultReplicate
}

var builtins = [...]Policy{
	{"free-slot", abi.Admit, "a peer's request if a slot is free here, a client's if the mesh has room"},
	{"allow", abi.Admit, "every request: a baseline"},
	{"bounded-queue", abi.Admit, "as long as fewer than four requests per slot wait here"},
	{"fair-share", abi.Admit, "when requests have to wait, not the tenant that has had most"},
	{"gradient", abi.Admit, "as many at a time as this node serves without getting slower"},
	{"priority-shed", abi.Admit, "ever fewer of the unimportant ones as the mesh fills"},
	{"token-bucket", abi.Admit, "so many tokens per second and tenant"},
	{"prefix-affinity", abi.Route, "where the prompt's beginning is cached, until that node is saturated; else where the first words are expected first"},
	{"bounded-load", abi.Route, "the same node for the same conversation, within its share of the load"},
	{"expected-time", abi.Route, "where the first words are expected first"},
	{"least-loaded", abi.Route, "where the fewest requests per slot are; of equal nodes the nearest"},
	{"nearest", abi.Route, "the node with the shortest round trip, however busy"},
	{"peak-ewma", abi.Route, "of two drawn nodes, the one that has answered faster of late"},
	{"power-of-two", abi.Route, "of two drawn nodes, the one with fewer requests per slot"},
	{"probe-rif", abi.Route, "of sixteen drawn nodes, the one with the fewest requests in flight per slot"},
	{"random", abi.Route, "any node with equal chance: a baseline"},
	{"round-robin", abi.Route, "the node that was not used for longest"},
	{"keep-n", abi.Replicate, "so many copies of every model, spread over zones"},
	{"popularity-sqrt", abi.Replicate, "more copies of what is asked for more, by the square root"},
	{"value-per-byte", abi.Replicate, "disk space for the models that are worth most per byte"},
}

// List names the built-in policies by kind, the default of each first.
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
