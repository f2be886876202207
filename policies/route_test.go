package policies_test

import (
	"fmt"
	"testing"

	"omx/policies/abi"
)

func seeded(seed uint64) request { return func(h *abi.Header) { h.Seed, h.Request = seed, seed } }

// share counts how often each row is picked over many seeds.
func share(g *guest, rounds int, fill request, rows []abi.Row) []int {
	g.t.Helper()
	got := make([]int, len(rows))
	for s := range rounds {
		got[g.pick(func(h *abi.Header) {
			seeded(uint64(s))(h)
			if fill != nil {
				fill(h)
			}
		}, rows)]++
	}
	return got
}

// even fails unless every count is near the mean of those that must be chosen.
func even(t *testing.T, got []int, mean int) {
	t.Helper()
	for i, n := range got {
		if n < mean*8/10 || n > mean*12/10 {
			t.Errorf("row %d was chosen %d times, want about %d: %d", i, n, mean, got)
		}
	}
}

func TestRandomIsEven(t *testing.T) {
	even(t, share(use(t, abi.Route, "random", ""), 4000, nil, nodes(8, nil)), 500)
}

// Each node gets its turn before one gets a second.
func TestRoundRobin(t *testing.T) {
	g := use(t, abi.Route, "round-robin", "")
	rows := nodes(5, nil)
	for turn := range 4 {
		seen := map[int]bool{}
		for k := range rows {
			clock := uint32(now + 10*turn + k) // less than a millisecond apart at times
			i := g.pick(func(h *abi.Header) { h.Clock, h.Seed = clock, uint64(clock) }, rows)
			if seen[i] {
				t.Fatalf("turn %d: row %d again after %v", turn, i, seen)
			}
			seen[i] = true
			rows[i].UsedAt = clock
		}
	}
	rows = append(rows, node(func(r *abi.Row) { r.Node = 9 }))
	if i := g.pick(func(h *abi.Header) { h.Clock = now + 100 }, rows); i != 5 {
		t.Errorf("row %d before the node that has just joined", i)
	}
}

func TestNearest(t *testing.T) {
	g := use(t, abi.Route, "nearest", "")
	at := func(x, y int32, height, error uint32) func(r *abi.Row) {
		return func(r *abi.Row) {
			r.RTTAt = 0
			r.CoordX, r.CoordY, r.CoordHeight, r.CoordError = x, y, height, error
		}
	}
	self := node(func(r *abi.Row) {
		at(1000, 1000, 100, 100)(r)
		r.Flags |= abi.Self | abi.Draining
	})
	cases := map[string]struct {
		row  abi.Row
		want uint32
	}{
		"measured":         {node(func(r *abi.Row) { r.RTT = 777 }), 777},
		"3, 4, 5":          {node(at(4000, 5000, 200, 0)), abi.Never - 1},
		"3, 4, 5 and more": {node(at(4000, 5000, 200, 10)), 5300 + 53},
		"error doubles":    {node(at(4000, -3000, 200, 1000)), 2 * 5300},
		"far":              {node(at(-1<<31, 1<<31-1, 0, 1)), 3_040_036_890},
		"unknown":          {node(func(r *abi.Row) { r.RTTAt = 0 }), abi.Never - 1},
		"draining":         {node(func(r *abi.Row) { r.Flags |= abi.Draining }), abi.Never},
	}
	for name, c := range cases {
		_, scores := g.decide(func(h *abi.Header) { h.SelfRow = 0 }, []abi.Row{self, c.row})
		if scores[1] != c.want {
			t.Errorf("%s: %d µs, want %d", name, scores[1], c.want)
		}
	}
	if _, scores := g.decide(nil, []abi.Row{node(at(1, 1, 1, 1))}); scores[0] != abi.Never-1 {
		t.Errorf("without an own coordinate: %d", scores[0])
	}
	if _, scores := g.decide(nil, []abi.Row{node(func(r *abi.Row) { r.Flags |= abi.Self; r.RTTAt = 0 })}); scores[0] != 0 {
		t.Errorf("to itself: %d", scores[0])
	}
}

func TestLeastLoaded(t *testing.T) {
	g := use(t, abi.Route, "least-loaded", "")
	cases := map[string]struct {
		rows []abi.Row
		want int
	}{
		"per slot":        {[]abi.Row{node(func(r *abi.Row) { r.Running, r.Slots = 1, 1 }), node(func(r *abi.Row) { r.Running, r.Slots = 3, 8 })}, 1},
		"queue counts":    {[]abi.Row{node(func(r *abi.Row) { r.Running, r.Queued = 2, 2 }), node(func(r *abi.Row) { r.Running = 3 })}, 1},
		"own correction":  {[]abi.Row{node(func(r *abi.Row) { r.SentSince = 2 }), node(func(r *abi.Row) { r.Running = 1 })}, 1},
		"nearest of two":  {[]abi.Row{node(func(r *abi.Row) { r.RTT = 9000 }), node(func(r *abi.Row) { r.RTT = 4000 })}, 1},
		"unknown is full": {[]abi.Row{node(func(r *abi.Row) { r.LoadAt = 0 }), node(func(r *abi.Row) { r.Running = 3 })}, 1},
	}
	for name, c := range cases {
		if got := g.pick(nil, c.rows); got != c.want {
			t.Errorf("%s: row %d", name, got)
		}
	}
}

