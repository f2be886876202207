package decide

import (
	"omx/node/catalog"
	"omx/policies/abi"
)

// End is how a try of a request ended.
type End struct {
	Failed bool           // the node, not the client, broke it off
	Busy   bool           // the node refused it before it began: no fault of its
	First  catalog.Micros // from Sent to the first token; 0 none came
	Took   catalog.Micros // from Sent to the end
	Output uint32         // tokens
}

// Here is this node as the place where a peer's request for a model is served.
func Here(s *catalog.Snapshot, m catalog.ModelID) (Pick, bool) {
	here, row := self(s.Model(m))
	if here == nil {
		return Pick{}, false
	}
	return Pick{Node: here.ID, Handle: here.Handle, Self: true, Seen: here.Seen, rif: row.Queued + row.Running}, true
}

// Sent notes that the request went to a picked node, and tells the policies.
// Ended must follow.
func (d *Decider) Sent(now catalog.Micros, r *Request, p *Pick) {
	p.Seen.Sent(r.tokens(), now)
	d.admit.mu.Lock()
	d.admission.began(r.Tenant, now)
	d.admit.mu.Unlock()
	d.tell(now, r, p, abi.EventDispatched, End{})
}

// First notes its first token.
func (d *Decider) First(now catalog.Micros, r *Request, p *Pick, took catalog.Micros) {
	p.Seen.First(took, p.rif, now)
	d.tell(now, r, p, abi.EventFirst, End{First: took, Took: took})
}

// Ended notes how it went.
func (d *Decider) Ended(now catalog.Micros, r *Request, p *Pick, e End) {
	each := uint32(0)
	if e.Output > 1 && e.Took > e.First {
		each = uint32(min((e.Took-e.First)/catalog.Micros(e.Output-1), 1<<31))
	}
	p.Seen.Done(e.Failed, r.tokens(), each, now)
	d.admit.mu.Lock()
	d.admission.ended(r.Tenant, r.Prompt+e.Output, now)
	d.admit.mu.Unlock()
	kind := abi.EventDone
	if e.Failed || e.Busy {
		kind = abi.EventFailed
	}
	d.tell(now, r, p, kind, e)
}

// tell hands an event of a request to the policies that listen.
func (d *Decider) tell(now catalog.Micros, r *Request, p *Pick, kind abi.EventKind, e End) {
	if !d.listening.Load() {
		return
	}
	ev := abi.Event{
		Kind: uint16(kind), Flags: uint16(r.flags()), Clock: catalog.Stamp(now), Now: uint64(now), Request: r.ID,
		Node: p.Handle, Tenant: r.Tenant, Session: r.Session, Model: r.Model.Handle(),
		Prompt: r.Prompt, Output: e.Output, First: micros32(e.First), Took: micros32(e.Took), RIF: p.rif,
	}
	d.Tell(&ev)
}

// Tell hands an event to every policy that listens, on the instances that
// decide: their state is the same in both.
func (d *Decider) Tell(e *abi.Event) {
	for _, s := range d.slots() {
		s.tell(e)
	}
}

// Tick tells the policies that a second has passed.
func (d *Decider) Tick(now catalog.Micros) {
	if d.listening.Load() {
		d.Tell(&abi.Event{Kind: uint16(abi.EventTick), Clock: catalog.Stamp(now), Now: uint64(now)})
	}
}

// Node tells the policies that a node came up or went away.
func (d *Decider) Node(now catalog.Micros, handle uint64, up bool) {
	if !d.listening.Load() {
		return
	}
	kind := abi.EventLeft
	if up {
		kind = abi.EventJoined
	}
	d.Tell(&abi.Event{Kind: uint16(kind), Clock: catalog.Stamp(now), Now: uint64(now), Node: handle})
}

func micros32(m catalog.Micros) uint32 { return uint32(min(max(m, 0), catalog.Micros(abi.None)-1)) }

func (s *slot) tell(e *abi.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.event = *e // where it does not escape to the heap
	if s.journal != nil && s.active != nil && s.active.guest != nil {
		s.began(s.active) // before it hears it: it may crash of it
		s.journal.Event(s.kind, &s.event)
	}
	for _, l := range [2]*loaded{s.active, s.shadow} {
		if l == nil || l.guest == nil {
			continue
		}
		if err := l.guest.Event(s.event.Bytes()); err != nil {
			s.retire(l)
		}
	}
}
