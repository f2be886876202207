package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"omx/node/catalog"
)

// Claim is what a request's place in a queue depends on.
type Claim struct {
	Priority int32  // the higher goes first
	Class    uint32 // of service; each has as much room to wait as any other
	Tenant   uint64 // of equal priority, tenants have equal shares
	Cost     uint32 // tokens, about; a share is of these
}

// gate is a queue before a number of slots. Requests of a higher priority come
// first; of equal ones those of different tenants take turns, in shares of what they
// cost, by start-time fair queueing (Goyal, Vin, Cheng, 1996); those of one tenant
// keep their order.
type gate struct {
	mu      sync.Mutex
	open    bool // slots are handed out
	slots   int
	limit   int // of waiting, for each class
	running int
	waiting []*waiter // in the order of their turns
	closed  error     // why nothing is let in any more
	knock   func()    // called, if set, when somebody comes to a gate that is shut

	clock float64            // virtual: the start of the last whose turn came
	next  map[uint64]float64 // per tenant: the earliest start of its next request
	pace  time.Duration      // moving average of the time between two slots handed over
	left  time.Time          // when one was, last
	used  time.Time          // when somebody was in, last
}

type waiter struct {
	Claim
	start   float64
	slotted bool
	turn    chan error
}

func newGate(slots, limit int) *gate {
	return &gate{slots: slots, limit: limit, next: map[uint64]float64{}}
}

// enter waits for a slot; leave must follow if the error is nil. It fails with
// ErrBusy at once when the queue is full.
func (g *gate) enter(ctx context.Context, c Claim) error { return g.wait(ctx, c, true) }

// pass waits until the gate is open, but for no slot; no leave follows.
func (g *gate) pass(ctx context.Context) error { return g.wait(ctx, Claim{}, false) }

func (g *gate) wait(ctx context.Context, c Claim, slotted bool) error {
	g.mu.Lock()
	if g.closed != nil {
		defer g.mu.Unlock()
		return g.closed
	}
	if g.open && (!slotted || g.running < g.slots && len(g.waiting) == 0) {
		if slotted {
			g.running++
			g.began(g.start(&c), &c)
		}
		g.mu.Unlock()
		return nil
	}
	if waits := g.waits(c.Class); waits >= g.limit {
		defer g.mu.Unlock()
		return &BusyError{Wait: g.delay(), Why: fmt.Sprintf("%d requests wait already", waits)}
	}
	w := &waiter{Claim: c, start: g.start(&c), slotted: slotted, turn: make(chan error, 1)}
	g.next[c.Tenant] = w.start + c.cost()
	at, _ := slices.BinarySearchFunc(g.waiting, w, func(a, b *waiter) int {
		if a.Priority > b.Priority || a.Priority == b.Priority && a.start <= b.start {
			return -1
		}
		return 1
	})
	g.waiting = slices.Insert(g.waiting, at, w)
	knock := g.knock
	if g.open {
		knock = nil
	}
	g.mu.Unlock()
	if knock != nil {
		knock()
	}

	select {
	case err := <-w.turn:
		return err
	case <-ctx.Done():
	}
	g.mu.Lock()
	if i := slices.Index(g.waiting, w); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.mu.Unlock()
		return context.Cause(ctx)
	}
	g.mu.Unlock()
	if err := <-w.turn; err == nil && slotted { // the turn came in the same moment
		g.leave()
	}
	return context.Cause(ctx)
}

// cost is never 0, so that tenants take turns even where nothing is known.
func (c *Claim) cost() float64 { return float64(max(c.Cost, 1)) }

// start is the virtual moment at which a request would begin if all tenants had
// their shares.
func (g *gate) start(c *Claim) float64 { return max(g.clock, g.next[c.Tenant]) }

// began notes that the turn of a request has come.
func (g *gate) began(start float64, c *Claim) {
	g.clock = max(g.clock, start)
	g.next[c.Tenant] = max(g.next[c.Tenant], start+c.cost())
	if len(g.next) > maxTenants { // those who are behind the clock have no more to wait for than a newcomer
		for t, next := range g.next {
			if next <= g.clock {
				delete(g.next, t)
			}
		}
	}
}

// waits counts those of a class.
func (g *gate) waits(class uint32) (n int) {
	for _, w := range g.waiting {
		if w.Class == class {
			n++
		}
	}
	return n
}

func (g *gate) delay() time.Duration {
	if g.running < g.slots {
		return 0
	}
	return time.Duration(len(g.waiting)+1) * g.pace
}

// leave frees a slot.
func (g *gate) leave() {
	g.mu.Lock()
	now := time.Now()
	if g.running >= g.slots && g.running > 0 { // all were taken: it is this pace that others wait for
		if !g.left.IsZero() {
			g.pace += (now.Sub(g.left) - g.pace) / paceShare
		}
		g.left = now
	} else {
		g.left = time.Time{}
	}
	g.used = now
	g.running--
	g.admit()
	g.mu.Unlock()
}

// set opens or shuts the gate: who comes waits, and who waits goes on waiting.
func (g *gate) set(open bool) {
	g.mu.Lock()
	g.open, g.closed = open, nil
	g.admit()
	g.mu.Unlock()
}

// resize changes the number of slots. If there are fewer than are in use, nobody comes
// in until that many have left.
func (g *gate) resize(slots int) {
	g.mu.Lock()
	g.slots = slots
	g.admit()
	g.mu.Unlock()
}

// close sends everybody who waits or comes away with err, until set.
func (g *gate) close(err error) {
	g.mu.Lock()
	g.open, g.closed = false, err
	for _, w := range g.waiting {
		w.turn <- err
	}
	g.waiting = nil
	g.mu.Unlock()
}

// shed sends those away who wait, and not those who come.
func (g *gate) shed(err error) {
	g.close(err)
	g.set(false)
}

// shutIdle shuts the gate if nobody is in or waits, and nobody was for so long. It
// returns how much longer that takes otherwise.
func (g *gate) shutIdle(idle time.Duration) (shut bool, left time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if left = idle - time.Since(g.used); g.running+len(g.waiting) > 0 || left > 0 {
		return false, max(left, idlePoll)
	}
	g.open = false
	return true, 0
}

func (g *gate) admit() {
	for i := 0; g.open && i < len(g.waiting); {
		w := g.waiting[i]
		if w.slotted && g.running >= g.slots {
			i++ // those behind it may need no slot
			continue
		}
		g.waiting = slices.Delete(g.waiting, i, i+1)
		if w.slotted {
			g.running++
			g.began(w.start, &w.Claim)
		}
		w.turn <- nil
	}
}

// wouldWait is how long a newcomer would wait; 0 if not at all, or if that is not
// known.
func (g *gate) wouldWait() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.delay()
}

func (g *gate) load() catalog.Load {
	g.mu.Lock()
	defer g.mu.Unlock()
	return catalog.Load{Queued: uint32(len(g.waiting)), Running: uint32(g.running), Slots: uint32(g.slots)}
}

// busy tells whether anybody is in or waits.
func (g *gate) busy() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running+len(g.waiting) > 0
}

// lastUsed is when somebody was in, last.
func (g *gate) lastUsed() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.used
}

// touch counts as use.
func (g *gate) touch() {
	g.mu.Lock()
	g.used = time.Now()
	g.mu.Unlock()
}
