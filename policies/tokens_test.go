package policies_test

import (
	"math/rand/v2"
	"testing"

	"omx/policies/abi"
)

// asked is a request of a tenant at a moment in ms after the first.
func asked(by, id uint64, prompt, out, at uint32) request {
	return func(h *abi.Header) {
		h.Tenant, h.Request, h.Prompt, h.ExpectOut = by, id, prompt, out
		h.Now, h.Clock = uint64(now+at)*1000, now+at
	}
}

func ended(kind abi.EventKind, by, id uint64, prompt, out uint32) abi.Event {
	return abi.Event{Kind: uint16(kind), Tenant: by, Request: id, Prompt: prompt, Output: out}
}

func TestTokenBucket(t *testing.T) {
	const params = "rate=100\nburst=1000\n"
	allowed, shed := verdict{}, func(tenths uint16) verdict { return verdict{abi.Shed, tenant, tenths} }
	type step struct {
		fill request
		end  abi.Event
		want verdict
	}
	ask := func(fill request, want verdict) step { return step{fill: fill, want: want} }
	end := func(e abi.Event) step { return step{end: e} }
	cases := map[string][]step{
		"spends the burst": {
			ask(asked(1, 1, 300, 300, 0), allowed), ask(asked(1, 2, 300, 100, 0), allowed), ask(asked(1, 3, 1, 0, 0), shed(1)),
		},
		"fills up again": {
			ask(asked(1, 1, 1000, 0, 0), allowed), ask(asked(1, 2, 100, 0, 999), shed(1)), ask(asked(1, 2, 100, 0, 1000), allowed),
			ask(asked(1, 3, 500, 0, 1000), shed(50)),
		},
		"each has one": {
			ask(asked(1, 1, 1000, 0, 0), allowed), ask(asked(2, 2, 1000, 0, 0), allowed), ask(asked(0, 3, 1000, 0, 0), allowed), ask(asked(0, 4, 10, 0, 0), shed(1)),
		},
		"gives back": {
			ask(asked(1, 1, 100, 900, 0), allowed), end(ended(abi.EventDone, 1, 1, 100, 50)),
			ask(asked(1, 2, 851, 0, 0), shed(1)), ask(asked(1, 2, 850, 0, 0), allowed),
		},
		"gives back once": {
			ask(asked(1, 1, 100, 900, 0), allowed), end(ended(abi.EventDone, 1, 1, 100, 50)), end(ended(abi.EventDone, 1, 1, 100, 50)),
			ask(asked(1, 2, 851, 0, 0), shed(1)),
		},
		"failed at once": {
			ask(asked(1, 1, 100, 900, 0), allowed), end(ended(abi.EventFailed, 1, 1, 100, 0)), ask(asked(1, 2, 1000, 0, 0), allowed),
		},
		"failed later": {
			ask(asked(1, 1, 100, 900, 0), allowed), end(ended(abi.EventFailed, 1, 1, 100, 10)), ask(asked(1, 2, 891, 0, 0), shed(1)),
		},
		"used more than expected": {
			ask(asked(1, 1, 100, 900, 0), allowed), end(ended(abi.EventDone, 1, 1, 100, 1000)), ask(asked(1, 2, 100, 0, 1999), shed(1)),
			ask(asked(1, 2, 100, 0, 2000), allowed),
		},
		"more than a bucket holds": {
			ask(asked(1, 1, 3000, 0, 0), allowed), ask(asked(1, 2, 3000, 0, 29_999), shed(1)), ask(asked(1, 2, 3000, 0, 30_000), allowed),
		},
		"stays full": {
			ask(asked(1, 1, 1, 0, 0), allowed), ask(asked(1, 2, 1000, 0, 4_000_000), allowed), ask(asked(1, 3, 1, 0, 4_000_000), shed(1)),
		},
		"others' events": {
			end(ended(abi.EventDone, 1, 77, 0, 0)), ask(asked(1, 1, 1000, 0, 0), allowed), end(ended(abi.EventFirst, 1, 1, 0, 0)), ask(asked(1, 2, 1, 0, 0), shed(1)),
		},
		"peers have paid": {
			ask(asked(1, 1, 1000, 0, 0), allowed),
			ask(func(h *abi.Header) { asked(1, 2, 1000, 0, 0)(h); h.Flags = abi.FromPeer }, allowed),
		},
		"not charged for a full mesh": {
			ask(func(h *abi.Header) { asked(1, 1, 1000, 0, 0)(h); h.Saturation = 9000 }, verdict{abi.Shed, full, 10}),
			ask(asked(1, 2, 1000, 0, 0), allowed),
		},
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			g := use(t, abi.Admit, "token-bucket", params)
			for i, s := range steps {
				if s.fill == nil {
					g.tell(s.end)
				} else if got := g.admit(s.fill, server(0)); got != s.want {
					t.Fatalf("step %d: %v, want %v", i, got, s.want)
				}
			}
		})
	}
}

// In any time, no tenant is let in with more than burst + rate × time.
func TestTokenBucketBound(t *testing.T) {
	const rate, burst = 100, 1000
	g := use(t, abi.Admit, "token-bucket", "rate=100\nburst=1000")
	type entry struct{ at, cost uint32 }
	r, at, entries, refused := rand.New(rand.NewPCG(5, 6)), uint32(0), []entry(nil), 0
	for id := range uint64(3000) {
		at += r.Uint32N(2000)
		cost := 1 + r.Uint32N(400)
		if g.admit(asked(1, id, cost, 0, at), server(0)).Action == abi.Allow {
			entries = append(entries, entry{at, cost})
		} else {
			refused++
		}
	}
	for i := range entries {
		sum := uint32(0)
		for _, e := range entries[i:] {
			sum += e.cost
			if limit := burst + rate*(e.at-entries[i].at)/1000 + 1; sum > limit {
				t.Fatalf("%d tokens in %d ms, limit %d", sum, e.at-entries[i].at, limit)
			}
		}
	}
	if refused < 500 || len(entries) < 500 {
		t.Errorf("%d let in, %d refused", len(entries), refused)
	}
}

