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

// order has the node do what only an operator may ask for.
func order[O, V any](s *Server, do func(context.Context, Peers, O) (V, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var o O
		var v V
		err := s.orderOf(w, r, &o)
		if err == nil && s.cfg.Peers == nil {
			err = &Error{Status: http.StatusNotImplemented, Code: "not_implemented", Message: "this server has no peers"}
		}
		if err == nil {
			v, err = do(r.Context(), s.cfg.Peers, o)
		}
		if err != nil {
			writeOpenAIError(w, err)
			return
		}
		writeView(w, v)
	}
}

func ping(ctx context.Context, p Peers, o pingOrder) (PingView, error) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return p.Ping(ctx, o.Node)
}

func drain(_ context.Context, p Peers, o drainOrder) (DrainView, error) { return p.Drain(o.On), nil }
