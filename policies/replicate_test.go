package policies_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"omx/policies/abi"
)

// estate is a fleet and what it holds, on which plans are carried out.
type estate struct {
	g      *guest
	rows   []abi.Row
	up     []bool
	models []abi.Model
	held   []map[int]bool // by model: rows
	since  uint32         // when all copies came; 0 unknown
	at     uint32
	moved  int
}

// fleet is so many nodes in zones of three, with 100 GiB of free disk each.
func fleet(t *testing.T, name, params string, rows, models int) *estate {
	e := &estate{g: use(t, abi.Replicate, name, params), at: now}
	e.rows = nodes(rows, func(i int, r *abi.Row) {
		r.Zone, r.DiskFree, r.MachineAt = uint32(i/3), 100_000, now
	})
	for i := range rows {
		e.rows[i].Node = uint64(i)*7919 + 1
		e.up = append(e.up, true)
	}
	for m := range models {
		e.models = append(e.models, abi.Model{Model: uint64(m)*104729 + 1, Bytes: 4000 << 20, Demand1h: 10, Refetch: 400})
		e.held = append(e.held, map[int]bool{m % rows: true})
	}
	return e
}

// plan asks for the steps; only nodes that are up are in the view.
func (e *estate) plan() []abi.Step {
	e.g.t.Helper()
	var rows []int
	place := map[int]int{}
	for i, up := range e.up {
		if up {
			place[i] = len(rows)
			rows = append(rows, i)
		}
	}
	var copies []abi.Copy
	for m := range e.models {
		e.models[m].Copies = 0
		for i := range e.rows { // in the order of rows, not of the map
			if e.held[m][i] && e.up[i] {
				copies = append(copies, abi.Copy{Model: uint16(m), Node: uint16(place[i]), State: uint32(abi.StateOnDisk), Part: 1000, HeldAt: e.since})
				e.models[m].Copies++
			}
		}
	}
	s := abi.Shape{Kind: abi.Replicate, Rows: len(rows), Stride: e.g.stride, Models: len(e.models), Copies: len(copies)}
	b, err := e.g.View(abi.Replicate, s.Size())
	if err != nil {
		e.g.t.Fatal(err)
	}
	h := abi.Begin(b, &s)
	h.Now, h.Clock, h.Seed, h.SelfRow = uint64(e.at)*1000, e.at, uint64(e.at), 0
	for n, i := range rows {
		abi.PutRow(b, s.Stride, n, &e.rows[i])
	}
	for m := range e.models {
		abi.PutModel(b, h, m, &e.models[m])
	}
	for c := range copies {
		abi.PutCopy(b, h, c, &copies[c])
	}
	a, fuel, err := e.g.Call(abi.Replicate, len(b), len(rows))
	if err != nil {
		e.g.t.Fatal(err)
	}
	e.g.fuel = fuel
	if b, err = e.g.View(abi.Replicate, s.Size()); err != nil {
		e.g.t.Fatal(err)
	}
	v, err := abi.Open(b)
	if err != nil || a.Status() != abi.OK || a.Value() > abi.MaxSteps {
		e.g.t.Fatalf("%v, %d steps, %v", a.Status(), a.Value(), err)
	}
	steps := make([]abi.Step, a.Value())
	for i := range steps {
		steps[i] = *v.Step(i)
		if int(steps[i].Node) >= len(rows) || int(steps[i].Model) >= len(e.models) {
			e.g.t.Fatalf("step of nobody: %+v", steps[i])
		}
		steps[i].Node = uint16(rows[steps[i].Node])
	}
	return steps
}

// carryOut takes the steps of one plan, checking each.
func (e *estate) carryOut() int {
	e.g.t.Helper()
	steps := e.plan()
	for _, s := range steps {
		m, i := int(s.Model), int(s.Node)
		size := uint32(e.models[m].Bytes>>20) + 1
		switch abi.Op(s.Op) {
		case abi.OpFetch:
			if e.held[m][i] || e.rows[i].Flags&(abi.Draining|abi.Suspect) != 0 || e.rows[i].DiskFree < size {
				e.g.t.Fatalf("fetch of %d by %d: there %v, flags %d, %d MiB free", m, i, e.held[m][i], e.rows[i].Flags, e.rows[i].DiskFree)
			}
			e.held[m][i] = true
			e.rows[i].DiskFree -= size
		case abi.OpDrop:
			if !e.held[m][i] || e.live(m) < 2 {
				e.g.t.Fatalf("drop of %d by %d: there %v, %d copies", m, i, e.held[m][i], e.live(m))
			}
			delete(e.held[m], i)
			e.rows[i].DiskFree += size
		default:
			e.g.t.Fatalf("step %+v", s)
		}
		e.moved++
	}
	e.at += 5000
	return len(steps)
}

