package node

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/engine"
)

// attempt is one try of a request at one node.
type attempt struct {
	n      *Node
	answer *answer
	req    decide.Request
	pick   *decide.Pick
	w      wireRequest
	race   *race            // nil: nobody else is asked at the same time
	tried  []catalog.NodeID // nodes that cannot go on in its place
	fixed  atomic.Bool      // nobody can

	cancel context.CancelCauseFunc
	timer  *time.Timer
	began  time.Time
	first  time.Duration // until the first token; 0 none came
	output int           // tokens
	usage  engine.Usage
	unread bool // the client is gone
	err    error
}

// attempt prepares a try at a node.
func (a *answer) attempt(req *decide.Request, pick *decide.Pick, w *wireRequest) *attempt {
	t := &a.first
	if len(a.tried) > 0 {
		t = &attempt{}
	} else {
		a.tried = a.tries[:0]
	}
	t.n, t.answer, t.req, t.pick, t.w = a.node, a, *req, pick, *w
	t.req.Attempt = uint32(len(a.tried))
	t.w.Attempt = t.req.Attempt
	a.tried = append(a.tried, pick.Node)
	t.tried = a.tried // what is added to it later, it does not see
	return t
}

// run asks the node and waits for what becomes of it.
func (t *attempt) run(ctx context.Context) error {
	n := t.n
	tctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t.cancel = cancel
	wait := n.cfg.FirstToken
	if t.req.Deadline > 0 {
		t.w.Deadline = max(t.req.Deadline-n.now(), 1)
		wait = min(wait, time.Duration(t.w.Deadline)*time.Microsecond)
	}
	if t.race != nil && !t.race.enter(t) {
		t.err = errBeaten
		return t.err
	}
	t.began = time.Now()
	t.timer = time.AfterFunc(wait, func() { cancel(errSlow) })
	defer t.timer.Stop()

	n.decider.Sent(n.now(), &t.req, t.pick)
	if t.pick.Self {
		t.usage, t.err = n.work(tctx, &t.w, t)
	} else {
		n.flights.add(t)
		t.usage, t.err = n.askPeer(tctx, t.pick.Node, &t.w, t)
		n.flights.remove(t)
	}
	if t.err == nil && t.first == 0 && !t.wins() {
		t.err = errBeaten
	}
	switch cause := context.Cause(tctx); {
	case t.err == nil:
	case errors.Is(cause, errSlow) && t.req.Deadline > 0 && n.now() >= t.req.Deadline:
		t.err = errLate
	case cause == errSlow, cause == errStalled, cause == errBeaten:
		t.err = cause
	}
	failed := t.err != nil && ctx.Err() == nil && !t.unread && isFault(t.err)
	n.decider.Ended(n.now(), &t.req, t.pick, ended(t.began, t.first, t.output, failed))
	if failed && !t.pick.Self && t.err != errStalled { // of that the mesh has told
		n.suspect(t.pick.Node)
	}
	return t.err
}

// wins tells whether this try may answer.
func (t *attempt) wins() bool { return t.race == nil || t.race.win(t) }

// token takes a piece of the node's answer.
func (t *attempt) token(tok engine.Token) error {
	if t.first == 0 {
		if !t.wins() {
			return errBeaten
		}
		t.timer.Stop()
		t.first = max(time.Since(t.began), 1)
		t.n.decider.First(t.n.now(), &t.req, t.pick, catalog.Micros(t.first.Microseconds()))
	}
	t.output += tok.N
	err := t.answer.token(t.pick.Node, tok)
	if t.answer.fixed {
		t.fixed.Store(true)
	}
	t.unread = err != nil
	return err
}

// vector keeps one: a client gets all at once.
func (t *attempt) vector(v []float32) error {
	t.answer.vectors = append(t.answer.vectors, v)
	return nil
}

// elsewhere tells whether another node might do what this one is asked.
func (t *attempt) elsewhere(s *catalog.Snapshot) bool {
	return !t.fixed.Load() && slices.ContainsFunc(s.Holders(t.req.Model), func(h catalog.Holder) bool {
		return !h.Suspect && !h.Draining && !slices.Contains(t.tried, h.ID)
	})
}

// ended is how a try went that began at a moment and took until now.
func ended(began time.Time, first time.Duration, output int, failed bool) decide.End {
	return decide.End{Failed: failed, Busy: first == 0 && !failed && output == 0, First: catalog.Micros(first.Microseconds()),
		Took: catalog.Micros(time.Since(began).Microseconds()), Output: uint32(max(output, 0))}
}

// tryOrHedge has a pick asked, and perhaps another beside it.
func (n *Node) tryOrHedge(ctx context.Context, a *answer, req *decide.Request, pick *decide.Pick, w *wireRequest) error {
	a.vectors = nil
	t := a.attempt(req, pick, w)
	a.goOn(&t.w)
	if a.hedged && !a.begun {
		t = n.hedge(ctx, t, req, w)
	} else {
		t.err = t.run(ctx)
	}
	a.usage = t.usage
	switch {
	case !a.begun:
		a.by = t.pick.Node
	case t.err == nil && a.by != t.pick.Node: // only the end was missing
		a.by = t.pick.Node
		a.resumed++
	}
	if t.err == nil && !a.begun { // an answer without a token: the client still needs its beginning
		a.begun, a.ttft = true, time.Since(a.arrived)
		if a.gone = a.begin(); a.gone != nil {
			t.err = a.gone
		}
	}
	return t.err
}

// flights are the tries at other nodes.
type flights struct {
	mu sync.Mutex
	at map[catalog.NodeID][]*attempt
}

func (f *flights) add(t *attempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at == nil {
		f.at = map[catalog.NodeID][]*attempt{}
	}
	f.at[t.pick.Node] = append(f.at[t.pick.Node], t)
}

func (f *flights) remove(t *attempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.at[t.pick.Node]
	i, last := slices.Index(all, t), len(all)-1
	all[i] = all[last]
	all[last] = nil
	f.at[t.pick.Node] = all[:last]
}

// stalled ends the tries at a node that others can do in its place. The rest wait: it
// may only have been busy.
func (f *flights) stalled(id catalog.NodeID, s *catalog.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.at[id] {
		if t.elsewhere(s) {
			t.cancel(errStalled)
		}
	}
}
