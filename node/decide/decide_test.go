package decide_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/nodetest"
	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

const now = catalog.Micros(1_000_000_000)

var modelID = nodetest.Model

func nodeID(t testing.TB, i int) catalog.NodeID {
	return nodetest.Node(t, "node"+string(rune('A'+i/26))+string(rune('a'+i%26)))
}

// fleet is a snapshot of n nodes that hold model "m"; node 0 is this one. edit
// changes each record before it is put.
func fleet(t testing.TB, n int, edit func(i int, info *catalog.NodeInfo)) *catalog.Table {
	t.Helper()
	var table *catalog.Table
	for i := range n {
		info := catalog.NodeInfo{ID: nodeID(t, i), Name: "n", Seq: 1, At: now, MemFreeMiB: 1000, Placements: []catalog.Placement{{
			Model: modelID(t, "m"), State: catalog.Loaded, Load: catalog.Load{Slots: 4, At: now - 1000},
			Speed: catalog.Speed{PrefillNS: 1_000_000, DecodeUS: 10_000, At: now - 5000}}}}
		if edit != nil {
			edit(i, &info)
		}
		if i == 0 {
			var err error
			if table, err = catalog.NewTable(info); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := table.PutRecord(info); err != nil {
			t.Fatal(err)
		}
		table.SetRTT(info.ID, uint32(1000*i), now-2000)
		table.SetUp(info.ID, true)
	}
	table.Publish()
	return table
}

func newDecider(t testing.TB, record *decide.Record) *decide.Decider {
	return deciderWith(t, decide.Config{Record: record})
}

func deciderWith(t testing.TB, c decide.Config) *decide.Decider {
	t.Helper()
	host, err := wasm.NewHost(context.Background(), wasm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c.Load = decide.HostLoader(host, wasm.Limits{}, nil)
	d := decide.New(c)
	t.Cleanup(func() {
		if err := errors.Join(d.Close(), host.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return d
}

func use(t testing.TB, d *decide.Decider, kind abi.Kind, name string) {
	t.Helper()
	if err := d.Use(context.Background(), kind, builtin(t, name)); err != nil {
		t.Fatal(err)
	}
}

func randomFleet(t *testing.T, rng *rand.Rand) *catalog.Table {
	wild := func() uint32 { return rng.Uint32() >> rng.IntN(32) }
	at := func() catalog.Micros {
		if rng.IntN(4) == 0 {
			return 0
		}
		return now - catalog.Micros(rng.IntN(5_000_000))
	}
	return fleet(t, 1+rng.IntN(80), func(i int, info *catalog.NodeInfo) {
		info.Draining = i > 0 && rng.IntN(8) == 0
		p := &info.Placements[0]
		p.State = catalog.State(rng.IntN(3))
		p.Load = catalog.Load{Queued: wild(), Running: wild(), Slots: wild(), At: at()}
		p.Speed = catalog.Speed{PrefillNS: wild(), DecodeUS: wild(), At: at()}
	})
}

// The Go rules and the policies they are named after are two writings of one
// formula: whatever the figures, they must say the same.
func TestBuiltinRulesEqualTheirPolicies(t *testing.T) {
	guest, native := newDecider(t, nil), newDecider(t, nil)
	use(t, guest, abi.Route, "expected-time")
	use(t, guest, abi.Admit, "bounded-queue")
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		table := randomFleet(t, rng)
		s := table.Snapshot()
		for _, h := range s.Holders(modelID(t, "m")) {
			for range rng.IntN(4) {
				h.Seen.Sent(100, now-9)
				if rng.IntN(2) == 0 {
					h.Seen.Done(rng.IntN(2) == 0, 100, 0, now-5)
				}
			}
		}
		r := decide.Request{Model: modelID(t, "m"), Prompt: rng.Uint32() >> rng.IntN(32), MaxOut: rng.Uint32() >> rng.IntN(32),
			ExpectOut: rng.Uint32() >> rng.IntN(32)}
		var a, b decide.Picks
		guest.Route(now, s, &r, &a)
		native.Route(now, s, &r, &b)
		if a.N != b.N || a.Pick != b.Pick {
			t.Fatalf("the policy picks\n%+v\nthe rule\n%+v", a.List(), b.List())
		}
		if a.By.Policy != "expected-time" || b.By.Policy != decide.Builtin || a.By.Fuel == 0 {
			t.Fatalf("decided by %+v and %+v", a.By, b.By)
		}
		v, w := guest.Admit(now, s, &r), native.Admit(now, s, &r)
		if v.Action != w.Action || v.Reason != w.Reason || v.Wait != w.Wait {
			t.Fatalf("the policy says %+v, the rule %+v", v, w)
		}
	}
}

func TestRouteOrder(t *testing.T) {
	for _, policy := range []string{"", policies.DefaultRoute, "nearest", "least-loaded"} {
		t.Run("policy "+policy, func(t *testing.T) {
			d := newDecider(t, nil)
			if policy != "" {
				use(t, d, abi.Route, policy)
			}
			// Ever farther, ever busier: every rule must keep the order.
			table := fleet(t, 6, func(i int, info *catalog.NodeInfo) { info.Placements[0].Load.Running = uint32(4 * i) })
			var p decide.Picks
			d.Route(now, table.Snapshot(), &decide.Request{Model: modelID(t, "m"), Prompt: 100}, &p)
			if p.N != 6 {
				t.Fatalf("%d picks, want 6", p.N)
			}
			for i, pick := range p.List() {
				if pick.Node != nodeID(t, i) || pick.Self != (i == 0) {
					t.Errorf("pick %d is %v", i, pick.Node)
				}
			}
		})
	}
}

func TestRouteLeavesOut(t *testing.T) {
	d := newDecider(t, nil)
	use(t, d, abi.Route, "random")
	table := fleet(t, 5, func(i int, info *catalog.NodeInfo) { info.Draining = i == 2 })
	table.SetUp(nodeID(t, 3), false)
	table.SetSuspect(nodeID(t, 4), true)
	table.Publish()
	var p decide.Picks
	for seed := range uint64(50) {
		d.Route(now, table.Snapshot(), &decide.Request{Model: modelID(t, "m"), Seed: seed}, &p)
		for _, pick := range p.List() {
			if pick.Node != nodeID(t, 0) && pick.Node != nodeID(t, 1) {
				t.Fatalf("picked %v, which is draining, down or suspect", pick.Node)
			}
		}
	}
	d.Route(now, table.Snapshot(), &decide.Request{Model: modelID(t, "other")}, &p)
	if p.N != 0 || p.By.Status != abi.NoCandidate {
		t.Errorf("a model nobody has: %d picks, %v", p.N, p.By.Status)
	}
}

// What this node has sent since a load was sampled counts at once, or all
// requests of one heartbeat would go to the same node.
func TestSentSinceSpreadsRequests(t *testing.T) {
	d := newDecider(t, nil)
	use(t, d, abi.Route, policies.DefaultRoute)
	table := fleet(t, 4, nil)
	s := table.Snapshot()
	got := map[catalog.NodeID]int{}
	for range 32 {
		var p decide.Picks
		d.Route(now, s, &decide.Request{Model: modelID(t, "m"), Prompt: 10}, &p)
		p.Pick[0].Seen.Sent(100, now)
		got[p.Pick[0].Node]++
	}
	for id, n := range got {
		if n > 10 {
			t.Errorf("%v got %d of 32 requests", id, n)
		}
	}
	if len(got) != 4 {
		t.Errorf("%d of 4 nodes were used", len(got))
	}
}

func TestAdmission(t *testing.T) {
	for _, tc := range []struct {
		name            string
		running, queued uint32
		want            abi.Action
	}{
		{"free slot", 3, 0, abi.Allow}, {"all slots busy", 4, 0, abi.Queue}, {"queue nearly full", 4, 15, abi.Queue}, {"queue full", 4, 16, abi.Shed},
	} {
		for _, policy := range []string{"", "bounded-queue"} {
			d := newDecider(t, nil)
			if policy != "" {
				use(t, d, abi.Admit, policy)
			}
			table := fleet(t, 1, func(_ int, info *catalog.NodeInfo) {
				info.Placements[0].Load.Running, info.Placements[0].Load.Queued = tc.running, tc.queued
			})
			v := d.Admit(now, table.Snapshot(), &decide.Request{Model: modelID(t, "m")})
			if v.Action != tc.want || (v.Wait > 0) != (tc.want == abi.Shed) {
				t.Errorf("%s, policy %q: %v after %v, want %v", tc.name, policy, v.Action, v.Wait, tc.want)
			}
			if v := d.Admit(now, table.Snapshot(), &decide.Request{Model: modelID(t, "elsewhere")}); v.Action != abi.Allow {
				t.Errorf("%s: a model this node does not hold is %v", tc.name, v.Action)
			}
		}
	}
}

func TestDecisionsDoNotAllocate(t *testing.T) {
	d := newDecider(t, &decide.Record{})
	use(t, d, abi.Route, policies.DefaultRoute)
	use(t, d, abi.Admit, policies.DefaultAdmit)
	s := fleet(t, 64, nil).Snapshot()
	r := decide.Request{Model: modelID(t, "m"), Prompt: 100, MaxOut: 200}
	var p decide.Picks
	if n := testing.AllocsPerRun(500, func() { d.Route(now, s, &r, &p) }); n != 0 {
		t.Errorf("a route decision allocates %v times", n)
	}
	if n := testing.AllocsPerRun(500, func() { d.Admit(now, s, &r) }); n != 0 {
		t.Errorf("an admission allocates %v times", n)
	}
}

func TestRecordExplains(t *testing.T) {
	record := &decide.Record{}
	d := newDecider(t, record)
	use(t, d, abi.Route, policies.DefaultRoute)
	s := fleet(t, 3, nil).Snapshot()
	var p decide.Picks
	d.Route(now, s, &decide.Request{Model: modelID(t, "m"), Prompt: 7}, &p)
	record.Outcome(p.ID, decide.Outcome{Done: true, Tokens: 5})
	x, err := record.Explain(p.ID)
	if err != nil || len(x.Rows) != 3 || x.Header.Prompt != 7 || x.Outcome.Tokens != 5 || x.Nodes[0] != nodeID(t, 0) {
		t.Fatalf("explain = %+v, %v", x, err)
	}
	if x.Scores[0] != p.Pick[0].Score {
		t.Errorf("score %d, the pick says %d", x.Scores[0], p.Pick[0].Score)
	}
	for range 300 {
		d.Route(now, s, &decide.Request{Model: modelID(t, "m")}, &p)
	}
	if _, err := record.Explain(x.ID); err == nil {
		t.Error("a decision that fell out of the ring is explained")
	}
}

// busy has a number of goroutines route all the time, until stop is called, which
// waits for them. All that is picked must be right.
func busy(t *testing.T, d *decide.Decider, s *catalog.Snapshot, goroutines int, right func(p *decide.Picks) bool) (stop func()) {
	end := make(chan struct{})
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			var p decide.Picks
			for {
				select {
				case <-end:
					return
				default:
				}
				d.Route(now, s, &decide.Request{Model: modelID(t, "m")}, &p)
				if !right(&p) {
					t.Errorf("%d picks by %+v", p.N, p.By)
					return
				}
			}
		})
	}
	return func() { close(end); wg.Wait() }
}

// Swapping while deciders are busy loses nothing: every decision is one of the
// two policies', whole.
func TestSwapUnderLoad(t *testing.T) {
	d := newDecider(t, nil)
	use(t, d, abi.Route, "nearest")
	s := fleet(t, 8, nil).Snapshot()
	stop := busy(t, d, s, 4, func(p *decide.Picks) bool { return p.N == 8 && p.By.Status == abi.OK && p.By.Policy != decide.Builtin })
	for i := range 50 {
		use(t, d, abi.Route, []string{"least-loaded", "nearest"}[i%2])
	}
	stop()
}

func TestUseRefusesWrongModules(t *testing.T) {
	d := newDecider(t, nil)
	use(t, d, abi.Route, "nearest")
	admit, _ := policies.Builtin(policies.DefaultAdmit)
	for name, code := range map[string][]byte{"empty": nil, "not wasm": []byte("hello"), "wrong kind": admit} {
		if err := d.Use(t.Context(), abi.Route, decide.Policy{Name: name, Code: code}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if a := d.Active(abi.Route); a.Active.Name != "nearest" || a.Generation != 1 {
		t.Errorf("after refusals %+v decides", a)
	}
}

func BenchmarkRoute64(b *testing.B) { benchmarkRoute(b, policies.DefaultRoute) }

func BenchmarkRoute64Builtin(b *testing.B) { benchmarkRoute(b, "") }

func benchmarkRoute(b *testing.B, policy string) {
	d := newDecider(b, nil)
	if policy != "" {
		use(b, d, abi.Route, policy)
	}
	s := fleet(b, 64, nil).Snapshot()
	r := decide.Request{Model: modelID(b, "m"), Prompt: 100, MaxOut: 200}
	var p decide.Picks
	b.ReportAllocs()
	for b.Loop() {
		d.Route(now, s, &r, &p)
	}
}

func BenchmarkAdmit(b *testing.B) {
	d := newDecider(b, nil)
	use(b, d, abi.Admit, policies.DefaultAdmit)
	s := fleet(b, 1, nil).Snapshot()
	r := decide.Request{Model: modelID(b, "m"), Prompt: 100}
	b.ReportAllocs()
	for b.Loop() {
		d.Admit(now, s, &r)
	}
}