func TestPowerOfTwo(t *testing.T) {
	g := use(t, abi.Route, "power-of-two", "")
	even(t, share(g, 8000, nil, nodes(8, nil)), 1000)

	// One busy node of eight is chosen by nobody, as one of any two is idle.
	got := share(g, 2000, nil, nodes(8, func(i int, r *abi.Row) { r.Running = []uint32{4, 0}[min(i, 1)] }))
	if got[0] != 0 {
		t.Errorf("the busy node was chosen %d times", got[0])
	}
	// The least busy of eight is one of the two in a quarter of all draws, and not
	// everybody's choice.
	got = share(g, 4000, nil, nodes(8, func(i int, r *abi.Row) { r.Running = []uint32{0, 2}[min(i, 1)] }))
	if got[0] < 900 || got[0] > 1100 {
		t.Errorf("the idle node was chosen %d times of 4000, want about 1000", got[0])
	}
	// sentSince weighs as much as what the node says.
	got = share(g, 1000, nil, nodes(2, func(i int, r *abi.Row) { r.Running, r.SentSince = uint32(i), uint32(2-2*i) }))
	if got[0] != 0 {
		t.Errorf("own requests do not count: %d", got)
	}
	for n := range 3 { // fewer than two to draw from
		rows := nodes(n, nil)
		if a, _ := g.decide(seeded(1), rows); (a.Status() == abi.OK) != (n > 0) {
			t.Errorf("%d nodes: %v", n, a.Status())
		}
	}
	// The two that were drawn come first, then the rest by load.
	a, scores := g.decide(seeded(7), nodes(6, func(i int, r *abi.Row) { r.Running = uint32(6 - i) }))
	front := 0
	for i, s := range scores {
		if s < 1<<31 {
			front++
		} else if i > 0 && scores[i-1] >= 1<<31 && s >= scores[i-1] {
			t.Errorf("of the rest, row %d comes before %d: %d", i-1, i, scores)
		}
	}
	if front != 2 || scores[a.Value()] >= 1<<31 {
		t.Errorf("%d in front, answer %d: %d", front, a.Value(), scores)
	}
}

func TestPeakEWMA(t *testing.T) {
	g := use(t, abi.Route, "peak-ewma", "")
	seen := func(first, peak, age, inFlight uint32) abi.Row {
		return node(func(r *abi.Row) {
			r.First, r.FirstPeak, r.FirstAt, r.InFlight, r.Slots = first, peak, now-age, inFlight, 1
		})
	}
	good := seen(100_000, 100_000, 10, 0)
	cases := map[string]struct {
		other abi.Row
		want  int // of good and other
	}{
		"quicker":          {seen(90_000, 90_000, 10, 0), 1},
		"quicker but busy": {seen(60_000, 60_000, 10, 1), 0},
		"after a peak":     {seen(90_000, 400_000, 10, 0), 0},
		"peak long ago":    {seen(90_000, 400_000, 20_000, 0), 1},
		"never tried":      {node(func(r *abi.Row) { r.Prefill = 10_000 }), 1},
		"slow reader":      {node(func(r *abi.Row) { r.First, r.FirstPeak, r.FirstAt, r.Prefill = 1000, 1000, now, 500_000 }), 0},
		"cached there":     {node(func(r *abi.Row) { r.First, r.FirstPeak, r.FirstAt, r.Prefill, r.Prefix = 1000, 1000, now, 500_000, 499 }), 1},
	}
	for name, c := range cases {
		for seed := range uint64(8) {
			if got := g.pick(func(h *abi.Header) { h.Seed, h.Prompt = seed, 500 }, []abi.Row{good, c.other}); got != c.want {
				t.Errorf("%s: row %d", name, got)
				break
			}
		}
	}
	even(t, share(g, 8000, nil, nodes(8, nil)), 1000)
}

func TestProbeRIF(t *testing.T) {
	seen := func(rif, slots, first uint32) abi.Row {
		return node(func(r *abi.Row) { r.RIF, r.RIFAt, r.Slots, r.RIFFirst = rif, now-10, slots, first })
	}
	rows := []abi.Row{seen(3, 4, 100_000), seen(4, 8, 900_000), seen(2, 2, 50_000), seen(3, 4, 20_000)}
	cases := []struct {
		params string
		rows   []abi.Row
		want   int
	}{
		{"", rows, 1},           // fewest per slot
		{"q_rif=0\n", rows, 1},  // the same
		{"q_rif=750", rows, 3},  // cold: 1, 0 and 3; of those 3 is the quickest
		{"q_rif=1000", rows, 3}, // all but the last step are cold
		{"q_rif=1000", []abi.Row{seen(1, 4, 90_000), seen(2, 4, 10_000)}, 1},
		{"q_rif=500", []abi.Row{seen(1, 4, 90_000), seen(2, 4, 10_000)}, 0},
		{"", []abi.Row{seen(2, 4, 90_000), seen(2, 4, 10_000)}, 1}, // equal: the quicker
		{"", []abi.Row{seen(3, 4, 0), node(func(r *abi.Row) { r.RIFAt = now - 60_000 })}, 0},
	}
	for i, c := range cases {
		t.Run(fmt.Sprint(i, c.params), func(t *testing.T) {
			if got := use(t, abi.Route, "probe-rif", c.params).pick(nil, c.rows); got != c.want {
				t.Errorf("row %d, want %d", got, c.want)
			}
		})
	}
	// Of many nodes each seed sees sixteen: the idle one is not everybody's.
	g := use(t, abi.Route, "probe-rif", "")
	got := share(g, 1000, nil, nodes(64, func(i int, r *abi.Row) { r.RIF, r.RIFAt = uint32(min(i, 1)), now }))
	if got[0] < 150 || got[0] > 350 {
		t.Errorf("the idle one of 64 was chosen %d times of 1000, want about 250", got[0])
	}
}
