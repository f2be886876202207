package wasm

import (
	"strings"

	"omx/policies/abi"
)

// fuelExport is the name under which metering exports the fuel left. No module
// may use it.
const fuelExport = "omx.fuel"

// deciders are the kinds a policy may decide, and by which export.
var deciders = [...]struct {
	kind   abi.Kind
	export string
	rows   int // most rows of a view
}{
	{abi.Admit, abi.ExportAdmit, 1},
	{abi.Route, abi.ExportRoute, abi.MaxRows},
}

// check refuses what may not run here, or could not be bounded.
func (m *module) check(lim *Limits) error {
	for _, e := range m.imports {
		return refuse("imports %s.%s (%s): a policy may import nothing%s", e.module, e.name, kindNames[e.kind], importAdvice(e.module, e.name))
	}
	if len(m.memories) != 1 || !m.export(abi.ExportMemory, kindMemory) {
		return refuse("has %d memories: a policy has one of its own, exported as %q", len(m.memories), abi.ExportMemory)
	}
	if mem := m.memories[0]; mem.min > lim.MemoryPages {
		return refuse("needs %d pages of memory, %d are allowed: let it start with less, or raise the limit", mem.min, lim.MemoryPages)
	} else if mem.hasMax && (mem.max < mem.min || mem.max > addressablePages) {
		return refuse("has a memory of at least %d and at most %d pages: at most %d can be addressed", mem.min, mem.max, addressablePages)
	}
	var elems uint64
	for _, t := range m.tables {
		elems += uint64(t.min)
	}
	if elems > maxTableElems {
		return refuse("has tables of %d elements, %d are allowed", elems, maxTableElems)
	}
	seen := map[string]bool{}
	for _, e := range m.exports {
		switch {
		case e.name == fuelExport:
			return refuse("exports %q, which belongs to the host: rename it", fuelExport)
		case e.kind == kindGlobal && e.index >= m.globals:
			return refuse("exports global %d of %d", e.index, m.globals)
		case seen[e.name]:
			return refuse("exports %q twice", e.name)
		}
		seen[e.name] = true
	}
	for _, name := range []string{abi.ExportABI, abi.ExportBuf} {
		if !m.export(name, kindFunction) {
			return refuse("does not export the function %s: see policies/ABI.md for what a policy exports", name)
		}
	}
	if len(m.kinds()) == 0 {
		return refuse("exports neither %s nor %s: it decides nothing", abi.ExportAdmit, abi.ExportRoute)
	}
	return nil
}

func importAdvice(module, name string) string {
	switch {
	case module == "env" && name == "abort":
		return "; with AssemblyScript, build with --use abort="
	case strings.HasPrefix(module, "wasi"):
		return "; build for a target without a system, for example wasm32-unknown-unknown"
	}
	return "; take time and seed from the view"
}
