package node

import (
	"context"
	"slices"
	"time"

	"omx/node/catalog"
	"omx/node/decide"
)

const (
	// suspectFor is how long a request waits for holders that are all suspect: by then
	// they have been heard with their next record, which comes each second, or not.
	suspectFor  = 1500 * time.Millisecond
	suspectLook = 20 * time.Millisecond
)

// routeLater decides again while all nodes that have the model are suspect, which on
// a busy machine or a bad line they are for moments. It returns the snapshot that it
// decided on last.
func (n *Node) routeLater(ctx context.Context, snap *catalog.Snapshot, req *decide.Request, picks *decide.Picks) *catalog.Snapshot {
	look, over := time.NewTicker(suspectLook), time.NewTimer(suspectFor)
	defer look.Stop()
	defer over.Stop()
	for picks.N == 0 && suspected(snap, req.Model) {
		select {
		case <-look.C:
		case <-over.C:
			return snap
		case <-ctx.Done():
			return snap
		}
		if now := n.table.Snapshot(); now != snap {
			snap = now
			n.decider.Route(n.now(), snap, req, picks)
		}
	}
	return snap
}

// suspected tells whether a node that has a model is suspect, and nothing worse.
func suspected(s *catalog.Snapshot, m catalog.ModelID) bool {
	return slices.ContainsFunc(s.Holders(m), func(h catalog.Holder) bool { return h.Suspect && h.Up && !h.Draining })
}
