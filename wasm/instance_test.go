package wasm

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"omx/policies"
	"omx/policies/abi"
)

func TestInfo(t *testing.T) {
	code := builtin(t, "nearest")
	i := loadBuiltin(t, "nearest", true)
	info := i.Info()
	if info.Name != "nearest" || info.Digest != sha256.Sum256(code) || info.Bytes != len(code) ||
		!slices.Equal(info.Kinds, []abi.Kind{abi.Route}) || info.Major != abi.Major || info.Minor != abi.Minor {
		t.Errorf("info %+v", info)
	}
	if !i.Has(abi.Route) || i.Has(abi.Admit) || i.Has(abi.Replicate) || i.Has(0) {
		t.Error("decides other kinds than route")
	}
}

func TestEveryBuiltinLoads(t *testing.T) {
	for _, interpreter := range []bool{false, true} {
		h := newHost(t, Config{Interpreter: interpreter})
		for _, p := range policies.List() {
			i, err := h.Load(t.Context(), p.Name, builtin(t, p.Name), Limits{})
			if err != nil || !i.Has(p.Kind) {
				t.Errorf("%s: %v", p.Name, err)
			}
		}
	}
}

func TestView(t *testing.T) {
	i := loadBuiltin(t, "nearest", true)
	for _, rows := range []int{0, 1, 64, 65, 4096, 3} {
		size := abi.Size(abi.Route, rows)
		v, err := i.View(abi.Route, size)
		if err != nil || len(v) != size || cap(v) != len(v) {
			t.Errorf("%d rows: %d bytes of %d, %v", rows, len(v), cap(v), err)
		}
	}
	for _, size := range []int{-1, maxView + 1} {
		if _, err := i.View(abi.Route, size); !errors.Is(err, ErrView) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if _, err := i.View(abi.Admit, 1); !errors.Is(err, ErrKind) {
		t.Errorf("view of another kind: %v", err)
	}
	if i.Spoiled() {
		t.Error("refused views spoiled the instance")
	}
}

// The host asks for room once per size, and takes another place for a larger one.
func TestViewMoves(t *testing.T) {
	i, err := newHost(t, Config{}).Load(t.Context(), "move", corpus(t, "run")["move"], Limits{})
	if err != nil {
		t.Fatal(err)
	}
	pages := func() uint32 { return i.memory.Size() >> 16 }
	small, err := i.View(abi.Route, 100)
	if err != nil {
		t.Fatal(err)
	}
	start := pages()
	for _, size := range []int{1, leastRoom, 2, leastRoom} {
		if _, err := i.View(abi.Route, size); err != nil || pages() != start {
			t.Fatalf("%d bytes: %d pages, were %d (%v)", size, pages(), start, err)
		}
	}
	large, err := i.View(abi.Route, leastRoom+1)
	if err != nil || pages() != start+6 || &small[0] == &large[0] {
		t.Fatalf("more bytes: %d pages, were %d (%v)", pages(), start, err)
	}
	if _, err := i.View(abi.Route, 2*leastRoom); err != nil || pages() != start+6 {
		t.Fatalf("twice the bytes: %d pages (%v)", pages(), err)
	}
}

func TestViewRefusedByGuest(t *testing.T) {
	i, err := newHost(t, Config{}).Load(t.Context(), "stubborn", corpus(t, "run")["stubborn"], Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.View(abi.Route, leastRoom+1); !errors.Is(err, ErrView) || i.Spoiled() {
		t.Errorf("more bytes: %v, spoiled %v", err, i.Spoiled())
	}
	if _, err := i.View(abi.Route, leastRoom); err != nil {
		t.Errorf("as many bytes as it has: %v", err)
	}
}

func TestCallRefuses(t *testing.T) {
	i := loadBuiltin(t, "nearest", true)
	v := sample(t, i, abi.Route, 64)
	for name, c := range map[string]struct {
		kind abi.Kind
		len  int
		want error
	}{
		"other kind":   {abi.Admit, len(v), ErrKind},
		"no header":    {abi.Route, abi.HeaderSize - 1, ErrView},
		"negative":     {abi.Route, -1, ErrView},
		"beyond":       {abi.Route, leastRoom + 1, ErrView},
		"whole":        {abi.Route, len(v), nil},
		"header alone": {abi.Route, abi.HeaderSize, nil}, // the guest sees 64 rows that do not fit
	} {
		a, _, err := i.Call(c.kind, c.len, 64)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if name == "header alone" && a.Status() != abi.BadRequest {
			t.Errorf("%s: status %v", name, a.Status())
		}
	}
}

func TestClose(t *testing.T) {
	h := newHost(t, Config{})
	load := func() *Instance {
		i, err := h.Load(t.Context(), "nearest", builtin(t, "nearest"), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	first, second := load(), load()
	if err := errors.Join(first.Close(), first.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := first.View(abi.Route, 1); !errors.Is(err, ErrClosed) || first.Spoiled() {
		t.Errorf("view of a closed instance: %v, spoiled %v", err, first.Spoiled())
	}
	if _, _, err := first.Call(abi.Route, abi.HeaderSize, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("call of a closed instance: %v", err)
	}
	// Closing one must not touch another of the same module.
	if _, _, err := second.try(abi.Route, 8); err != nil {
		t.Error(err)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := second.View(abi.Route, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("view after the host was closed: %v", err)
	}
	if _, err := h.Load(t.Context(), "late", builtin(t, "nearest"), Limits{}); !errors.Is(err, ErrClosed) {
		t.Errorf("load after the host was closed: %v", err)
	}
}

func TestLimits(t *testing.T) {
	if err := (Limits{}).Validate(); err != nil {
		t.Error(err)
	}
	bad := Limits{ModuleBytes: -1, MemoryPages: 4097, FuelBase: maxFuel + 1, FuelPerRow: maxFuelPerRow + 1, FuelEvent: maxFuel + 1, FuelLoad: maxFuel + 1}
	if err := bad.Validate(); err == nil || len(err.(interface{ Unwrap() []error }).Unwrap()) != 6 {
		t.Errorf("validate: %v, want six errors", err)
	}
	h := newHost(t, Config{})
	if _, err := h.Load(t.Context(), "x", builtin(t, "nearest"), bad); err == nil {
		t.Error("loaded with limits out of range")
	}
	if _, err := h.Load(t.Context(), "x", corpus(t, "run")["spin"], Limits{MemoryPages: 5}); !errors.Is(err, ErrModule) {
		t.Errorf("loaded with less memory than it needs: %v", err)
	}
	// The sample view of three rows takes more than that.
	if _, err := h.Load(t.Context(), "x", builtin(t, "expected-time"), Limits{FuelBase: 100, FuelPerRow: 1}); !errors.Is(err, ErrOutOfFuel) {
		t.Errorf("loaded with too little fuel: %v", err)
	}
	lim := Limits{}.withDefaults()
	if got := lim.fuel(abi.Route, 64, 0); got != 20_000+64*1_000 {
		t.Errorf("fuel of 64 rows: %d", got)
	}
}

func TestDecisionAllocates(t *testing.T) {
	i := loadBuiltin(t, "expected-time", true)
	view := slices.Clone(sample(t, i, abi.Route, 64))
	if n := testing.AllocsPerRun(1000, func() { decideOn(t, i, view) }); n != 0 {
		t.Errorf("a decision allocates %v times", n)
	}
	if n := testing.AllocsPerRun(1000, func() { _ = i.Info().Digest; i.Has(abi.Admit); i.Spoiled() }); n != 0 {
		t.Errorf("questions allocate %v times", n)
	}
}
