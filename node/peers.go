package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/engine"
	"omx/node/events"
	"omx/node/mesh"
	"omx/policies/abi"
)

// maxHops is how often a request may be passed on: once, to the node that
// serves it. A peer's request is served here or refused.
const maxHops = 1

// wireRequest is a request on its way to another node.
type wireRequest struct {
	ID           uint64         `json:"id"`
	Tenant       uint64         `json:"-"` // on the request's ticket
	Priority     int32          `json:"priority,omitempty"`
	Class        uint32         `json:"class,omitempty"`
	Deadline     catalog.Micros `json:"deadline,omitempty"` // µs left
	PromptTokens uint32         `json:"prompt_tokens"`      // estimate
	Attempt      uint32         `json:"attempt,omitempty"`
	Hops         uint32         `json:"hops"`
	Prompt       engine.Prompt  `json:"prompt,omitzero"`
	Said         uint32         `json:"said,omitempty"` // what of it the client has said; see said
	// Embed, if there is one, is asked for instead; Count only how many tokens the
	// prompt has.
	Embed *engine.EmbedRequest `json:"embed,omitempty"`
	Count bool                 `json:"count,omitempty"`
	// Ping asks for nothing but an answer.
	Ping bool `json:"ping,omitempty"`
	// Keep is how long the model is to stay loaded after this; nil as it is.
	Keep *time.Duration `json:"keep,omitempty"`

	chain chain // of the prompt, as the client has sent it; made at each node
}

// model is the one that is asked.
func (w *wireRequest) model() catalog.ModelID {
	if w.Embed != nil {
		return w.Embed.Model
	}
	return w.Prompt.Model
}

// askPeer has another node answer; w is then passed on once more.
func (n *Node) askPeer(ctx context.Context, id catalog.NodeID, w *wireRequest, out sink) (engine.Usage, error) {
	var usage engine.Usage
	w.Hops++
	payload, err := json.Marshal(w)
	if err != nil {
		return usage, fmt.Errorf("encode request: %w", err)
	}
	s, err := n.mesh.Open(ctx, id, w.Tenant, payload)
	if err != nil {
		return usage, err
	}
	defer s.Close()
	for {
		token, err := s.Next()
		if errors.Is(err, mesh.ErrDone) {
			if err := json.Unmarshal(s.Trailer(), &usage); err != nil {
				return usage, fmt.Errorf("%w: decode usage: %v", mesh.ErrProtocol, err)
			}
			return usage, nil
		}
		if err != nil {
			return usage, err
		}
		if err := receive(token, out); err != nil {
			return usage, err
		}
	}
}

// Serve answers a peer's request with this node's own engine; it implements
// mesh.Handler.
func (n *Node) Serve(ctx context.Context, from catalog.NodeID, s *mesh.ServerStream) {
	var w wireRequest
	if err := json.Unmarshal(s.Request(), &w); err != nil || w.Hops != maxHops || w.model().IsZero() && !w.Ping {
		s.Refuse(&mesh.RefusedError{Code: mesh.CodeBadRequest, Message: "the request could not be understood"})
		return
	}
	w.Tenant, w.Prompt.Scope = s.Tenant(), s.Tenant()
	if w.Ping {
		s.Done([]byte("{}"))
		return
	}
	if n.drained.Load() {
		s.Refuse(&mesh.RefusedError{Code: mesh.CodeDraining, RetryAfter: time.Second, Message: "the node is being drained"})
		return
	}
	req := decide.Request{ID: w.ID, Model: w.model(), Tenant: w.Tenant, Prompt: w.PromptTokens, Estimated: true,
		MaxOut: uint32(max(w.Prompt.MaxTokens, 0)), FromPeer: true, Peer: from.Handle(), Entry: from.Handle(), Streamed: true, Attempt: w.Attempt, Hops: w.Hops}
	req.Priority, req.Class = w.Priority, w.Class
	w.chain.of(&w.Prompt)
	w.chain.blocks(&req)
	if w.Deadline > 0 {
		req.Deadline = n.now() + w.Deadline
	}
	snap := n.table.Snapshot()
	if v := n.decider.Admit(n.now(), snap, &req); v.Action >= abi.Shed {
		code := mesh.CodeShed
		if v.Action == abi.Reject {
			code = mesh.CodeRejected
		}
		s.Refuse(&mesh.RefusedError{Code: code, RetryAfter: v.Wait, Message: fmt.Sprintf("admission policy %s, reason %d", v.By.Policy, v.Reason)})
		return
	}

	// Counted like the node's own requests, so that the next admission knows of
	// this one before the load is sampled again.
	var pick *decide.Pick
	began := time.Now()
	if p, ok := decide.Here(snap, req.Model); ok {
		pick = &p
		n.decider.Sent(n.now(), &req, pick)
	}
	out := &peerSink{s: s, first: func() {
		if pick != nil {
			n.decider.First(n.now(), &req, pick, catalog.Micros(time.Since(began).Microseconds()))
		}
	}}
	usage, err := n.work(ctx, &w, out)
	output := usage.OutputTokens
	if w.Prompt.Begun != nil {
		output = max(output-w.Prompt.Begun.Tokens, 0)
	}
	if pick != nil {
		n.decider.Ended(n.now(), &req, pick, ended(began, usage.TTFT, output, false))
	}
	if err == nil {
		n.emit(events.RequestDone, from, w.model(), uint64(usage.TTFT.Microseconds()), uint64(output))
	} else {
		n.emit(events.RequestFailed, from, w.model(), uint64(usage.Total.Microseconds()), 0)
	}
	switch {
	case err == nil:
		trailer, err := json.Marshal(usage)
		if err != nil {
			s.Fail(&mesh.FailedError{Code: mesh.CodeInternal, Message: "encode usage"})
			return
		}
		s.Done(trailer)
	case out.begun:
		s.Fail(&mesh.FailedError{Code: wireCode(err), Message: err.Error()})
	default:
		s.Refuse(&mesh.RefusedError{Code: wireCode(err), RetryAfter: time.Second, Message: err.Error()})
	}
}

