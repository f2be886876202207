package wasm

import "omx/policies/abi"

// fuelExport is the name under which metering exports the fuel left. No module
// may use it.
const fuelExport = "omx.fuel"

// deciders are the kinds a policy may decide, in their order, and by which
// export.
var deciders = [...]struct {
	kind   abi.Kind
	export string
}{
	{abi.Admit, abi.ExportAdmit},
	{abi.Route, abi.ExportRoute},
	{abi.Replicate, abi.ExportReplicate},
}

// check refuses what may not run here, or could not be bounded.
func (m *module) check(lim *Limits) error {
	var denied []entity
	for _, e := range m.imports {
		if e.kind != kindFunction || granted(e.module, e.name) == nil {
			denied = append(denied, e)
		}
	}
	if len(denied) > 0 {
		return deny(denied)
	}
	if len(m.memories) != 1 || !m.export(abi.ExportMemory, kindMemory) {
		return refuse("has %d memories: a policy has one of its own, exported as %q", len(m.memories), abi.ExportMemory)
	}
	if mem := m.memories[0]; mem.min > lim.MemoryPages {
		return refuse("needs %d pages of memory, %d are allowed: let it start with less%s", mem.min, lim.MemoryPages, lim.advice())
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
		return refuse("exports none of %s, %s and %s: it decides nothing", abi.ExportAdmit, abi.ExportRoute, abi.ExportReplicate)
	}
	return nil
}
