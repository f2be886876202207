package mesh

import (
	"context"
	"errors"
	"time"

	"omx/node/catalog"
)

// acquire gives the connection for a request. One to a member that is up through
// others only is made for it, and goes again when it is idle.
func (m *Mesh) acquire(ctx context.Context, id catalog.NodeID) (*Entry[*link], error) {
	e, err := m.pool.Acquire(id)
	if !errors.Is(err, ErrNotConnected) || !m.Through(id) {
		return e, err
	}
	wait, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	e, err = m.pool.Get(wait, id)
	var soon *BackoffError
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrPoolFull) && !errors.Is(err, ErrPeerBusy) && !errors.As(err, &soon) {
		m.overlay.missed(id)
	}
	return e, err
}

// Unreachable says whether a node that is known through others only did not answer this
// node when it was last dialled, a moment ago: there may be no path to it from here.
func (m *Mesh) Unreachable(id catalog.NodeID) bool {
	p := m.peers.node(id)
	return p != nil && m.overlay.unreachable(p)
}

// missed notes that a request could not be brought to a member.
func (o *overlay) missed(id catalog.NodeID) {
	if p := o.m.peers.node(id); p != nil {
		o.mu.Lock()
		p.far.missed = time.Now()
		o.mu.Unlock()
	}
}

func (o *overlay) unreachable(p *listed) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return p.far.up == nil && !p.far.missed.IsZero() && time.Since(p.far.missed) < missedFor
}

// Through says whether a node is up, and known through others only: a request there
// makes a connection first.
func (m *Mesh) Through(id catalog.NodeID) bool {
	p := m.peers.node(id)
	return p != nil && m.overlay.through(p) && !m.pool.Has(id)
}