// More tenants than there is room for: the policy still answers, and knows those
// who ask often.
func TestTokenBucketManyTenants(t *testing.T) {
	g := use(t, abi.Admit, "token-bucket", "rate=1\nburst=1000")
	const often = 1 << 40
	for i := range uint64(5000) {
		if got := g.admit(asked(often, 2*i, 100, 0, uint32(i)), server(0)); (got.Action == abi.Allow) != (i < 10) {
			t.Fatalf("request %d of the one who asks often: %v", i, got)
		}
		if got := g.admit(asked(i, 2*i+1, 1000, 0, uint32(i)), server(0)); got.Action != abi.Allow {
			t.Fatalf("tenant %d: %v", i, got)
		}
	}
}

// backlog is a server with tenants who have always more to ask than it can do.
type backlog struct {
	g       *guest
	at      uint32
	id      uint64
	running []abi.Event      // with the time of their end in Took
	served  map[uint64]int64 // tokens weighted as the policy does; of those running what is expected
	shed    map[uint64]int
}

// run asks for so many ms, each tenant so many times per 100 ms.
func (b *backlog) run(ms uint32, r *rand.Rand, rates map[uint64]int) {
	b.g.t.Helper()
	for until := b.at + ms; b.at < until; b.at += 100 {
		kept := b.running[:0]
		for _, e := range b.running {
			if e.Took > b.at {
				kept = append(kept, e)
				continue
			}
			b.g.tell(e)
			b.served[e.Tenant] += 2 * (int64(e.Output) - 100)
		}
		b.running = kept
		for by := range uint64(4) {
			for range rates[by] {
				b.ask(by, r)
			}
		}
	}
}

func (b *backlog) ask(by uint64, r *rand.Rand) {
	b.id++
	prompt, out := 1+r.Uint32N(400), 1+r.Uint32N(200)
	n := uint32(len(b.running))
	got := b.g.admit(func(h *abi.Header) {
		asked(by, b.id, prompt, 100, b.at)(h)
		h.Saturation = n * 250
	}, server(n))
	if got.Action >= abi.Shed {
		b.shed[by]++
		return
	}
	b.served[by] += int64(prompt) + 2*100
	e := ended(abi.EventDone, by, b.id, prompt, out)
	e.Took = b.at + prompt + 20*out
	b.running = append(b.running, e)
}

func TestFairShare(t *testing.T) {
	b := &backlog{g: use(t, abi.Admit, "fair-share", "lead=2000\n"), served: map[uint64]int64{}, shed: map[uint64]int{}}
	r := rand.New(rand.NewPCG(7, 8))

	// One asks ten times as often as the other and gets no more, once both are there.
	b.run(1000, r, map[uint64]int{1: 10, 2: 1})
	clear(b.served)
	b.run(300_000, r, map[uint64]int{1: 10, 2: 1})
	// lead, a request, and what 12 requests being served may be off by.
	const bound = 2000 + (400 + 2*200) + 12*2*100
	if gap := b.served[1] - b.served[2]; gap < -bound || gap > bound || b.served[2] < 20*bound {
		t.Errorf("served %d, bound of the gap %d", b.served, bound)
	}

	// One who comes later, and one who comes back, earned nothing by that and are
	// not punished: from then on all get the same.
	same := func(when string, rates map[uint64]int) {
		t.Helper()
		b.run(1000, r, rates)
		clear(b.served)
		b.run(300_000, r, rates)
		for by := range rates {
			for other := range rates {
				if gap := b.served[by] - b.served[other]; gap > 2*bound {
					t.Errorf("%s: served %d", when, b.served)
				}
			}
		}
	}
	same("a third comes", map[uint64]int{1: 10, 2: 1, 3: 3})
	b.run(100_000, r, map[uint64]int{1: 10, 3: 1})
	same("the second is back", map[uint64]int{1: 10, 2: 1, 3: 3})
	// Alone, one gets everything: nothing is kept free for those who do not ask.
	b.run(20_000, r, nil)
	sofar, shed := b.served[1], b.shed[1]
	b.run(100_000, r, map[uint64]int{1: 1})
	if n := b.shed[1] - shed; b.served[1] == sofar || len(b.running) < 4 {
		t.Errorf("alone: served %d, shed %d, %d running", b.served[1]-sofar, n, len(b.running))
	}
}

// While slots are free, nobody is turned away, however much he has had.
func TestFairShareKeepsWorking(t *testing.T) {
	g := use(t, abi.Admit, "fair-share", "")
	for id := range uint64(100) {
		for by := range uint64(2) {
			fill := asked(by, 2*id+by, uint32(1+9999*by), 100, uint32(id))
			if got := g.admit(fill, server(0)); got != (verdict{}) {
				t.Fatalf("%v", got)
			}
		}
	}
	saturated := func(by uint64) verdict {
		return g.admit(func(h *abi.Header) {
			asked(by, 1000+by, 10, 10, 200)(h)
			h.Saturation = 1000
		}, server(4))
	}
	if got := saturated(1); got != (verdict{abi.Shed, tenant, 10}) {
		t.Errorf("the one who is ahead, with all busy: %v", got)
	}
	if got := saturated(0); got != (verdict{abi.Queue, 0, 0}) {
		t.Errorf("the other: %v", got)
	}
}
