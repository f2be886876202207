package policies_test

import (
	"testing"

	"omx/policies/abi"
)

// first is the event of a first token after so many ms, at a node with so many
// requests.
func first(ms, rif uint32) abi.Event {
	return abi.Event{Kind: uint16(abi.EventFirst), Node: 1, Prompt: 968, First: ms * 1000, RIF: rif}
}

// limit is the largest number of requests at the node with which one more is let in.
func limit(g *guest) uint32 {
	g.t.Helper()
	for n := uint32(0); ; n++ {
		if got := g.admit(peer(0), server(n)); got.Action == abi.Shed {
			if got != (verdict{abi.Shed, busy, 1}) {
				g.t.Fatalf("%d requests: %v", n, got)
			}
			return n
		}
	}
}

func TestGradient(t *testing.T) {
	g := use(t, abi.Admit, "gradient", "")
	tell := func(n int, ms uint32) {
		t.Helper()
		for range n {
			g.tell(first(ms, limit(g)))
		}
	}
	g.tell(first(1, 100)) // before the first decision: nothing to learn from
	if n := limit(g); n != 4 {
		t.Fatalf("begins with %d, want the slots", n)
	}
	tell(20, 100)
	grown := limit(g)
	if grown < 7 || grown > 8 { // a fifth each
		t.Errorf("after 20 quick answers: %d", grown)
	}
	tell(1000, 100)
	if n := limit(g); n != 32 {
		t.Errorf("after 1000 quick answers: %d, want 8 times the slots", n)
	}
	tell(10, 1000)
	if n := limit(g); n > 16 {
		t.Errorf("after 10 slow answers: %d", n)
	}
	tell(40, 5000)
	low := limit(g)
	if low < 1 || low > 4 {
		t.Errorf("after 40 very slow answers: %d", low)
	}
	for range 10 { // hardly used: says nothing about the limit
		g.tell(first(1, 0))
	}
	other := first(1, 100)
	other.Node = 2
	g.tell(other)
	if n := limit(g); n != low {
		t.Errorf("%d, was %d, though there was nothing to learn", n, low)
	}
	tell(60, 100)
	if n := limit(g); n <= low+4 {
		t.Errorf("does not recover: %d, was %d", n, low)
	}
}

// What was usual in a slow hour is soon forgotten.
func TestGradientForgets(t *testing.T) {
	g := use(t, abi.Admit, "gradient", "")
	limit(g)
	tell := func(n int, ms uint32) {
		for range n {
			g.tell(first(ms, 100))
		}
	}
	tell(600, 2000)
	tell(100, 100)
	before := limit(g)
	tell(5, 1000)
	if n := limit(g); n > before*3/4 {
		t.Errorf("limit %d, was %d, though answers take ten times as long", n, before)
	}
}

func TestGradientVerdicts(t *testing.T) {
	cases := map[string]struct {
		fill request
		row  abi.Row
		want verdict
	}{
		"free":                   {peer(0), server(3), verdict{abi.Allow, 0, 0}},
		"peer at the limit":      {peer(999), server(4), verdict{abi.Shed, busy, 1}},
		"peer, all busy":         {peer(1000), server(4), verdict{abi.Shed, full, 10}},
		"client, others free":    {client(999), server(4), verdict{abi.Allow, 0, 0}},
		"client, all busy":       {client(1000), server(4), verdict{abi.Shed, full, 10}},
		"nothing known":          {peer(1000), node(func(r *abi.Row) { r.LoadAt = 0 }), verdict{abi.Allow, 0, 0}},
		"more slots than can be": {peer(0), node(func(r *abi.Row) { r.Slots, r.Running = 1<<32-1, 1<<16-1 }), verdict{abi.Allow, 0, 0}},
	}
	for name, c := range cases {
		if got := use(t, abi.Admit, "gradient", "").admit(c.fill, c.row); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
