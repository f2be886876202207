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
	level := slog.LevelInfo
	if ev.Kind == events.PeerSuspect {
		level = slog.LevelWarn
	}
	if !n.log.Enabled(context.Background(), level) {
		return
	}
	var room [5]slog.Attr
	attrs := append(room[:0], slog.Time("at", time.UnixMicro(ev.At).UTC()))
	if ev.Node != 0 {
		attrs = append(attrs, slog.String("node", n.nodeByHandle(ev.Node)))
	}
	if ev.Model != 0 {
		attrs = append(attrs, slog.String("model", n.modelByHandle(ev.Model)))
	}
	span := time.Duration(ev.A) * time.Microsecond
	switch ev.Kind {
	case events.RequestDone:
		attrs = append(attrs, slog.Duration("first_token", span), slog.Uint64("tokens", ev.B))
	case events.RequestFailed:
		attrs = append(attrs, slog.Duration("after", span))
	case events.RequestShed:
		attrs = append(attrs, slog.Duration("retry_after", span))
	case events.ModelState:
		attrs = append(attrs, slog.String("state", catalog.State(ev.A).String()))
		if ev.B > 0 && catalog.State(ev.A) == catalog.Loading {
			attrs = append(attrs, slog.Uint64("percent", ev.B/10))
		}
	case events.Continued:
		attrs = append(attrs, slog.Uint64("tokens", ev.A))
	case events.Failover:
		attrs = append(attrs, slog.Uint64("tried", ev.A))
	}
	n.log.LogAttrs(context.Background(), level, ev.Kind.String(), attrs...)
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
