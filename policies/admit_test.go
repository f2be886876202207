package policies_test

import (
	"testing"

	"omx/policies/abi"
)

const (
	full   = 1
	busy   = 2
	late   = 3
	tenant = 4
	low    = 5
)

// server is this node with four slots, so many of its requests beyond idle.
func server(requests uint32) abi.Row {
	return node(func(r *abi.Row) { r.Running, r.Queued = min(requests, 4), requests-min(requests, 4) })
}

func peer(saturation uint32) request {
	return func(h *abi.Header) { h.Flags, h.Saturation, h.Replicas, h.ExpectOut = abi.FromPeer, saturation, 3, 100 }
}

func client(saturation uint32) request {
	return func(h *abi.Header) { h.Saturation, h.Replicas, h.ExpectOut = saturation, 3, 100 }
}

func within(ms uint32, fill request) request {
	return func(h *abi.Header) {
		fill(h)
		h.Deadline = ms
	}
}

func TestFreeSlot(t *testing.T) {
	g := use(t, abi.Admit, "free-slot", "")
	unknown := node(func(r *abi.Row) { r.LoadAt, r.Running = 0, 9 })
	cases := map[string]struct {
		fill request
		row  abi.Row
		want verdict
	}{
		"peer, free slot":              {peer(0), server(3), verdict{abi.Allow, 0, 0}},
		"peer, own sends count":        {peer(900), node(func(r *abi.Row) { r.Running, r.SentSince = 3, 1 }), verdict{abi.Shed, busy, 1}},
		"peer, busy, others idle":      {peer(900), server(4), verdict{abi.Shed, busy, 1}},
		"peer, all busy":               {peer(1000), server(4), verdict{abi.Queue, 0, 0}},
		"peer, queue nearly full":      {peer(2500), server(11), verdict{abi.Queue, 0, 0}},
		"peer, queue full":             {peer(3000), server(12), verdict{abi.Shed, full, 10}},
		"peer, in time":                {within(250, peer(1000)), server(4), verdict{abi.Queue, 0, 0}},
		"peer, too late":               {within(249, peer(1000)), server(4), verdict{abi.Shed, late, 10}},
		"peer, nothing known":          {peer(1000), unknown, verdict{abi.Allow, 0, 0}},
		"client, this one full":        {client(999), server(40), verdict{abi.Allow, 0, 0}},
		"client, not served anywhere":  {client(0), unknown, verdict{abi.Allow, 0, 0}},
		"client, all busy":             {client(1000), server(0), verdict{abi.Queue, 0, 0}},
		"client, queues nearly full":   {client(2999), server(0), verdict{abi.Queue, 0, 0}},
		"client, queues full":          {client(3000), server(0), verdict{abi.Shed, full, 10}},
		"client, too late":             {within(900, client(2000)), server(0), verdict{abi.Shed, late, 10}},
		"client, in time":              {within(1100, client(2000)), server(0), verdict{abi.Queue, 0, 0}},
		"client, long answers":         {func(h *abi.Header) { client(3000)(h); h.ExpectOut = 500 }, server(0), verdict{abi.Shed, full, 50}},
		"client, very long answers":    {func(h *abi.Header) { client(3000)(h); h.ExpectOut = 1 << 31 }, server(0), verdict{abi.Shed, full, 300}},
		"client, saturated beyond all": {client(^uint32(0)), server(0), verdict{abi.Shed, full, 10}},
	}
	for name, c := range cases {
		if got := g.admit(c.fill, c.row); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if a, _ := g.decide(nil, nil); a.Status() != abi.BadRequest {
		t.Errorf("view without a row: %v", a.Status())
	}
}

func TestAllow(t *testing.T) {
	if got := use(t, abi.Admit, "allow", "").admit(peer(9000), server(400)); got != (verdict{}) {
		t.Errorf("%v", got)
	}
}

func TestBoundedQueue(t *testing.T) {
	g := use(t, abi.Admit, "bounded-queue", "")
	row := func(slots, running, queued, since, decode uint32) abi.Row {
		return node(func(r *abi.Row) {
			r.Slots, r.Running, r.Queued, r.SentSince, r.Decode = slots, running, queued, since, decode
		})
	}
	const top = ^uint32(0)
	cases := map[string]struct {
		row  abi.Row
		want verdict
	}{
		"not served here":  {node(func(r *abi.Row) { r.LoadAt = 0 }), verdict{abi.Allow, 0, 0}},
		"no slots":         {row(0, 0, 9, 0, 1), verdict{abi.Allow, 0, 0}},
		"free slot":        {row(4, 3, 0, 0, 1), verdict{abi.Allow, 0, 0}},
		"slots busy":       {row(4, 4, 0, 0, 1), verdict{abi.Queue, 0, 0}},
		"nearly full":      {row(4, 4, 14, 1, 1), verdict{abi.Queue, 0, 0}},
		"full":             {row(4, 4, 16, 0, 50_000), verdict{abi.Shed, full, 50}},
		"full by own":      {row(4, 4, 15, 1, 50_000), verdict{abi.Shed, full, 50}},
		"full, fast":       {row(1, 1, 4, 0, 1), verdict{abi.Shed, full, 10}},
		"full, slow":       {row(1, 1, 4, 0, 1<<31), verdict{abi.Shed, full, 300}},
		"full, unmeasured": {node(func(r *abi.Row) { r.Slots, r.Queued, r.SpeedAt = 1, 5, 0 }), verdict{abi.Shed, full, 100}},
		"largest figures":  {row(top, top, top, top, top), verdict{abi.Queue, 0, 0}},
	}
	for name, c := range cases {
		if got := g.admit(client(0), c.row); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestPriorityShed(t *testing.T) {
	// shed counts how many of 2,000 requests of a priority are turned away.
	shed := func(g *guest, priority int32, from request) (n int) {
		for s := range uint64(2000) {
			got := g.admit(func(h *abi.Header) {
				from(h)
				h.Seed, h.Request, h.Priority = 9, s, priority
			}, server(0))
			if got.Action == abi.Shed {
				if got.Reason != low {
					t.Fatalf("%v", got)
				}
				n++
			}
		}
		return n
	}
	g, half := use(t, abi.Admit, "priority-shed", ""), use(t, abi.Admit, "priority-shed", "k=500")
	cases := map[string]struct {
		g         *guest
		priority  int32
		from      request
		low, high int
	}{
		"idle":          {g, -1, client(100), 0, 0},
		"half":          {g, -1, client(500), 30, 95},      // 1/32
		"nine tenths":   {g, -1, client(900), 1100, 1260},  // 0.59
		"all":           {g, -1, client(1000), 2000, 2000}, // 1
		"far beyond":    {g, -1, client(^uint32(0)), 2000, 2000},
		"important":     {g, 0, client(999), 0, 0},
		"from a peer":   {g, -1, peer(999), 0, 0},
		"half the k":    {half, -1, client(900), 520, 660},
		"k beyond full": {half, -1, client(1200), 2000, 2000},
	}
	for name, c := range cases {
		if n := shed(c.g, c.priority, c.from); n < c.low || n > c.high {
			t.Errorf("%s: %d of 2000 shed, want %d to %d", name, n, c.low, c.high)
		}
	}
	if got := g.admit(func(h *abi.Header) { client(3000)(h); h.Priority = 1 }, server(0)); got.Reason != full {
		t.Errorf("full queues: %v", got)
	}
}
