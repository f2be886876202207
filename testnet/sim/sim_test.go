package sim

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/policies"
	"omx/wasm"
)

// loader is the real policy host.
func loader(t testing.TB) decide.Loader {
	t.Helper()
	h, err := wasm.NewHost(context.Background(), wasm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return decide.HostLoader(h, wasm.Limits{}, nil)
}

func builtin(t testing.TB, name string) Policy {
	t.Helper()
	code, ok := policies.Builtin(name)
	if !ok {
		t.Fatalf("no policy %s", name)
	}
	return Policy{name, code}
}

func small() Scenario {
	s := Default()
	s.Nodes, s.Sites, s.Requests = 12, 3, 600
	return s
}

func run(t testing.TB, s Scenario, p ...Policy) *Result {
	t.Helper()
	r, err := Run(context.Background(), s, p, loader(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Violations) != 0 {
		t.Fatalf("violations: %v", r.Violations)
	}
	if r.Served+r.Shed+r.Unroutable+r.Exhausted != r.Offered || r.Offered != s.Requests {
		t.Errorf("served %d + shed %d + unroutable %d + exhausted %d is not offered %d", r.Served, r.Shed, r.Unroutable, r.Exhausted, r.Offered)
	}
	return r
}

func TestSameSeedSameRun(t *testing.T) {
	p := []Policy{builtin(t, "expected-time"), builtin(t, "bounded-queue")}
	a, b := run(t, small(), p...), run(t, small(), p...)
	if !reflect.DeepEqual(a, b) {
		t.Errorf("two runs of one seed:\n%+v\n%+v", a, b)
	}
	if a.Fuel == 0 || a.Builtin != 0 || a.Faults != 0 {
		t.Errorf("policies did not decide: %+v", a)
	}
	other := small()
	other.Seed++
	if c := run(t, other, p...); c.Fingerprint == a.Fingerprint {
		t.Error("another seed has the same fingerprint")
	}
	if c := run(t, small(), builtin(t, "random"), p[1]); c.Fingerprint == a.Fingerprint {
		t.Error("another policy has the same fingerprint")
	}
}

// The built-in rules and the modules made from the same formulas must take the
// same decisions all run long.
func TestModulesDecideAsBuiltinRules(t *testing.T) {
	a, b := run(t, small()), run(t, small(), builtin(t, "expected-time"), builtin(t, "bounded-queue"))
	if a.Builtin != a.Decisions || b.Builtin != 0 {
		t.Errorf("built-in decisions: %d of %d, %d", a.Builtin, a.Decisions, b.Builtin)
	}
	a.Fingerprint, a.Fuel, a.Builtin = b.Fingerprint, b.Fuel, b.Builtin // what must differ
	if !reflect.DeepEqual(a, b) {
		t.Errorf("built-in rules:\n%+v\nmodules:\n%+v", a, b)
	}
}

// Load that nobody can carry is refused, and what is refused counts as offered.
func TestOverload(t *testing.T) {
	s := small()
	s.Load = 3
	r := run(t, s)
	if r.Shed+r.Exhausted < s.Requests/4 || r.Goodput > 0.7 {
		t.Errorf("at three times what the fleet can do: %+v", r)
	}
	s.Load = 0.05
	if r := run(t, s, builtin(t, "least-loaded")); r.Served != s.Requests || r.Goodput < 0.5 {
		t.Errorf("at a twentieth: %+v", r)
	}
}

func TestNobodyHoldsIt(t *testing.T) {
	w := newWorld(t, small())
	for _, n := range w.fleet.nodes {
		n.info.Placements = nil
		n.table, _ = catalog.NewTable(n.record(start))
	}
	w.begin()
	if err := w.play(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	w.check.end(w)
	r, err := w.summary()
	if err != nil || r.Unroutable != r.Offered || len(r.Violations) != 0 {
		t.Errorf("%+v, %v; want all unroutable", r, err)
	}
}

// newWorld is Run up to the first event, with the built-in rules.
func newWorld(t *testing.T, s Scenario) *world {
	t.Helper()
	w := &world{scenario: &s, topology: newTopology(&s), print: newFingerprint(), left: s.Requests}
	devices := dealDevices(&s)
	w.requests, w.rate = newWorkload(&s, w.topology, devices)
	w.flights = make([]flight, len(w.requests))
	var err error
	if w.fleet, err = newFleet(&s, w.topology, devices); err != nil {
		t.Fatal(err)
	}
	w.check = newChecker(w.fleet, len(w.requests))
	for _, n := range w.fleet.nodes {
		n.decider = decide.New(decide.Config{})
	}
	return w
}

// What a simulator gets wrong must show as a violation.
func TestCheckerFinds(t *testing.T) {
	cases := map[string]struct {
		want  string
		spoil func(w *world)
	}{
		"a slot too many":  {"in 0 slots", func(w *world) { w.fleet.nodes[0].engine.prefill = []job{{}}; w.fleet.nodes[0].engine.slots = 0 }},
		"a queue too long": {"its bound is", func(w *world) { n := w.fleet.nodes[0]; n.engine.waiting = make([]job, n.engine.bound+1) }},
		"an idle slot":     {"beside a free slot", func(w *world) { w.fleet.nodes[0].engine.waiting = make([]job, 1) }},
		"a lost request":   {"it was given 1 more", func(w *world) { w.check.in[0] = 1 }},
		"time goes back":   {"time went back", func(w *world) { w.check.now = w.now + 1 }},
		"accepted twice":   {"accepted 2 times", func(w *world) { w.check.entered(w.fleet.nodes[0], 3); w.check.entered(w.fleet.nodes[0], 3) }},
		"never accepted":   {"after 0 entries", func(w *world) { w.check.left(w.fleet.nodes[0], 3, 1) }},
		"ended twice":      {"ended 2 times", func(w *world) { w.check.ended(3, open); w.check.ended(3, served) }},
		"never ended":      {"ended 0 times", func(w *world) {}},
		"first after last": {"had its first token", func(w *world) {
			w.flights[0] = flight{end: served, first: 9, done: 8}
			w.check.ends[0], w.check.entries[0], w.check.exits[0] = 1, 1, 1
		}},
		"left in the engine": {"still has", func(w *world) { w.check.in[1] = 1 }},
	}
	for name, c := range cases {
		s := small()
		s.Requests = 5
		w := newWorld(t, s)
		w.now = start
		c.spoil(w)
		w.check.engine(w.fleet.nodes[0], w.now)
		w.check.end(w)
		if !strings.Contains(strings.Join(w.check.list(), "\n"), c.want) {
			t.Errorf("%s: found %q, want one with %q", name, w.check.list(), c.want)
		}
	}
}

func TestRunErrors(t *testing.T) {
	load := loader(t)
	if _, err := Run(context.Background(), small(), []Policy{{"mine.wasm", []byte("no module")}}, load, nil); err == nil || !strings.Contains(err.Error(), "mine.wasm") {
		t.Errorf("no module: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, small(), nil, load, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for name, spoil := range map[string]func(*Scenario){
		"nodes":    func(s *Scenario) { s.Nodes = 0 },
		"sites":    func(s *Scenario) { s.Sites = s.Nodes + 1 },
		"requests": func(s *Scenario) { s.Requests = maxRequests + 1 },
		"load":     func(s *Scenario) { s.Load = math.NaN() },
		"rate":     func(s *Scenario) { s.Rate = -1 },
		"heart":    func(s *Scenario) { s.Heartbeat = 0 },
		"queue":    func(s *Scenario) { s.Queue = -1 },
		"slo":      func(s *Scenario) { s.SLO.TTFT = 0 },
		"prompt":   func(s *Scenario) { s.Prompt.Max = maxTokens + 1 },
		"output":   func(s *Scenario) { s.Output.Min = 0 },
		"device":   func(s *Scenario) { s.Devices[0].Device.Slots = maxSlots + 1 },
		"share":    func(s *Scenario) { s.Devices[0].Share = 0 },
		"model":    func(s *Scenario) { s.Models[0].Name = "../x" },
		"twice":    func(s *Scenario) { s.Models[1].Name = s.Models[0].Name },
		"placed":   func(s *Scenario) { s.Models[0].Placed = 0 },
		"skew":     func(s *Scenario) { s.SiteSkew = math.Inf(1) },
	} {
		s := small()
		spoil(&s)
		if err := s.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := Run(context.Background(), s, nil, load, nil); err == nil {
			t.Errorf("%s: run", name)
		}
	}
}

// BenchmarkRun is the run that bench testnet makes for each policy.
func BenchmarkRun(b *testing.B) {
	p := []Policy{builtin(b, "expected-time"), builtin(b, "bounded-queue")}
	load := loader(b)
	for b.Loop() {
		if _, err := Run(context.Background(), Default(), p, load, nil); err != nil {
			b.Fatal(err)
		}
	}
}
