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
	for _, name := range names(n) {
		id, err := catalog.ParseNodeID(name)
		if err != nil {
			return nil, err
		}
		conn := &standIn{}
		e, err := p.Put(id, conn, false)
		if err != nil {
			return nil, err
		}
		p.ids, p.conns, p.entries = append(p.ids, id), append(p.conns, conn), append(p.entries, e)
	}
	return p, nil
}

// names makes n peer names of the usual length.
func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("12D3KooWBenchmark%035d", i)
	}
	return all
}
