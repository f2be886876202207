package policies_test

import (
	"testing"

	"omx/policies/abi"
)

// long is a request whose prompt takes 200 ms to read at a test's node.
func long(h *abi.Header) { h.Prompt, h.ExpectOut = 2000, 100 }

func TestPrefixAffinity(t *testing.T) {
	holder := func(change func(r *abi.Row)) abi.Row {
		return node(func(r *abi.Row) {
			r.Prefix = 1900
			if change != nil {
				change(r)
			}
		})
	}
	idle := node(nil)
	cases := map[string]struct {
		params string
		fill   request
		rows   []abi.Row // the holder first
		want   int
	}{
		"idle holder":         {"", long, []abi.Row{holder(nil), idle}, 0},
		"somewhat busy":       {"", long, []abi.Row{holder(func(r *abi.Row) { r.Running = 4 }), idle}, 0},
		"saturated":           {"", long, []abi.Row{holder(func(r *abi.Row) { r.Running, r.Queued = 4, 4 }), idle}, 1},
		"all are busy":        {"", long, []abi.Row{holder(func(r *abi.Row) { r.Running, r.Queued = 4, 4 }), node(func(r *abi.Row) { r.Running, r.Queued = 4, 3 })}, 0},
		"reads for long":      {"", long, []abi.Row{holder(func(r *abi.Row) { r.Pending = 20_000 }), idle}, 1},
		"no start":            {"saturated=0", long, []abi.Row{holder(func(r *abi.Row) { r.Running = 4 }), idle}, 1},
		"wants the first now": {"", func(h *abi.Header) { long(h); h.WantFirst = 200 }, []abi.Row{holder(func(r *abi.Row) { r.Running = 4 }), idle}, 1},
		"slow holder":         {"", long, []abi.Row{holder(func(r *abi.Row) { r.Prefill, r.Decode = 5_000_000, 500_000 }), idle}, 1},
		"short prefix":        {"", long, []abi.Row{holder(func(r *abi.Row) { r.Prefix, r.Running = 900, 4 }), idle}, 1},
		"drains":              {"", long, []abi.Row{holder(func(r *abi.Row) { r.Flags |= abi.Draining }), idle}, 1},
		"not loaded":          {"", long, []abi.Row{holder(func(r *abi.Row) { r.Flags, r.Ready = abi.Stored, 700 }), idle}, 1},
		"loaded in no time":   {"", long, []abi.Row{holder(func(r *abi.Row) { r.Flags, r.Ready = abi.Loading, 50 }), idle}, 0},
		"longest of two":      {"", long, []abi.Row{holder(func(r *abi.Row) { r.Prefix, r.Running = 2000, 2 }), holder(nil)}, 0},
		"quicker of equals":   {"", long, []abi.Row{holder(func(r *abi.Row) { r.Running = 2 }), holder(nil)}, 1},
		"more than asked":     {"", long, []abi.Row{idle, holder(func(r *abi.Row) { r.Prefix = 1 << 31 })}, 1},
		"no prompt":           {"", nil, []abi.Row{holder(func(r *abi.Row) { r.RTT = 3000 }), idle}, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := use(t, abi.Route, "prefix-affinity", c.params).pick(c.fill, c.rows); got != c.want {
				t.Errorf("row %d, want %d", got, c.want)
			}
		})
	}
}

// A burst of conversations that share a beginning fills the holder's slots and
// then spreads, instead of queueing at the one that has it cached.
func TestPrefixAffinitySpreads(t *testing.T) {
	g := use(t, abi.Route, "prefix-affinity", "")
	rows := nodes(4, func(i int, r *abi.Row) { r.Prefix = []uint32{1900, 0}[min(i, 1)] })
	got := make([]uint32, len(rows))
	for range 16 {
		i := g.pick(long, rows)
		got[i]++
		rows[i].SentSince++
	}
	if got[0] < 4 || got[0] > 8 || got[1] < 2 || got[2] < 2 || got[3] < 2 {
		t.Errorf("16 requests went to %d", got)
	}
}

func keyed(key uint64) request { return func(h *abi.Header) { h.Affinity = key * 0x9e3779b97f4a7c15 } }

const keys = 4000

func TestBoundedLoadMovesLittle(t *testing.T) {
	g := use(t, abi.Route, "bounded-load", "")
	rows := nodes(8, nil)
	got, before := make([]int, 8), make([]int, keys)
	for k := range keys {
		before[k] = g.pick(keyed(uint64(k)), rows)
		got[before[k]]++
	}
	even(t, got, keys/8)
	rows[3].Flags |= abi.Draining
	for k := range keys {
		if now := g.pick(keyed(uint64(k)), rows); before[k] != 3 && now != before[k] || now == 3 {
			t.Fatalf("key %d moved from %d to %d when 3 left", k, before[k], now)
		}
	}
	// Twice the slots, twice the keys.
	rows = nodes(4, func(i int, r *abi.Row) { r.Slots = []uint32{8, 4, 2, 2}[i] })
	got = make([]int, 4)
	for k := range keys {
		got[g.pick(keyed(uint64(k)), rows)]++
	}
	for i, want := range []int{keys / 2, keys / 4, keys / 8, keys / 8} {
		if got[i] < want*8/10 || got[i] > want*12/10 {
			t.Errorf("keys by slots: %d", got)
			break
		}
	}
}

// Whatever the keys, no node gets more than ceil(1.25 × its share).
func TestBoundedLoadCap(t *testing.T) {
	g := use(t, abi.Route, "bounded-load", "")
	rows := nodes(5, func(i int, r *abi.Row) { r.Slots = uint32(i + 1) })
	const slots, m = 15, 300
	moved := 0
	for k := range m {
		before := g.pick(keyed(7), nodes(5, func(i int, r *abi.Row) { r.Slots = uint32(i + 1) }))
		i := g.pick(keyed(7), rows) // the same key each time
		if i != before {
			moved++
		}
		rows[i].SentSince++
		limit := (5*uint64(k+1)*uint64(rows[i].Slots) + 4*slots - 1) / (4 * slots)
		if uint64(rows[i].SentSince) > limit {
			t.Fatalf("request %d: %d at row %d, cap %d", k, rows[i].SentSince, i, limit)
		}
	}
	if moved == 0 || moved == m {
		t.Errorf("%d of %d went elsewhere", moved, m)
	}
}

func TestBoundedLoadKey(t *testing.T) {
	g := use(t, abi.Route, "bounded-load", "")
	rows := nodes(16, nil)
	spread := func(fill func(h *abi.Header, k uint64)) int {
		seen := map[int]bool{}
		for k := range uint64(32) {
			seen[g.pick(func(h *abi.Header) { fill(h, k+1) }, rows)] = true
		}
		return len(seen)
	}
	for name, c := range map[string]struct {
		fill func(h *abi.Header, k uint64)
		one  bool
	}{
		"affinity":             {func(h *abi.Header, k uint64) { h.Affinity, h.Session, h.Request = 5, k, k }, true},
		"session":              {func(h *abi.Header, k uint64) { h.Session, h.Request = 5, k }, true},
		"request":              {func(h *abi.Header, k uint64) { h.Request = k }, false},
		"affinity is the load": {func(h *abi.Header, k uint64) { h.Affinity, h.Session = k, 5 }, false},
	} {
		if n := spread(c.fill); (n == 1) != c.one {
			t.Errorf("%s: 32 requests at %d nodes", name, n)
		}
	}
}
