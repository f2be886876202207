package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"omx/node/api"
	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/engine"
	"omx/node/events"
	"omx/policies/abi"
)

const (
	// maxTries bounds the nodes that are asked for one answer, and maxRoutes the
	// decisions taken for it: more would only burn a client's time.
	maxTries  = decide.MaxPicks
	maxRoutes = 3

	textRoom = 512 // bytes of an answer that are kept at first: about a hundred tokens
)

// answer is what becomes of one request: it passes tokens on to the client and
// remembers who answered, and as much as another node needs to go on.
type answer struct {
	node    *Node
	reply   api.Reply // nil: what comes is kept
	arrived time.Time
	hedged  bool
	picks   *decide.Picks  // the first decision
	latest  *decide.Picks  // and the one whose picks are tried
	by      catalog.NodeID // who is answering
	begun   bool           // the client has seen something
	ttft    time.Duration
	usage   engine.Usage
	vectors [][]float32

	first   attempt                  // most need no other
	tries   [maxTries]catalog.NodeID // the room of tried
	tried   []catalog.NodeID
	said    engine.Begun // so far
	text    []byte       // of said
	thought []byte
	fixed   bool  // nobody can go on with it from its text alone
	gone    error // the client
	resumed int
}

// run has a request answered, here or on another node.
func (n *Node) run(ctx context.Context, a *answer, c *api.Chat, w *wireRequest) error {
	now, snap := n.now(), n.table.Snapshot()
	req := n.request(c)
	w.chain.of(&w.Prompt)
	w.chain.blocks(&req)
	if v := n.decider.Admit(now, snap, &req); v.Action >= abi.Shed {
		n.emit(events.RequestShed, n.id, c.Model, uint64(v.Wait.Microseconds()), 0)
		return refusal(v)
	}
	var picks decide.Picks
	began := time.Now()
	n.decider.Route(now, snap, &req, &picks)
	took := time.Since(began)
	if picks.N == 0 {
		if snap = n.routeLater(ctx, snap, &req, &picks); picks.N == 0 {
			return n.noPick(snap, c.Model)
		}
	}
	a.picks, a.latest, w.Keep = &picks, &picks, c.KeepAlive
	w.ID, w.Tenant, w.Priority, w.Class, w.PromptTokens = req.ID, req.Tenant, req.Priority, req.Class, req.Prompt

	err := n.tryAll(ctx, a, &req, w)
	outcome := a.outcome(took, err)
	n.ended(picks.ID, outcome, time.Since(c.Arrived))
	if a.latest != a.picks {
		n.ended(a.latest.ID, outcome, time.Since(c.Arrived))
	}
	if err == nil {
		n.emit(events.RequestDone, a.by, c.Model, uint64(a.ttft.Microseconds()), uint64(a.usage.OutputTokens))
		return nil
	}
	n.emit(events.RequestFailed, a.by, c.Model, uint64(time.Since(a.arrived).Microseconds()), 0)
	if a.begun && ctx.Err() == nil && a.gone == nil {
		return &api.Error{Status: http.StatusBadGateway, Code: "answer_interrupted",
			Message: fmt.Sprintf("the answer broke off after %d tokens, and no other node could go on with it; ask again: %v", a.said.Tokens, err)}
	}
	return apiError(ctx, err)
}

// tryAll asks one pick after the other, until one has answered or nobody can. One
// that is lost in the middle of its answer is followed by one that goes on.
func (n *Node) tryAll(ctx context.Context, a *answer, req *decide.Request, w *wireRequest) error {
	var err error
	for {
		pick := a.next(req)
		if pick == nil {
			return err
		}
		had := a.said.Tokens
		if err = n.tryOrHedge(ctx, a, req, pick, w); err == nil || ctx.Err() != nil || a.gone != nil {
			return err
		}
		if told := a.said.Tokens > had; a.fixed || told && !isFault(err) || !a.begun && isFinal(err) {
			return err
		}
		if a.begun {
			n.emit(events.Continued, pick.Node, req.Model, uint64(a.said.Tokens), 0)
			req.Deadline = 0 // it has begun by then
		} else {
			n.emit(events.Failover, pick.Node, req.Model, uint64(len(a.tried)), 0)
		}
		n.log.Debug("trying the next node", "request", req.ID, "failed", pick.Node.Short(), "tokens", a.said.Tokens, "why", err)
	}
}

