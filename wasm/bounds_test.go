package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"omx/policies/abi"
)

// withMore is a module with more items at the end of one of its sections.
func withMore(t *testing.T, code []byte, id byte, items ...[]byte) []byte {
	t.Helper()
	m, err := inspect(code)
	if err != nil {
		t.Fatal(err)
	}
	sections := withItem(m.sections, id, items[0])
	for n := range sections {
		if s := &sections[n]; s.id == id {
			r := &reader{b: s.body}
			count := r.u32()
			s.body = slices.Concat(appendU32(nil, count+uint32(len(items)-1)), s.body[r.at:], bytes.Join(items[1:], nil))
		}
	}
	out := slices.Clone(magicCore)
	for _, s := range sections {
		out = append(appendU32(append(out, s.id), uint32(len(s.body))), s.body...)
	}
	return out
}

// A module may be made of many small things, each of which the engine makes room
// for: it is refused before the engine sees it.
func TestCompileBoundsCounts(t *testing.T) {
	base := corpus(t, "run")["spin"]
	item := func(name string, more ...byte) []byte {
		return append(append(appendU32(nil, uint32(len(name))), name...), more...)
	}
	exports := make([][]byte, maxExports)
	for n := range exports {
		exports[n] = item(fmt.Sprint("x", n), kindFunction, 0)
	}
	yield := slices.Concat(item("wasi_snapshot_preview1"), item("sched_yield", kindFunction, 0))
	for name, c := range map[string]struct {
		id    byte
		items [][]byte
		want  string
	}{
		"types":          {secType, slices.Repeat([][]byte{{0x60, 0, 0}}, maxTypes), "types, 1024 are allowed"},
		"imports":        {secImport, slices.Repeat([][]byte{yield}, maxImports+1), "65 imports, 64 are allowed"},
		"tables":         {secTable, slices.Repeat([][]byte{{0x70, 0, 1}}, maxTables+1), "17 tables, 16 are allowed"},
		"memories":       {secMemory, [][]byte{{0, 1}}, "2 memories, 1 are allowed"},
		"globals":        {secGlobal, slices.Repeat([][]byte{{typeI32, 0, opI32Const, 0, opEnd}}, maxGlobals+1), "1025 globals, 1024 are allowed"},
		"exports":        {secExport, exports, "exports, 1024 are allowed"},
		"data segments":  {secData, slices.Repeat([][]byte{{1, 0}}, maxSegments+1), "65537 data segments, 65536 are allowed"},
		"table elements": {secElement, [][]byte{slices.Concat([]byte{1, 0}, appendU32(nil, maxTableElems+1), make([]byte, maxTableElems+1))}, "65537 elements for its tables, 65536 are allowed"},
		"parameters":     {secType, [][]byte{slices.Concat([]byte{0x60, maxArgs + 1}, bytes.Repeat([]byte{typeI32}, maxArgs+1), []byte{0})}, "33 parameters and 0 results"},
		"a long name":    {secExport, [][]byte{item(strings.Repeat("x", maxName+1), kindFunction, 0)}, "a name of 257 bytes, 256 are allowed"},
	} {
		_, err := newHost(t, Config{}).Load(t.Context(), name, withMore(t, base, c.id, c.items...), Limits{})
		if !errors.Is(err, ErrModule) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Names of imports are foreign text, and many: the message stays one short line.
func TestRefusalIsOneLine(t *testing.T) {
	var items [][]byte
	for n := range 20 {
		name := fmt.Sprintf("evil\n\x1b[2J%d", n)
		items = append(items, slices.Concat([]byte{3}, []byte("env"), []byte{byte(len(name))}, []byte(name), []byte{kindFunction, 0}))
	}
	code := withMore(t, corpus(t, "run")["spin"], secImport, items...)
	_, err := newHost(t, Config{}).Load(t.Context(), "evil", code, Limits{})
	if !errors.Is(err, ErrModule) || strings.ContainsAny(err.Error(), "\n\x1b") || !strings.Contains(err.Error(), "and 12 more") {
		t.Errorf("%q", err)
	}
}

// The allowance for large modules gives small ones room, but no more time.
func TestLargeLimits(t *testing.T) {
	small, large := (Limits{Large: true}).forSize(defaultModuleBytes), (Limits{Large: true}).forSize(defaultModuleBytes+1)
	if small.FuelBase != defaultFuelBase || small.FuelPerRow != defaultFuelPerRow || small.MemoryPages != largeMemoryPages {
		t.Errorf("small module: %+v", small)
	}
	if large.FuelBase != largeFuelBase || large.FuelPerRow != largeFuelPerRow || large.FuelLoad != largeFuelLoad {
		t.Errorf("large module: %+v", large)
	}
	if set := (Limits{Large: true, FuelBase: 5}).forSize(10); set.FuelBase != 5 {
		t.Errorf("what is set is replaced by %d", set.FuelBase)
	}
	lim := Limits{}.withDefaults()
	for _, c := range []struct {
		rows, models int
		want         uint64
	}{{0, 0, fuelPlan}, {64, 100, fuelPlan + 64*100*fuelPerPair}, {4096, 1024, mostFuelPlan}} {
		if got := lim.fuel(abi.Replicate, c.rows, c.models); got != c.want {
			t.Errorf("replication of %d models on %d nodes: %d, want %d", c.models, c.rows, got, c.want)
		}
	}
}
