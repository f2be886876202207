package api

import (
	"context"
	"net/http"
	"time"
)

// Peers lets the operator look at the way to other nodes, and take this one out of
// their sight. Errors that a client should understand are *Error.
type Peers interface {
	// Ping measures how long a node, named like in Membership, takes to answer.
	Ping(ctx context.Context, node string) (PingView, error)
	// Drain has other nodes send nothing more here, and requests that come here go to
	// them, until it is called with false.
	Drain(on bool) DrainView
}

// PingView is one answer of a node.
type PingView struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	RTTMillis float64 `json:"rtt_ms"` // through both programs, not only the network
}

// DrainView is how far a node is.
type DrainView struct {
	Draining bool `json:"draining"`
	Running  int  `json:"running"` // requests that its own models answer or have waiting
}

// pingTimeout is how long a node may take to answer: longer is no use to anybody.
const pingTimeout = 5 * time.Second

type pingOrder struct {
	Node string `json:"node"`
}

type drainOrder struct {
	On bool `json:"on"`
}

var errNoPeers = &Error{Status: http.StatusNotImplemented, Code: "not_implemented", Message: "this server has no peers"}

func (s *Server) ping(ctx context.Context, o pingOrder) (PingView, error) {
	if s.cfg.Peers == nil {
		return PingView{}, errNoPeers
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return s.cfg.Peers.Ping(ctx, o.Node)
}

func (s *Server) drain(_ context.Context, o drainOrder) (DrainView, error) {
	if s.cfg.Peers == nil {
		return DrainView{}, errNoPeers
	}
	return s.cfg.Peers.Drain(o.On), nil
}