// next is the best pick that was not tried. For an answer that has begun there are
// more decisions, since the world has changed since the first.
func (a *answer) next(req *decide.Request) *decide.Pick {
	for routes := 0; len(a.tried) < maxTries; routes++ {
		if p := a.untried(); p != nil {
			return p
		}
		if !a.begun || routes == maxRoutes {
			return nil
		}
		again := &decide.Picks{}
		req.Attempt = uint32(len(a.tried))
		a.node.decider.Route(a.node.now(), a.node.table.Snapshot(), req, again)
		if a.latest = again; again.N == 0 {
			return nil
		}
	}
	return nil
}

func (a *answer) untried() *decide.Pick {
	for i := range a.latest.List() {
		if p := &a.latest.Pick[i]; len(a.tried) < maxTries && !slices.Contains(a.tried, p.Node) {
			return p
		}
	}
	return nil
}

// token hands one piece of the answer to the client.
func (a *answer) token(by catalog.NodeID, t engine.Token) error {
	if !a.begun {
		a.by, a.begun, a.ttft = by, true, time.Since(a.arrived)
		if err := a.begin(); err != nil {
			a.gone = err
			return err
		}
	}
	if by != a.by {
		a.by = by
		a.resumed++
	}
	a.keep(&t)
	if err := a.reply.Token(apiToken(t)); err != nil {
		a.gone = err
		return err
	}
	return nil
}

// keep remembers a piece for whoever goes on.
func (a *answer) keep(t *engine.Token) {
	a.said.Tokens += t.N
	a.fixed = a.fixed || t.Called || len(t.Logprobs) > 0
	switch {
	case a.fixed:
		a.text, a.thought = nil, nil
	case t.Thought:
		a.thought = append(a.thought, t.Text...)
	default:
		if a.text == nil {
			a.text = make([]byte, 0, textRoom)
		}
		a.text = append(a.text, t.Text...)
	}
}

// goOn has a request say what was answered already.
func (a *answer) goOn(w *wireRequest) {
	if a.begun {
		said := a.said
		said.Text, said.Thought = string(a.text), string(a.thought)
		w.Prompt.Begun = &said
	}
}

func (a *answer) begin() error {
	if a.reply == nil {
		return nil
	}
	return a.reply.Begin(a.meta())
}

func (a *answer) meta() api.Meta {
	return api.Meta{Node: a.by, NodeName: a.node.nameOf(a.by), Decision: strconv.FormatUint(a.picks.ID, 10), Policy: policyName(a.picks.By), TTFT: a.ttft}
}

func (a *answer) result() api.Result {
	u := a.usage
	return api.Result{PromptTokens: u.PromptTokens, CachedTokens: u.CachedTokens, OutputTokens: u.OutputTokens, Finish: string(u.Finish),
		Stop: u.Stop, Calls: apiCalls(u.Calls), QueueWait: u.QueueWait, Prefill: u.Prefill, TTFT: a.ttft, Total: time.Since(a.arrived), Resumed: a.resumed}
}

func (a *answer) outcome(took time.Duration, err error) decide.Outcome {
	o := decide.Outcome{Done: true, Node: a.by, Tries: len(a.tried), Took: took, TTFT: a.ttft, Tokens: max(a.usage.OutputTokens, a.said.Tokens), Resumed: a.resumed}
	if err != nil {
		o.Err = err.Error()
	}
	return o
}

var (
	// errSlow ends a try whose first token takes too long.
	errSlow = errors.New("no token in time")
	// errLate ends a request whose answer has not begun by its deadline.
	errLate = errors.New("the answer did not begin by the deadline")
	// errStalled ends a try at a node that is not heard any more.
	errStalled = errors.New("nothing comes from the node any more")
	// errBeaten ends a try because another was faster.
	errBeaten = errors.New("another node was faster")
)
