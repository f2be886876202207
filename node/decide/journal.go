package decide

import "omx/policies/abi"

// Taken is a decision as it was taken. Its slices are valid during the call that
// gets it.
type Taken struct {
	Kind   abi.Kind
	ID     uint64 // of a route decision, else 0
	View   []byte // as the policy got it
	Result []byte // where the policy writes, after the call: scores or steps
	Answer abi.Answer
	Status abi.Status // abi.OK if the policy's answer was taken
	Fuel   uint64
	Digest [32]byte
}

// Journal is told of all that policies are asked and told, in order; it must not
// block. Calls for one kind come one after the other.
type Journal interface {
	Decision(t *Taken)
	// Event was handed to the policy that decides kind.
	Event(kind abi.Kind, e *abi.Event)
	// Fresh says that from here an instance without any state decides kind.
	Fresh(kind abi.Kind, digest [32]byte, params []byte, generation uint64)
	// Resumes says that an instance decides again that did before, with the state
	// it had.
	Resumes(kind abi.Kind, digest [32]byte, params []byte, generation uint64)
}

// began tells the journal of an instance that has not decided before.
func (s *slot) began(l *loaded) {
	switch {
	case l.fresh:
		s.journal.Fresh(s.kind, l.digest, l.Params, s.generation)
	case l.resumed:
		s.journal.Resumes(s.kind, l.digest, l.Params, s.generation)
	}
	l.fresh, l.resumed = false, false
}

// note tells the journal of a decision of l.
func (s *slot) note(l *loaded, a abi.Answer, status abi.Status, id, fuel uint64) {
	if s.journal == nil {
		return
	}
	s.taken = Taken{Kind: s.kind, ID: id, View: s.before, Answer: a, Status: status, Fuel: fuel, Digest: l.digest}
	if status < abi.OutOfFuel {
		s.taken.Result = s.shape.Results(s.result(s.before))
	}
	s.journal.Decision(&s.taken)
}
