package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"omx/policies"
	"omx/policies/abi"
)

// engines are the ways to run a module.
func engines() map[string]wazero.RuntimeConfig {
	set := func(c wazero.RuntimeConfig) wazero.RuntimeConfig {
		return c.WithCoreFeatures(api.CoreFeaturesV2).WithMemoryLimitPages(64)
	}
	return map[string]wazero.RuntimeConfig{
		"compiler": set(wazero.NewRuntimeConfig()), "interpreter": set(wazero.NewRuntimeConfigInterpreter()),
	}
}

// outcome is what a series of calls left behind.
type outcome struct {
	calls  []string // results and traps
	memory []byte
	fuel   []uint64 // used by each call; none in a plain module
}

// exercise calls every function of two numbers with several arguments.
func exercise(t *testing.T, rc wazero.RuntimeConfig, code []byte) (o outcome) {
	t.Helper()
	ctx := t.Context()
	r := wazero.NewRuntimeWithConfig(ctx, rc)
	defer r.Close(ctx)
	m, err := r.Instantiate(ctx, code)
	if err != nil {
		t.Fatal(err)
	}
	const budget = 1_000_000
	fuel, _ := m.ExportedGlobal(fuelExport).(api.MutableGlobal)
	var names []string
	for name := range m.ExportedFunctionDefinitions() {
		names = append(names, name)
	}
	slices.Sort(names)
	i32 := api.EncodeI32
	for _, name := range names {
		for _, args := range [][]uint64{{0, 0}, {1, 2}, {5, 3}, {7, 255}, {i32(-1), 1}, {65_530, 9}, {3, i32(-7)}, {1 << 31, i32(-1)}} {
			if fuel != nil {
				fuel.Set(budget)
			}
			results, err := m.ExportedFunction(name).Call(ctx, args...)
			if err != nil {
				err = oneLine(err)
			}
			o.calls = append(o.calls, fmt.Sprint(name, args, results, err))
			if fuel != nil {
				o.fuel = append(o.fuel, budget-fuel.Get())
			}
		}
	}
	o.memory, _ = m.Memory().Read(0, m.Memory().Size())
	return o
}

