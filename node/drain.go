package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"omx/node/api"
	"omx/node/catalog"
	"omx/node/mesh"
)

// The way to other nodes, and out of their sight; Node implements api.Peers.

// Drain has other nodes send nothing more here, and what comes here go to them.
func (n *Node) Drain(on bool) api.DrainView {
	n.drained.Store(on)
	n.publishSelf()
	v := api.DrainView{Draining: on}
	for _, m := range n.engine.Models() {
		v.Running += int(m.Load.Running + m.Load.Queued)
	}
	return v
}

// leaving tells whether the node takes no more requests of others.
func (n *Node) leaving() bool { return n.draining.Load() || n.drained.Load() }

// Ping measures how long a node takes to answer, through both programs.
func (n *Node) Ping(ctx context.Context, name string) (api.PingView, error) {
	to, err := n.known(name)
	if err != nil {
		return api.PingView{}, err
	}
	v := api.PingView{ID: to.ID.String(), Name: to.Name}
	if to.Self {
		return v, nil
	}
	began := time.Now()
	_, err = n.askPeer(ctx, to.ID, &wireRequest{Ping: true}, nil)
	v.RTTMillis = float64(time.Since(began).Microseconds()) / 1000
	if err != nil {
		why := strings.TrimPrefix(err.Error(), mesh.ErrUnreachable.Error()+": ")
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, mesh.ErrLost) {
			why = "it does not answer"
		}
		return v, &api.Error{Status: http.StatusBadGateway, Code: "unreachable", Message: fmt.Sprintf("node %s: %s", to.Name, why)}
	}
	return v, nil
}

// known finds a node by its identity, the end of it, or what people call it.
func (n *Node) known(name string) (*catalog.Node, error) {
	found := byName(name, n.table.Snapshot().Nodes, func(node *catalog.Node) (string, string) { return node.ID.String(), node.Name })
	switch len(found) {
	case 0:
		return nil, &api.Error{Status: http.StatusNotFound, Code: "no_node", Param: "node", Message: fmt.Sprintf("%.80q is no node that is known here; see: omx nodes", name)}
	case 1:
		return found[0], nil
	}
	return nil, &api.Error{Status: http.StatusConflict, Code: "ambiguous", Param: "node", Message: fmt.Sprintf("%d nodes are called %.80q; name one by its identity, see: omx nodes --json", len(found), name)}
}