// settle carries plans out until there is nothing to do.
func (e *estate) settle() {
	e.g.t.Helper()
	for range 50 {
		if e.carryOut() == 0 {
			return
		}
	}
	e.g.t.Fatal("does not come to rest")
}

// live counts the copies of model m that are up.
func (e *estate) live(m int) (n int) {
	for i := range e.held[m] {
		if e.up[i] {
			n++
		}
	}
	return n
}

// zones counts the zones of those.
func (e *estate) zones(m int) int {
	seen := map[uint32]bool{}
	for i := range e.held[m] {
		if e.up[i] {
			seen[e.rows[i].Zone] = true
		}
	}
	return len(seen)
}

func TestKeepN(t *testing.T) {
	e := fleet(t, "keep-n", "n=3", 12, 40)
	e.models[0].Least = 5
	e.models[1].Most = 1
	e.models[2].Least, e.models[2].Most = 4, 2
	want := func(m int) int { return []int{5, 1, 2, 3}[min(m, 3)] }
	check := func(when string) {
		t.Helper()
		for m := range e.models {
			if e.live(m) != want(m) || e.zones(m) < min(want(m), 4) {
				t.Fatalf("%s: model %d has %d copies in %d zones, want %d", when, m, e.live(m), e.zones(m), want(m))
			}
		}
	}
	e.settle()
	check("at first")
	for i, r := range e.rows { // about 121 copies at 12 nodes
		n := 0
		for m := range e.models {
			if e.held[m][i] {
				n++
			}
		}
		if n < 2 || n > 22 {
			t.Errorf("node %d holds %d models, %d MiB free", i, n, r.DiskFree)
		}
	}
	e.moved = 0
	e.rows = append(e.rows, e.rows[0])
	e.rows[12].Node, e.rows[12].Zone, e.rows[12].DiskFree = 1, 9, 1<<31
	e.up = append(e.up, true)
	e.settle()
	if e.moved != 0 {
		t.Errorf("%d steps because a node has joined", e.moved)
	}
	e.up[4] = false
	lost := 0
	for m := range e.models {
		if e.held[m][4] {
			lost++
		}
	}
	e.models[1].Least = 1
	for m := range e.models {
		if e.live(m) == 0 { // its only copy is down
			e.held[m][0] = true
		}
	}
	e.settle()
	check("after a node has left")
	if e.moved > lost {
		t.Errorf("%d steps for %d lost copies", e.moved, lost)
	}
	e.up[4] = true
	e.settle()
	check("after it has come back")
}

func TestKeepNRules(t *testing.T) {
	cases := map[string]struct {
		change func(e *estate)
		ops    []abi.Op
	}{
		"enough":                 {func(e *estate) { e.hold(0, 3) }, nil},
		"one missing":            {func(e *estate) { e.hold(0) }, []abi.Op{abi.OpFetch}},
		"one too many":           {func(e *estate) { e.hold(0, 1, 3) }, []abi.Op{abi.OpDrop}},
		"nobody has it":          {func(e *estate) { e.hold() }, nil},
		"on its way":             {func(e *estate) { e.hold(0); e.models[0].Moving = 1 }, nil},
		"too many, one moves":    {func(e *estate) { e.hold(0, 1, 3); e.models[0].Moving = 1 }, nil},
		"too many, but new":      {func(e *estate) { e.hold(0, 1, 3); e.since = now - 599_999 }, nil},
		"too many, and old":      {func(e *estate) { e.hold(0, 1, 3); e.since = now - 600_000 }, []abi.Op{abi.OpDrop}},
		"pinned":                 {func(e *estate) { e.hold(0, 1, 3); e.models[0].Flags = abi.ModelPinned }, nil},
		"one drains":             {func(e *estate) { e.hold(0, 3); e.rows[3].Flags |= abi.Draining }, []abi.Op{abi.OpFetch}},
		"one is suspect":         {func(e *estate) { e.hold(0, 3); e.rows[3].Flags |= abi.Suspect }, nil},
		"too many, two suspect":  {func(e *estate) { e.hold(0, 1, 3); e.rows[3].Flags |= abi.Suspect; e.rows[1].Flags |= abi.Suspect }, nil},
		"only copy drains":       {func(e *estate) { e.hold(0); e.rows[0].Flags |= abi.Draining }, []abi.Op{abi.OpFetch, abi.OpFetch}},
		"no room":                {func(e *estate) { e.hold(0); e.free(5023) }, nil},
		"just room":              {func(e *estate) { e.hold(0); e.free(5025) }, []abi.Op{abi.OpFetch}},
		"disks unknown":          {func(e *estate) { e.hold(0); e.unknown() }, nil},
		"more wanted than nodes": {func(e *estate) { e.hold(0); e.models[0].Least = 60 }, []abi.Op{abi.OpFetch, abi.OpFetch, abi.OpFetch, abi.OpFetch, abi.OpFetch}},
		"no models":              {func(e *estate) { e.models, e.held = nil, nil }, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := fleet(t, "keep-n", "", 6, 1)
			c.change(e)
			steps := e.plan()
			if len(steps) != len(c.ops) {
				t.Fatalf("steps %+v, want %v", steps, c.ops)
			}
			for i, s := range steps {
				if abi.Op(s.Op) != c.ops[i] {
					t.Errorf("step %d is %v, want %v", i, abi.Op(s.Op), c.ops[i])
				}
			}
			// The copy that goes is one of the two in the same zone.
			if len(steps) == 1 && abi.Op(steps[0].Op) == abi.OpDrop && steps[0].Node > 1 {
				t.Errorf("dropped by %d", steps[0].Node)
			}
		})
	}
}