// What the mesh tells of peers; Node implements mesh.Observer.

// PeerUp notes that a peer is connected.
func (n *Node) PeerUp(id catalog.NodeID) {
	n.table.SetUp(id, true)
	n.table.Publish()
	n.decider.Node(n.now(), id.Handle(), true)
	n.emit(events.PeerUp, id, catalog.ModelID{}, 0, 0)
}

// PeerDown notes that a peer is gone.
func (n *Node) PeerDown(id catalog.NodeID, reason error) {
	level := slog.LevelWarn
	if errors.Is(reason, mesh.ErrLeft) || n.draining.Load() { // or it is this node that leaves
		level = slog.LevelInfo
	}
	n.log.Log(context.Background(), level, "peer is down", "peer", id, "why", reason)
	n.table.SetUp(id, false)
	n.table.Publish()
	n.decider.Node(n.now(), id.Handle(), false)
	n.emit(events.PeerDown, id, catalog.ModelID{}, 0, 0)
}

// PeerSuspect notes that nothing comes from a peer at which requests are open.
// Answers that others can give go on there.
func (n *Node) PeerSuspect(id catalog.NodeID) {
	n.suspect(id)
	n.flights.stalled(id, n.table.Snapshot())
}

func (n *Node) suspect(id catalog.NodeID) {
	n.table.SetSuspect(id, true)
	n.table.Publish()
	n.emit(events.PeerSuspect, id, catalog.ModelID{}, 0, 0)
}

// PeerRecord takes what a peer says of itself, and the round trip to it. A peer
// that speaks is up, and no longer suspect if it can be asked: one that is heard through
// others may have no path to here.
func (n *Node) PeerRecord(info catalog.NodeInfo, rtt time.Duration) {
	if err := n.table.PutRecord(info); err != nil {
		n.log.Warn("refused a peer's record", "peer", info.ID, "why", err)
		return
	}
	if rtt > 0 {
		n.table.SetRTT(info.ID, uint32(min(rtt.Microseconds(), 1<<31)), n.now())
	}
	n.table.SetUp(info.ID, true)
	if n.mesh.Unreachable(info.ID) {
		n.table.SetSuspect(info.ID, true)
	}
	n.publishRecords()
	n.keep(info)
}

// publishShare is how much longer than it took to publish a snapshot nothing is
// published for a heartbeat alone. At a thousand nodes a snapshot takes 2 ms, and
// as many heartbeats come each second (2 cores, 2026-11).
const publishShare = 20

// publishRecords shows what records have said, at once where that is cheap. What
// it leaves out is shown by refresh.
func (n *Node) publishRecords() {
	began := time.Since(n.born)
	if int64(began) < n.publishAfter.Load() {
		return
	}
	n.table.Publish()
	n.publishAfter.Store(int64(began + (publishShare+1)*(time.Since(n.born)-began)))
}
