package wasm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// compareRuns calls the functions of a well-formed module metered in both engines
// and plain, until the fuel of a call does not suffice: results, traps and memory
// must be the same, and so must the fuel of both engines.
func compareRuns(t *testing.T, code []byte) (calls, traps int, stopped bool) {
	t.Helper()
	ctx := t.Context()
	start := func(engine string, code []byte) (api.Module, api.MutableGlobal) {
		r := wazero.NewRuntimeWithConfig(ctx, engines()[engine])
		t.Cleanup(func() { r.Close(ctx) })
		m, err := r.Instantiate(ctx, code)
		if err != nil {
			t.Fatalf("%s: %v\n%x", engine, err, code)
		}
		fuel, _ := m.ExportedGlobal(fuelExport).(api.MutableGlobal)
		return m, fuel
	}
	metered := meterFor(t, code)
	plain, _ := start("compiler", code)
	compiled, fuel := start("compiler", metered)
	interpreted, fuel2 := start("interpreter", metered)

	const budget = 20_000
	do := func(m api.Module, name string, args []uint64) string {
		results, err := m.ExportedFunction(name).Call(ctx, args...)
		if err != nil {
			err = oneLine(err)
		}
		return fmt.Sprint(results, err)
	}
	for _, name := range []string{"a", "b", "c"} {
		for _, args := range [][]uint64{{0, 0}, {1, 2}, {65_530, api.EncodeI32(-3)}} {
			fuel.Set(budget)
			fuel2.Set(budget)
			got, got2 := do(compiled, name, args), do(interpreted, name, args)
			if fuel.Get() != fuel2.Get() {
				t.Fatalf("%s%v: fuel %d compiled, %d interpreted\n%x", name, args, int64(fuel.Get()), int64(fuel2.Get()), code)
			}
			if int64(fuel.Get()) < 0 {
				return calls, traps, true // the plain module would go on, perhaps for ever
			}
			if want := do(plain, name, args); got != want || got2 != want {
				t.Fatalf("%s%v: compiled %s, interpreted %s, plain %s\n%x", name, args, got, got2, want, code)
			}
			if calls++; strings.Contains(got, "wasm error") {
				traps++
			}
		}
	}
	memory := func(m api.Module) []byte {
		b, _ := m.Memory().Read(0, m.Memory().Size())
		return b
	}
	if want := memory(plain); !bytes.Equal(memory(compiled), want) || !bytes.Equal(memory(interpreted), want) {
		t.Fatalf("another memory\n%x", code)
	}
	return calls, traps, false
}

// Random modules run alike, metered and plain, compiled and interpreted.
func TestRandomModulesRunAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	calls, stopped, traps := 0, 0, 0
	for range 300 {
		choices := make([]byte, 100+r.IntN(900))
		for n := range choices {
			choices[n] = byte(r.Uint32())
		}
		n, trapped, s := compareRuns(t, wellFormed(choices))
		calls, traps = calls+n, traps+trapped
		if s {
			stopped++
		}
	}
	t.Logf("%d calls alike, %d of them trapped; %d of 300 modules stopped by fuel", calls, traps, stopped)
	if calls < 1000 || stopped < 10 || traps < 100 || traps > calls*9/10 {
		t.Errorf("only %d calls, %d traps and %d stops", calls, traps, stopped)
	}
}

func FuzzRunAlike(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		choices := make([]byte, 500)
		for n := range choices {
			choices[n] = byte(r.Uint32())
		}
		f.Add(choices)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		if len(choices) > 1<<12 {
			return
		}
		compareRuns(t, wellFormed(choices))
	})
}
