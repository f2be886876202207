package mesh

import (
	"context"
	"time"
)

// Drain accepts no more requests of peers, and waits until those that are open
// here have ended, or ctx has.
func (m *Mesh) Drain(ctx context.Context) {
	m.draining.Store(true)
	for range cap(m.requests) {
		select {
		case m.requests <- struct{}{}: // keeps everybody else out for good
		case <-ctx.Done():
			return
		}
	}
}

// sayLeaving tells every peer that this node leaves, so that they need not wait
// for its silence, and gives them a moment to hang up.
func (m *Mesh) sayLeaving() {
	m.mu.Lock()
	m.leaving = true
	left := len(m.sessions)
	m.mu.Unlock()
	m.pokeAll()
	timeout := time.NewTimer(leaveTime)
	defer timeout.Stop()
	for left > 0 {
		select {
		case <-m.ended:
		case <-timeout.C:
			return
		}
		m.mu.Lock()
		left = len(m.sessions)
		m.mu.Unlock()
	}
}

func (m *Mesh) isLeaving() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leaving
}

func (m *Mesh) pokeAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		s.poke()
	}
}