// A node whose traffic costs money is the last choice.
func TestKeepNMetered(t *testing.T) {
	for free := range 5 {
		e := fleet(t, "keep-n", "", 6, 1)
		for i := range e.rows {
			if i != free+1 {
				e.rows[i].Flags |= abi.MeteredLink
			}
		}
		if steps := e.plan(); len(steps) != 1 || int(steps[0].Node) != free+1 {
			t.Errorf("only node %d has a free link: %+v", free+1, steps)
		}
		e.rows[free+1].Flags |= abi.Draining
		if steps := e.plan(); len(steps) != 1 {
			t.Errorf("no node has a free link: %+v", steps)
		}
	}
}

// A machine that could never hold a model in memory gets none of it; of one of which
// nothing is known, nothing is held against it.
func TestCopiesFitMemory(t *testing.T) {
	for name, params := range map[string]string{"keep-n": "n=6", "popularity-sqrt": "mean=6", "value-per-byte": "low=10000\nfloor=1"} {
		t.Run(name, func(t *testing.T) {
			e := fleet(t, name, params, 6, 1) // of 4000 MiB
			for i, m := range []struct{ ram, vram uint32 }{{16_000, 0}, {3999, 0}, {2000, 2001}, {0, 0}, {2000, 1999}, {4001, 0}} {
				e.rows[i].MemTotal, e.rows[i].VramTotal = m.ram, m.vram
			}
			e.models[0].Demand1h = 1 << 20
			e.settle()
			for i, want := range []bool{true, false, true, true, false, true} {
				if e.held[0][i] != want {
					t.Errorf("node %d holds it: %t", i, e.held[0][i])
				}
			}
		})
	}
}

func (e *estate) hold(rows ...int) {
	e.held[0] = map[int]bool{}
	for _, i := range rows {
		e.held[0][i] = true
	}
}

func (e *estate) free(mib uint32) {
	for i := range e.rows {
		e.rows[i].DiskFree = mib
	}
}

func (e *estate) unknown() {
	for i := range e.rows {
		e.rows[i].MachineAt = 0
	}
}

// churn takes nodes down and up at random; a step that loses the last copy, or
// does not fit on a disk, fails in carryOut.
func churn(t *testing.T, e *estate) {
	t.Helper()
	r := rand.New(rand.NewPCG(11, 12))
	for round := range 600 {
		for i := range e.up {
			e.up[i] = r.IntN(10) > 0
			e.rows[i].Flags = []uint32{abi.Loaded, abi.Loaded, abi.Loaded, abi.Draining, abi.Suspect}[r.IntN(5)]
		}
		for m := range e.models {
			e.models[m].Demand1h = arbitrary(r, 500)
			e.models[m].Refetch = arbitrary(r, 500)
			e.models[m].Moving = uint32(r.IntN(4) / 3)
		}
		e.carryOut()
		if round%100 == 99 {
			for i := range e.rows {
				e.rows[i].DiskFree = r.Uint32N(60_000)
			}
		}
	}
	for m := range e.models {
		if len(e.held[m]) == 0 {
			t.Errorf("model %d is lost", m)
		}
	}
	if e.moved < 100 {
		t.Errorf("only %d steps", e.moved)
	}
}

func TestChurn(t *testing.T) {
	for _, name := range []string{"keep-n", "popularity-sqrt", "value-per-byte"} {
		t.Run(name, func(t *testing.T) { churn(t, fleet(t, name, "", 12, 30)) })
	}
}

func TestPopularity(t *testing.T) {
	e := fleet(t, "popularity-sqrt", "mean=3", 64, 20)
	for m := range e.models {
		e.models[m].Demand1h = 10_000 / uint32((m+1)*(m+1)) // square roots 100, 50, 33, 25 …
	}
	e.settle()
	sum := 0.0
	for m := range e.models {
		sum += math.Sqrt(float64(e.models[m].Demand1h))
	}
	for m := range e.models {
		want := max(1, int(math.Sqrt(float64(e.models[m].Demand1h))/sum*60+0.5))
		if e.live(m) != want {
			t.Errorf("model %d has %d copies, want %d", m, e.live(m), want)
		}
	}
	if e.zones(0) < 14 {
		t.Errorf("%d copies of the most wanted in %d zones", e.live(0), e.zones(0))
	}
	// Demand that wavers moves nothing.
	e.moved = 0
	for m := range e.models {
		e.models[m].Demand1h += e.models[m].Demand1h / 20 * uint32(m%2)
	}
	e.settle()
	if e.moved > 2 {
		t.Errorf("%d steps for demand that changed by a twentieth", e.moved)
	}
	// Nor does demand that falls by two fifths take copies away.
	before := e.live(0)
	e.models[0].Demand1h = e.models[0].Demand1h * 6 / 10
	e.settle()
	if e.live(0) != before {
		t.Errorf("%d copies of the most wanted, had %d", e.live(0), before)
	}
	// Nobody asks any more: copies are given up, but for the one and some to spare.
	for m := range e.models {
		e.models[m].Demand1h = 0
	}
	e.settle()
	for m := range e.models {
		if e.live(m) < 1 || e.live(m) > 2 {
			t.Errorf("model %d keeps %d copies", m, e.live(m))
		}
	}
}

func TestValuePerByte(t *testing.T) {
	e := fleet(t, "value-per-byte", "low=10000\nfloor=300", 6, 5)
	e.models[0].Demand1h = 40 // 40 × 400 s / 4001 MiB: 3.998 for the first, 0.33 for the twelfth
	e.models[1].Demand1h, e.models[1].Bytes = 40, 40_000<<20
	e.models[2].Demand1h = 0
	e.models[3].Demand1h, e.models[3].Least = 0, 2
	e.models[4].Demand1h = 9 // 0.45 for the second, 0.2999 for the third
	e.settle()
	for m, want := range []int{6, 1, 1, 2, 2} {
		if e.live(m) != want {
			t.Errorf("model %d has %d copies, want %d", m, e.live(m), want)
		}
	}
	// A short disk gives up what is worth least there, and not the last copy.
	e.held[2][0], e.held[2][2] = true, true
	e.rows[2].DiskFree, e.rows[0].DiskFree = 9999, 10_000
	steps := e.plan()
	if len(steps) != 1 || steps[0].Op != uint16(abi.OpDrop) || steps[0].Node != 2 || steps[0].Model != 2 {
		t.Fatalf("steps %+v", steps)
	}
	e.carryOut()
	e.held[2] = map[int]bool{2: true}
	for e.rows[2].DiskFree = 1; ; e.rows[2].DiskFree = 1 {
		if e.carryOut() == 0 {
			break
		}
	}
	if !e.held[2][2] || e.live(0) != 5 || e.live(3) < 2 {
		t.Errorf("copies %v", e.held)
	}
}

// A fetch leaves twice as much free as the disk at which copies are given up.
func TestValuePerByteLeavesRoom(t *testing.T) {
	e := fleet(t, "value-per-byte", "low=10000\nfloor=1", 6, 3)
	e.free(25_000)
	e.settle()
	for i, r := range e.rows {
		if r.DiskFree < 20_000 {
			t.Errorf("node %d has %d MiB left", i, r.DiskFree)
		}
	}
	if e.moved < 4 || e.moved > 6 {
		t.Errorf("%d fetches for six disks with room for one", e.moved)
	}
}
