package engine

import (
	"context"
	"time"

	"omx/node/catalog"
)

// What engines in other packages share with those here.

// Gate is a queue before a number of slots; see Claim.
type Gate struct{ g *gate }

// NewGate returns an open gate.
func NewGate(slots, limit int) Gate {
	g := newGate(slots, limit)
	g.set(true)
	return Gate{g}
}

// Enter waits for a slot; Leave must follow if the error is nil. It fails with
// ErrBusy at once when the queue is full.
func (g Gate) Enter(ctx context.Context, c Claim) error { return g.g.enter(ctx, c) }

// Leave frees a slot.
func (g Gate) Leave() { g.g.leave() }

// Resize changes the number of slots; who is in stays.
func (g Gate) Resize(slots int) { g.g.resize(slots) }

// Close sends everybody who waits or comes away with err.
func (g Gate) Close(err error) { g.g.close(err) }

// Load is how busy the gate is.
func (g Gate) Load() catalog.Load { return g.g.load() }

// Check refuses prompts that are out of bounds.
func (p *Prompt) Check() error { return p.check() }

// Place is the prompt's claim to a place in a queue, completed.
func (p *Prompt) Place() Claim { return p.claim() }

// Check refuses requests that are out of bounds.
func (r *EmbedRequest) Check() error { return r.check() }

// BusyError is an ErrBusy that says how long to wait before the next try.
type BusyError struct {
	Wait time.Duration
	Why  string
}

func (e *BusyError) Error() string { return ErrBusy.Error() + ": " + e.Why }

// Is makes it an ErrBusy.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }
