package seed

import (
	"fmt"

	"omx/node/catalog"
	"omx/node/mesh"
)

// standIn is a connection that is always up: what is measured is the pool, and
// not QUIC.
type standIn struct{ closed bool }

func (c *standIn) Close() error { return nil }
func (c *standIn) Closed() bool { return c.closed }

// nodePool is the node's own pool with n peers connected.
type nodePool struct {
	*mesh.Pool[*standIn]
	ids     []catalog.NodeID
	conns   []*standIn
	entries []*mesh.Entry[*standIn]
}

func newNodePool(n int) (*nodePool, error) {
	p := &nodePool{Pool: mesh.NewPool[*standIn](mesh.PoolConfig{MaxConns: max(n, 1)}, nil)}
	ids, err := nodeIDs(names(n))
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		conn := &standIn{}
		e, err := p.Put(id, conn, false)
		if err != nil {
			return nil, err
		}
		p.ids, p.conns, p.entries = append(p.ids, id), append(p.conns, conn), append(p.entries, e)
	}
	return p, nil
}

func nodeIDs(names []string) ([]catalog.NodeID, error) {
	ids := make([]catalog.NodeID, len(names))
	for i, name := range names {
		var err error
		if ids[i], err = catalog.ParseNodeID(name); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// names makes n peer names of the usual length.
func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("12D3KooWBenchmark%035d", i)
	}
	return all
}
