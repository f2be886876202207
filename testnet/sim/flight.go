package sim

import (
	"omx/node/catalog"
	"omx/node/decide"
	"omx/policies/abi"
)

// flight is a request under way.
type flight struct {
	picks *decide.Picks // while it is open
	try   int32         // the pick that has it
	first catalog.Micros
	done  catalog.Micros // 0: has not been served
	by    int32          // node that served it
	sent  catalog.Micros // when the try that is under way began
	here  *decide.Pick   // at the node that serves it for another
	came  catalog.Micros // when it came there
	began catalog.Micros // when its first token was made there
	end   end
}

// end is how a request ended.
type end uint8

const (
	open       end = iota
	served         // with all its tokens
	shed           // by its entry node's admission
	unroutable     // the routing policy gave no node
	exhausted      // every picked node refused
)

// decided is the request as the decision code of any node sees it. The answer's
// true length is not in it.
func (w *world) decided(req int32) decide.Request {
	q := &w.requests[req]
	return decide.Request{
		ID: uint64(req) + 1, Model: w.fleet.models[q.model], Prompt: uint32(q.prompt), MaxOut: uint32(w.scenario.Output.Max),
		Streamed: true, Estimated: true, Seed: mix(w.scenario.Seed, uint64(req)),
	}
}

// attempt is the request as the try that is under way.
func (w *world) attempt(req int32) decide.Request {
	r := w.decided(req)
	r.Attempt = uint32(w.flights[req].try)
	return r
}

// peers is the request as the node sees it that serves it for another.
func (w *world) peers(req int32) decide.Request {
	r := w.attempt(req)
	r.FromPeer, r.Hops, r.Seed = true, 1, 0
	return r
}

// tell keeps the decider of the node that serves a peer's request told.
func (w *world) tell(n *node, k kind, at catalog.Micros, req int32) {
	f := &w.flights[req]
	if f.here == nil {
		return
	}
	r := w.peers(req)
	switch k {
	case first:
		f.began = at
		n.decider.First(at, &r, f.here, at-f.came)
	case done:
		n.decider.Ended(at, &r, f.here, decide.End{First: f.began - f.came, Took: at - f.came, Output: uint32(w.requests[req].output)})
		f.here = nil
	}
}

// arrive is the way of a client's request through its entry node, as in
// node.Chat: admission, routing, the first pick.
func (w *world) arrive(n *node, req int32) error {
	w.advance(n)
	if err := w.catchUp(n, w.now); err != nil {
		return err
	}
	r, snap := w.decided(req), n.table.Snapshot()
	v := n.decider.Admit(w.now, snap, &r)
	w.decision(req, &v.By, uint64(v.Action))
	if v.Action >= abi.Shed {
		w.close(req, shed)
		return nil
	}
	p := &decide.Picks{}
	n.decider.Route(w.now, snap, &r, p)
	w.decision(req, &p.By, uint64(p.N))
	for _, pick := range p.List() {
		w.print.number(pick.Node.Handle())
		w.print.number(uint64(pick.Score))
	}
	if p.N == 0 {
		w.close(req, unroutable)
		return nil
	}
	w.flights[req].picks = p
	w.send(n, req)
	return nil
}

// send gives the request to the pick whose turn it is.
func (w *world) send(n *node, req int32) {
	f := &w.flights[req]
	pick := &f.picks.Pick[f.try]
	r := w.attempt(req)
	n.decider.Sent(w.now, &r, pick)
	f.sent = w.now
	f.by = w.fleet.index[pick.Node]
	if !pick.Self {
		w.queue.push(event{at: w.now + w.delay(n.index, f.by, req, reach), kind: reach, node: f.by, req: req})
		return
	}
	if !w.serve(n, req) {
		w.next(n, req)
	}
}

// reach is a request of another node's client, as in node.Serve: admission,
// then the engine, or a refusal.
func (w *world) reach(n *node, req int32) error {
	w.advance(n)
	if err := n.look(w.now); err != nil {
		return err
	}
	r := w.peers(req)
	v := n.decider.Admit(w.now, n.table.Snapshot(), &r)
	w.decision(req, &v.By, uint64(v.Action))
	if v.Action < abi.Shed && w.serve(n, req) {
		if p, ok := decide.Here(n.table.Snapshot(), r.Model); ok {
			f := &w.flights[req]
			f.here, f.came = &p, w.now
			n.decider.Sent(w.now, &r, f.here)
		}
		return nil
	}
	entry := w.requests[req].entry
	w.queue.push(event{at: w.now + w.delay(n.index, entry, req, refuse), kind: refuse, node: entry, req: req})

	return nil
}

// serve puts the request into the node's engine if there is room.
func (w *world) serve(n *node, req int32) bool {
	q := &w.requests[req]
	if !n.engine.add(w.now, job{req, q.prompt, q.output}) {
		return false
	}
	w.check.entered(n, req)
	w.plan(n)
	return true
}

// refused is a refusal, back at the entry node. Its catalog is brought up to
// date first, so that what it sends next is counted on top of the right record.
func (w *world) refused(n *node, req int32) error {
	w.advance(n)
	if err := w.catchUp(n, w.now); err != nil {
		return err
	}
	w.next(n, req)
	return nil
}

// next gives the request to the pick after the one that refused it.
func (w *world) next(n *node, req int32) {
	f := &w.flights[req]
	r := w.attempt(req)
	n.decider.Ended(w.now, &r, &f.picks.Pick[f.try], decide.End{Busy: true, Took: w.now - f.sent})
	w.result.refusals++
	if f.try++; int(f.try) == f.picks.N {
		w.close(req, exhausted)
		return
	}
	w.send(n, req)
}

// begun is the first token at the entry node.
func (w *world) begun(n *node, req int32) {
	f := &w.flights[req]
	f.first = w.now
	r := w.attempt(req)
	n.decider.First(w.now, &r, &f.picks.Pick[f.try], w.now-f.sent)
}

// finish is the last token at the entry node.
func (w *world) finish(n *node, req int32) {
	f := &w.flights[req]
	r := w.attempt(req)
	n.decider.Ended(w.now, &r, &f.picks.Pick[f.try], decide.End{First: f.first - f.sent, Took: w.now - f.sent, Output: uint32(w.requests[req].output)})
	f.done = w.now
	w.close(req, served)
}

func (w *world) close(req int32, how end) {
	f := &w.flights[req]
	w.check.ended(req, f.end)
	f.end, f.picks = how, nil
	w.left--
}

// decision counts what a decision cost and notes it in the fingerprint.
func (w *world) decision(req int32, by *decide.Source, what uint64) {
	w.result.decisions++
	w.result.fuel += by.Fuel
	if by.Status >= abi.OutOfFuel && by.Status != abi.NotReady {
		w.result.faults++
	}
	if by.Policy == decide.Builtin {
		w.result.builtin++
	}
	w.print.number(uint64(req))
	w.print.number(what)
	w.print.number(by.Fuel)
}
