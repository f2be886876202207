package wasm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/policies/abi"
)

// corpus reads the modules of one group of policies/corpus by name.
func corpus(t testing.TB, group string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../policies/corpus/" + group + "/*.wasm")
	if err != nil || len(files) == 0 {
		t.Fatalf("no modules in corpus %s (%v)", group, err)
	}
	found := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimSuffix(filepath.Base(f), ".wasm")] = b
	}
	return found
}

func TestLoadRefuses(t *testing.T) {
	// What the message must say: the fault, and where one can do something, what.
	want := map[string]string{
		"wasi":            "imports wasi_snapshot_preview1.sock_accept, env.now: granted are omx1.log, omx1.count and a part of wasi_snapshot_preview1 (see policies/ABI.md); a policy has no files",
		"abort":           "build with --use abort=",
		"imported-memory": "imports env.memory (memory)",
		"no-memory":       `exported as "memory"`,
		"big-memory":      "needs 65 pages of memory, 64 are allowed",
		"shared-memory":   "without threads",
		"memory64":        "build for wasm32",
		"big-table":       "tables of 100000 elements, 65536 are allowed",
		"grow-table":      "tables must have a fixed size",
		"steals-fuel":     `exports "omx.fuel", which belongs to the host`,
		"no-abi":          "does not export the function omx_abi",
		"no-buf":          "does not export the function omx_buf",
		"decides-nothing": "decides nothing",
		"old":             "speaks version 2.0 of the interface, this program 1.0",
		"newer":           "speaks version 1.9 of the interface",
		"wrong-type":      "exports omx_route(i32) -> (i32): it must be omx_route(i32, i32) -> (i64)",
		"far-area":        "reach beyond the memory",
		"odd-area":        "not a multiple of 8",
		"no-area":         "omx_buf refuses 32768 bytes for kind 2",
		"start-spins":     "does not start",
		"start-traps":     "does not start: start function[3] failed: wasm error: unreachable",
		"abi-spins":       "fails in omx_abi: out of fuel",
		"route-spins":     "omx_route: out of fuel",
		"route-traps":     "omx_route: trapped: wasm error: unreachable",
		"route-lies":      "answer names row 77 of 3",
		"route-unread":    "cannot read the view",
		"many-results":    "has a function of 0 parameters and 9 results, 32 and 8 are allowed",
		"wrong-import":    "import func[omx1.count]: signature mismatch",
		"init-spins":      "fails in _initialize: out of fuel",
		"throws":          "section of unknown id 13",
		"tail-call":       "uses instruction 0x12",
	}
	h := newHost(t, Config{})
	for name, code := range corpus(t, "refused") {
		i, err := h.Load(t.Context(), name, code, Limits{})
		if i != nil || !errors.Is(err, ErrModule) || want[name] == "" || !strings.Contains(err.Error(), want[name]) {
			t.Errorf("%s: error %v, want one with %q", name, err, want[name])
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: message of several lines: %v", name, err)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s is not in the corpus", name)
	}
	if len(h.open) != 0 {
		t.Errorf("%d refused modules are kept", len(h.open))
	}
}

func TestLoadRefusesBytes(t *testing.T) {
	good := builtin(t, "nearest")
	cases := map[string]struct {
		code []byte
		want string
	}{
		"empty":     {nil, "only 0 bytes"},
		"text":      {[]byte("\n(module)"), "WebAssembly text"},
		"component": {append([]byte("\x00asm\x0d\x00\x01\x00"), good[8:]...), "core module"},
		"version":   {append([]byte("\x00asm\x02\x00\x00\x00"), good[8:]...), "binary version 02000000"},
		"program":   {[]byte("\x7fELF\x02\x01\x01\x00\x00"), `begins with "\x7fELF"`},
		"too long":  {append(good[:len(good):len(good)], make([]byte, 1<<20)...), "bytes long, 1048576 are allowed"},
		"doubled":   {append(good[:len(good):len(good)], good[8:]...), "twice or out of order"},
	}
	h := newHost(t, Config{})
	for name, c := range cases {
		if _, err := h.Load(t.Context(), name, c.code, Limits{}); !errors.Is(err, ErrModule) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	for n := range good {
		if _, err := h.Load(t.Context(), "cut", good[:n], Limits{}); !errors.Is(err, ErrModule) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

// Modules that pass the checks and misbehave later lose one decision only.
func TestRunaways(t *testing.T) {
	cases := map[string]struct {
		err    error
		answer abi.Answer // without an error
	}{
		"spin":        {err: ErrOutOfFuel},
		"fib":         {err: ErrOutOfFuel},
		"recurse":     {err: ErrOutOfFuel},
		"wide":        {err: ErrOutOfFuel},
		"fill":        {err: ErrOutOfFuel},
		"unreachable": {err: ErrTrap},
		"bounds":      {err: ErrTrap},
		"divide":      {err: ErrTrap},
		"indirect":    {err: ErrTrap},
		"grow":        {answer: 0},
		"liar":        {answer: 4096},
		"nonsense":    {answer: ^abi.Answer(0)},
		"scribble":    {answer: 0},
		"move":        {answer: 0},
		"stubborn":    {answer: 0},
		"log-flood":   {err: ErrOutOfFuel},
		"exits":       {err: ErrTrap},
		"admit-traps": {err: ErrTrap},
		"drops":       {answer: 4},
		"listens":     {answer: 0},
		"tables":      {err: ErrOutOfFuel},
		"prints":      {err: ErrOutOfFuel},
		"draws":       {err: ErrOutOfFuel},
		"waits":       {err: ErrOutOfFuel},
		"roots":       {err: ErrOutOfFuel},
		"refs":        {err: ErrOutOfFuel},
		"chase":       {err: ErrOutOfFuel},
		"vectors":     {err: ErrOutOfFuel},
	}
	modules := corpus(t, "run")
	for _, interpreter := range []bool{false, true} {
		h := newHost(t, Config{Interpreter: interpreter})
		for name, code := range modules {
			want, known := cases[name]
			if !known {
				t.Fatalf("%s is in the corpus, but nothing is expected of it", name)
			}
			i, err := h.Load(t.Context(), name, code, Limits{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			kind := i.Info().Kinds[0]
			a, fuel, err := retry(t, i)
			if !errors.Is(err, want.err) || err == nil && a != want.answer {
				t.Errorf("%s: answer %#x, error %v; want %#x, %v", name, a, err, want.answer, want.err)
			}
			if budget := i.lim.fuel(kind, 8, 0); fuel == 0 || fuel > budget || want.err == ErrOutOfFuel && fuel != budget {
				t.Errorf("%s: used %d of %d", name, fuel, budget)
			}
			if i.Spoiled() != (want.err != nil) {
				t.Errorf("%s: spoiled %v after %v", name, i.Spoiled(), err)
			}
			if want.err != nil {
				if _, _, err := i.Call(kind, abi.Size(kind, 8), 8); !errors.Is(err, ErrSpoiled) || !errors.Is(err, want.err) {
					t.Errorf("%s: call after it was spoiled: %v", name, err)
				}
				if _, err := i.View(kind, abi.Size(kind, 8)); !errors.Is(err, ErrSpoiled) {
					t.Errorf("%s: view after it was spoiled: %v", name, err)
				}
			}
		}
	}
}

// retry calls a module of the run corpus so that it misbehaves.
func retry(t testing.TB, i *Instance) (abi.Answer, uint64, error) {
	t.Helper()
	kind := i.Info().Kinds[0]
	v, err := i.View(kind, abi.Size(kind, 8))
	if err != nil {
		t.Fatal(err)
	}
	clear(v)
	abi.Begin(v, &abi.Shape{Kind: kind, Rows: 8, Stride: abi.RowSize}).Attempt = 1
	return i.Call(kind, len(v), 8)
}

func TestGrowthIsBounded(t *testing.T) {
	i, err := newHost(t, Config{}).Load(t.Context(), "grow", corpus(t, "run")["grow"], Limits{MemoryPages: 16})
	if err != nil {
		t.Fatal(err)
	}
	before, err := i.View(abi.Route, abi.Size(abi.Route, 8))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := retry(t, i); err != nil {
		t.Fatal(err)
	}
	if pages := i.memory.Size() >> 16; pages != 16 {
		t.Errorf("grew to %d pages, want 16", pages)
	}
	after, err := i.View(abi.Route, abi.Size(abi.Route, 8))
	if err != nil || &before[0] != &after[0] {
		t.Errorf("the view moved (%v)", err)
	}
}
