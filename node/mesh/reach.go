package mesh

import (
	"context"
	"errors"

	"omx/node/catalog"
)

// acquire gives the connection for a request. One to a member that is up through
// others only is made for it, and goes again when it is idle.
func (m *Mesh) acquire(ctx context.Context, id catalog.NodeID) (*Entry[*link], error) {
	e, err := m.pool.Acquire(id)
	if !errors.Is(err, ErrNotConnected) || !m.Through(id) {
		return e, err
	}
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	return m.pool.Get(ctx, id)
}

// Through says whether a node is up, and known through others only: a request there
// makes a connection first.
func (m *Mesh) Through(id catalog.NodeID) bool {
	p := m.peers.node(id)
	return p != nil && m.overlay.through(p) && !m.pool.Has(id)
}
