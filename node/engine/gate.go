package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"omx/node/catalog"
)

// gate is a first-come queue before a number of slots.
type gate struct {
	mu      sync.Mutex
	open    bool // slots are handed out
	slots   int
	limit   int // of waiting
	running int
	waiting []chan error
	closed  error // why nothing is let in any more
}

func newGate(slots, limit int) *gate { return &gate{slots: slots, limit: limit} }

// enter waits for a slot; leave must follow if the error is nil. It fails with
// ErrBusy at once when the queue is full.
func (g *gate) enter(ctx context.Context) error {
	g.mu.Lock()
	if g.closed != nil {
		g.mu.Unlock()
		return g.closed
	}
	if g.open && g.running < g.slots && len(g.waiting) == 0 {
		g.running++
		g.mu.Unlock()
		return nil
	}
	if len(g.waiting) >= g.limit {
		g.mu.Unlock()
		return fmt.Errorf("%w: %d requests wait already", ErrBusy, g.limit)
	}
	turn := make(chan error, 1)
	g.waiting = append(g.waiting, turn)
	g.mu.Unlock()

	select {
	case err := <-turn:
		return err
	case <-ctx.Done():
	}
	g.mu.Lock()
	if i := slices.Index(g.waiting, turn); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.mu.Unlock()
		return ctx.Err()
	}
	g.mu.Unlock()
	if err := <-turn; err == nil { // the turn came in the same moment
		g.leave()
	}
	return ctx.Err()
}

// leave frees a slot.
func (g *gate) leave() {
	g.mu.Lock()
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

// close sends everybody who waits or comes away with err, until set.
func (g *gate) close(err error) {
	g.mu.Lock()
	g.open, g.closed = false, err
	for _, turn := range g.waiting {
		turn <- err
	}
	g.waiting = nil
	g.mu.Unlock()
}

func (g *gate) admit() {
	for g.open && g.running < g.slots && len(g.waiting) > 0 {
		g.waiting[0] <- nil
		g.waiting = slices.Delete(g.waiting, 0, 1)
		g.running++
	}
}

func (g *gate) load() catalog.Load {
	g.mu.Lock()
	defer g.mu.Unlock()
	return catalog.Load{Queued: uint32(len(g.waiting)), Running: uint32(g.running), Slots: uint32(g.slots)}
}
