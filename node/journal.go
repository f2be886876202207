package node

import (
	"context"
	"log/slog"
	"time"

	"omx/node/catalog"
	"omx/node/events"
)

// journal writes the log of what happened from the event bus, so that a slow
// disk or terminal never keeps a request waiting.
func (n *Node) journal(ev events.Event) {
	level, attrs := slog.LevelInfo, []any{"at", time.UnixMicro(ev.At).UTC().Format(time.RFC3339Nano)}
	if ev.Node != 0 {
		attrs = append(attrs, "node", n.nodeByHandle(ev.Node))
	}
	if ev.Model != 0 {
		attrs = append(attrs, "model", n.modelByHandle(ev.Model))
	}
	switch ev.Kind {
	case events.RequestDone:
		attrs = append(attrs, "first_token", time.Duration(ev.A)*time.Microsecond, "tokens", ev.B)
	case events.RequestFailed:
		attrs = append(attrs, "after", time.Duration(ev.A)*time.Microsecond)
	case events.RequestShed:
		attrs = append(attrs, "retry_after", time.Duration(ev.A)*time.Microsecond)
	case events.Failover:
		attrs = append(attrs, "tried", ev.A)
	case events.PeerSuspect:
		level = slog.LevelWarn
	}
	n.log.Log(context.Background(), level, ev.Kind.String(), attrs...)
}

func (n *Node) nodeByHandle(h uint64) string {
	for _, node := range n.table.Snapshot().Nodes {
		if node.Handle == h {
			return node.ID.Short()
		}
	}
	return "unknown"
}

func (n *Node) modelByHandle(h uint64) string {
	name := "unknown"
	n.table.Snapshot().Models(func(id catalog.ModelID, _ []catalog.Holder) {
		if id.Handle() == h {
			name = id.String()
		}
	})
	return name
}

// emit tells the bus of something that concerns a node and a model; the zero id
// of either means none.
func (n *Node) emit(kind events.Kind, node catalog.NodeID, model catalog.ModelID, a, b uint64) {
	n.bus.Emit(events.Event{Kind: kind, At: int64(n.now()), Node: node.Handle(), Model: model.Handle(), A: a, B: b})
}