func meterFor(t testing.TB, code []byte) []byte {
	t.Helper()
	m, err := inspect(code)
	if err != nil {
		t.Fatal(err)
	}
	lim := Limits{}.withDefaults()
	out, err := m.meter(&lim)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Metering changes no result, no trap and no byte of memory; what it counts is
// the same in both engines.
func TestMeterChangesNothing(t *testing.T) {
	for name, code := range corpus(t, "plain") {
		metered := meterFor(t, code)
		var fuel []uint64
		var want outcome
		for engine, rc := range engines() {
			plain, got := exercise(t, rc, code), exercise(t, rc, metered)
			if want.calls == nil {
				want = plain
				trapped := slices.ContainsFunc(want.calls, func(c string) bool { return strings.Contains(c, "wasm error") })
				if !trapped {
					t.Errorf("%s: no call traps", name)
				}
			}
			for _, o := range []outcome{plain, got} {
				for i := range want.calls {
					if o.calls[i] != want.calls[i] {
						t.Errorf("%s in %s: %s, want %s", name, engine, o.calls[i], want.calls[i])
					}
				}
				if !bytes.Equal(o.memory, want.memory) {
					t.Errorf("%s in %s: another memory", name, engine)
				}
			}
			if fuel == nil {
				fuel = got.fuel
			} else if !slices.Equal(fuel, got.fuel) {
				t.Errorf("%s: fuel %v and %v", name, fuel, got.fuel)
			}
		}
	}
}

// The built-in policies decide alike metered and plain, compiled and interpreted.
func TestBuiltinsDecideAlike(t *testing.T) {
	type run struct {
		answer abi.Answer
		fuel   uint64
		view   []byte
	}
	for _, p := range policies.List() {
		for _, rows := range []int{0, 1, 8, 64, 512} {
			if p.Kind == abi.Admit && rows > 1 {
				break
			}
			var runs []run
			for _, interpreter := range []bool{false, true} {
				for _, transform := range []func(*module, *Limits) ([]byte, error){(*module).meter, plain} {
					i, err := newHost(t, Config{Interpreter: interpreter}).load(t.Context(), p.Name, builtin(t, p.Name), Limits{}, transform)
					if err != nil {
						t.Fatal(err)
					}
					v := sample(t, i, p.Kind, rows)
					a, fuel, err := i.Call(p.Kind, len(v), rows)
					if err != nil {
						t.Fatal(err)
					}
					runs = append(runs, run{a, fuel, slices.Clone(v)})
				}
			}
			for n, r := range runs {
				if r.answer != runs[0].answer || !bytes.Equal(r.view, runs[0].view) {
					t.Errorf("%s with %d rows: run %d answers %#x, run 0 %#x", p.Name, rows, n, r.answer, runs[0].answer)
				}
			}
			if runs[0].fuel == 0 || runs[0].fuel != runs[2].fuel {
				t.Errorf("%s with %d rows: fuel %d compiled, %d interpreted", p.Name, rows, runs[0].fuel, runs[2].fuel)
			}
		}
	}
}

// What a call costs is written down in ABI.md; these are its figures.
func TestCharges(t *testing.T) {
	i32 := byte(typeI32)
	cases := map[string]struct {
		locals []byte
		body   []byte
		want   uint64
	}{
		"empty":        {nil, []byte{opEnd}, entryCost + 1},
		"locals":       {[]byte{1, 3, i32}, []byte{opEnd}, entryCost + 1 + 3},
		"both arms":    {nil, []byte{opI32Const, 0, opIf, blockEmpty, opNop, opElse, opNop, opNop, opEnd, opEnd}, entryCost + 8},
		"a loop once":  {nil, []byte{opNop, opLoop, blockEmpty, opNop, opNop, opEnd, opEnd}, entryCost + 6 + 3},
		"nested loops": {nil, []byte{opLoop, blockEmpty, opNop, opLoop, blockEmpty, opNop, opEnd, opEnd, opEnd}, entryCost + 7 + 3 + 2},
		"growth":       {nil, []byte{opI32Const, 0, opMemoryGrow, 0, opDrop, opEnd}, entryCost + 3 + growCost},
		"a division":   {nil, []byte{opI32Const, 4, opI32Const, 2, opI32Div, opDrop, opEnd}, entryCost + 4 + slowCost},
		"a conversion": {nil, []byte{opF32Const, 0, 0, 0, 0, opTruncFirst, opDrop, opEnd}, entryCost + 3 + slowCost},
		"an extension": {nil, []byte{opI32Const, 4, opI64ExtendU, opDrop, opEnd}, entryCost + 4},
		"a root":       {nil, []byte{opF32Const, 0, 0, 0, 0, opF32Sqrt, opDrop, opEnd}, entryCost + 3 + sqrtCost},
		"a vector":     {[]byte{1, 2, typeV128}, []byte{opLocalGet, 0, opVector, vectorF64Sqrt, 1, opDrop, opEnd}, entryCost + 2 + 2*wideCost + 3 + sqrtCost},
		"a fill":       {nil, []byte{opI32Const, 0, opI32Const, 0, opI32Const, 0xc0, 0, opMisc, miscMemoryFill, 0, opEnd}, entryCost + 5 + bulkCost + 64>>bulkShift},
	}
	for name, c := range cases {
		locals := c.locals
		if locals == nil {
			locals = []byte{0}
		}
		body := append(slices.Clone(locals), c.body...)
		code := slices.Concat(magicCore,
			[]byte{secType, 4, 1, 0x60, 0, 0, secFunction, 2, 1, 0, secMemory, 3, 1, 0, 1, secExport, 5, 1, 1, 'f', kindFunction, 0},
			[]byte{secCode, byte(len(body) + 2), 1, byte(len(body))}, body)
		for engine, rc := range engines() {
			r := wazero.NewRuntimeWithConfig(t.Context(), rc)
			m, err := r.Instantiate(t.Context(), meterFor(t, code))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			fuel := m.ExportedGlobal(fuelExport).(api.MutableGlobal)
			fuel.Set(c.want)
			if _, err := m.ExportedFunction("f").Call(t.Context()); err != nil || fuel.Get() != 0 {
				t.Errorf("%s in %s: %d of %d left, %v", name, engine, fuel.Get(), c.want, err)
			}
			fuel.Set(c.want - 1)
			if _, err := m.ExportedFunction("f").Call(t.Context()); err == nil || int64(fuel.Get()) >= 0 {
				t.Errorf("%s in %s: ran with one unit too few (%v)", name, engine, err)
			}
			r.Close(t.Context())
		}
	}
}

// A module cannot reach the fuel by naming the global that it does not have yet.
func TestFuelCannotBeNamed(t *testing.T) {
	get := []byte{0, opGlobalGet, 0, opDrop, opEnd}
	set := []byte{0, opI64Const, 0, opGlobalSet, 0, opEnd}
	for _, body := range [][]byte{get, set} {
		m, err := inspect(moduleOf(body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.meter(&Limits{}); !errors.Is(err, ErrModule) || !strings.Contains(err.Error(), "uses global 0 of 0") {
			t.Errorf("%x: %v", body, err)
		}
	}
	// The same in the place where a data segment goes.
	data := slices.Concat(magicCore, []byte{secMemory, 3, 1, 0, 1, secData, 6, 1, 0, opGlobalGet, 0, opEnd, 0})
	if _, err := inspect(data); !errors.Is(err, ErrModule) {
		t.Errorf("data segment at the fuel: %v", err)
	}
	m, err := inspect(slices.Concat(magicCore, []byte{secMemory, 3, 1, 0, 1, secExport, 14, 2, 6, 'm', 'e', 'm', 'o', 'r', 'y', kindMemory, 0, 1, 'g', kindGlobal, 0}))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.check(&Limits{MemoryPages: 1}); err == nil || !strings.Contains(err.Error(), "exports global 0 of 0") {
		t.Errorf("export of the fuel: %v", err)
	}
}

// function is a module of one function without parameters.
func moduleOf(body []byte) []byte {
	code := appendU32([]byte{1}, uint32(len(body)))
	code = append(code, body...)
	return slices.Concat(magicCore, []byte{secType, 4, 1, 0x60, 0, 0, secFunction, 2, 1, 0},
		appendU32([]byte{secCode}, uint32(len(code))), code)
}

// What would take the compiler minutes is refused.
func TestMeterRefusesBombs(t *testing.T) {
	times := func(n int, b ...byte) []byte { return bytes.Repeat(b, n) }
	manyLocals := []byte{1, 0xff, 0xff, 3, typeI32}
	cases := map[string]struct {
		code []byte
		want string
	}{
		"loops beside another": {moduleOf(slices.Concat([]byte{0}, times(5000, opLoop, blockEmpty, opEnd), []byte{opEnd})), "too intricate"},
		"loops in another":     {moduleOf(slices.Concat([]byte{0}, times(5000, opLoop, blockEmpty), times(5001, opEnd))), "too intricate"},
		"loops over locals":    {moduleOf(slices.Concat([]byte{1, 0x80, 8, typeI32}, times(200, opLoop, blockEmpty), times(201, opEnd))), "too intricate"},
		"blocks in another":    {moduleOf(slices.Concat([]byte{0}, times(20_000, opBlock, blockEmpty), times(20_001, opEnd))), "too intricate"},
		"branches":             {moduleOf(slices.Concat([]byte{0}, times(20_000, opI32Const, 0, opBrIf, 0), []byte{opEnd})), "too intricate"},
		"branch table": {moduleOf(slices.Concat([]byte{0, opI32Const, 0, opBrTable}, appendU32(nil, 20_000), times(20_001, 0), []byte{opEnd})),
			"too intricate"},
		"locals":     {moduleOf(append(manyLocals, opEnd)), "more than 4096 locals"},
		"long":       {moduleOf(slices.Concat([]byte{0}, times(maxBody, opNop), []byte{opEnd})), "262144 are allowed: split it"},
		"after end":  {moduleOf([]byte{0, opEnd, opNop, opEnd}), "instructions after its end"},
		"unfinished": {moduleOf([]byte{0, opBlock, blockEmpty, opEnd}), "ends in the middle"},
		// The engine would see a division and instructions where metering sees 16 bytes of a constant.
		"hidden instructions": {moduleOf(slices.Concat([]byte{0, opVector, 0x8c, 0x80, 0}, times(16, opNop), []byte{opDrop, opEnd})), "instruction 0xfd"},
		"long misc opcode":    {moduleOf([]byte{0, opMisc, 0x8b, 0, 0, opEnd}), "instruction 0xfc"},
		"negative block type": {moduleOf([]byte{0, opBlock, 0x63, 0x70, opEnd, opEnd}), "instruction 0x02"},
	}
	for name, c := range cases {
		m, err := inspect(c.code)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		lim := Limits{}.withDefaults()
		if _, err := m.meter(&lim); !errors.Is(err, ErrModule) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	many := maxFunctions + 1
	funcs := append(appendU32(nil, uint32(many)), make([]byte, many)...)
	code := slices.Concat(magicCore, []byte{secType, 4, 1, 0x60, 0, 0}, appendU32([]byte{secFunction}, uint32(len(funcs))), funcs)
	if _, err := inspect(code); !errors.Is(err, ErrModule) || !strings.Contains(err.Error(), "20001 functions, 20000 are allowed") {
		t.Errorf("functions: %v", err)
	}
}
