package decide

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"omx/node/catalog"
	"omx/policies/abi"
)

// A policy that fails this many decisions within this span is set aside.
const (
	MaxFaults   = 3
	FaultWindow = 60 * 1_000_000 // µs
)

// timedEvery is how many decisions there are to one whose time is taken: two
// looks at the clock cost more than an admission.
const timedEvery = 16

// slot is where the policies of one kind sit. Decisions of a kind run one after
// the other, which at about a microsecond each is no bottleneck, and gives a
// policy one consistent state.
type slot struct {
	mu    sync.Mutex
	kind  abi.Kind
	clock func() int64 // ns; nil: times are not taken

	active *loaded     // nil: the built-in rule decides
	shadow *loaded     // is asked too, and not obeyed
	last   *loaded     // what decided before, kept warm
	aside  string      // the policy that failed too often, until the next change
	dead   []io.Closer // spoiled, to be closed off the path

	generation uint64
	builtin    uint64 // decisions the built-in rule took
	shape      abi.Shape
	tags       uint32
	scratch    []byte // where the built-in rule reads its view
	differs    differences
	asked      uint64
	seen       looked
	answered   Guest // whom the last question went to
	event      abi.Event

	journal Journal
	before  []byte // the view as the policy got it, for the journal
	taken   Taken
}

// use puts a policy in charge; what decided before is kept for Rollback.
func (s *slot) use(l *loaded) error {
	s.mu.Lock()
	old := s.last
	if s.active != nil {
		s.last = s.active
	} else {
		old = nil
	}
	s.active = l
	s.changed()
	s.mu.Unlock()
	return old.Close()
}

// replaceShadow puts another policy, or none, beside the one in charge.
func (s *slot) replaceShadow(l *loaded) error {
	s.mu.Lock()
	old := s.shadow
	s.shadow, s.differs = l, differences{}
	s.resize()
	s.mu.Unlock()
	return old.Close()
}

// rollback exchanges the policy in charge with the one before.
func (s *slot) rollback() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return fmt.Errorf("roll back %s policy: there is none before %s", s.kind, s.name())
	}
	s.active, s.last = s.last, s.active
	s.active.resumed = true
	s.changed()
	return nil
}

func (s *slot) changed() {
	s.generation++
	s.aside = ""
	if s.active != nil {
		s.active.spoiled = [MaxFaults]int64{}
	}
	s.resize()
}

// resize works out what a view has to hold for the policies that read it.
func (s *slot) resize() {
	s.shape.Kind, s.shape.Stride, s.tags = s.kind, 2*abi.PartSize, 0
	if s.active != nil {
		s.shape.Stride, s.tags = s.active.guest.Wants(s.kind)
	}
	if s.shadow != nil {
		stride, tags := s.shadow.guest.Wants(s.kind)
		s.shape.Stride, s.tags = max(s.shape.Stride, stride), s.tags|tags
	}
}

func (s *slot) name() string {
	if s.active == nil {
		return Builtin
	}
	return s.active.Name
}

// window is where to write a view of s.shape: the policy's memory, or ours if
// it cannot decide.
func (s *slot) window(size int) ([]byte, abi.Status) {
	if s.active == nil || s.active.guest == nil {
		return s.own(size), abi.NotReady
	}
	b, err := s.active.guest.View(s.kind, size)
	if err != nil || len(b) < size {
		s.active.stats.Statuses[abi.NotReady]++
		if s.active.guest.Spoiled() {
			s.retire(s.active)
		}
		return s.own(size), abi.NotReady
	}
	return b, abi.OK
}

// own is the built-in rule's window; it grows to the largest view there was.
func (s *slot) own(size int) []byte {
	if len(s.scratch) < size {
		s.scratch = make([]byte, size, size+abi.PartSize*4)
	}
	return s.scratch[:size]
}

// ask has the policy in charge decide on the view in its window, and the shadow
// on a copy of it. The answer is unchecked.
func (s *slot) ask(view []byte, request uint64) (abi.Answer, uint64, abi.Status) {
	var shadowAnswer abi.Answer
	shadowed := false
	if s.shadow != nil {
		shadowAnswer, shadowed = s.askShadow(view)
	}
	l := s.active
	if s.journal != nil {
		s.began(l)
		s.before = append(s.before[:0], view...)
	}
	s.asked++
	s.answered = l.guest
	timed := s.clock != nil && s.asked%timedEvery == 0
	var began int64
	if timed {
		began = s.clock()
	}
	a, fuel, err := l.guest.Call(s.kind, len(view), s.shape.Rows)
	if timed {
		l.stats.Time.add(uint64(s.clock() - began))
	}
	l.stats.Fuel.add(fuel)
	status := a.Status()
	if err != nil {
		status = statusOf(err)
		s.retire(l)
	}
	if shadowed {
		s.differs.compare(s.kind, request, a, status, shadowAnswer)
	}
	return a, fuel, status
}

func (s *slot) askShadow(view []byte) (abi.Answer, bool) {
	l := s.shadow
	if l.guest == nil {
		return 0, false
	}
	b, err := l.guest.View(s.kind, len(view))
	if err == nil {
		copy(b, view)
		var a abi.Answer
		var fuel uint64
		if a, fuel, err = l.guest.Call(s.kind, len(view), s.shape.Rows); err == nil {
			l.stats.Fuel.add(fuel)
			l.stats.Decisions++
			l.stats.Statuses[a.Status()]++
			return a, true
		}
	}
	l.stats.Decisions++
	l.stats.Statuses[statusOf(err)]++
	s.retire(l)
	return 0, false
}

// retire takes a spoiled instance out; the spare takes over with a fresh state.
func (s *slot) retire(l *loaded) {
	if !l.guest.Spoiled() {
		return
	}
	l.stats.Traps++
	l.stats.Discards++
	s.dead = append(s.dead, l.guest)
	l.guest, l.spare = l.spare, nil
	l.fresh = true
}

// result is the window after the call: growing may have moved the memory.
func (s *slot) result(view []byte) []byte {
	if s.answered == nil || s.answered.Spoiled() {
		return view // its answer counts for nothing
	}
	b, err := s.answered.View(s.kind, len(view))
	if err != nil {
		return view
	}
	return b
}

// ended counts how a decision of l ended, and sets a policy aside that fails too
// often: the one before it returns.
func (s *slot) ended(l *loaded, a abi.Answer, status abi.Status, id, fuel uint64, now catalog.Micros) {
	s.note(l, a, status, id, fuel)
	l.stats.Decisions++
	l.stats.Statuses[status]++
	if status < abi.OutOfFuel || status == abi.NotReady {
		return
	}
	l.stats.Faults++
	copy(l.spoiled[:], l.spoiled[1:])
	l.spoiled[MaxFaults-1] = int64(max(now, 1))
	if oldest := l.spoiled[0]; oldest != 0 && int64(now)-oldest < FaultWindow {
		s.setAside()
	}
}

// setAside takes a bad policy out of charge. What is left of it is closed by
// repair.
func (s *slot) setAside() {
	bad := s.active
	s.active, s.last = s.last, nil
	if s.active != nil {
		s.active.resumed = true
	}
	s.changed()
	s.aside = bad.Name
	s.dead = append(s.dead, bad)
}

// repair closes what is spoiled and makes new spares, off the decision path.
func (s *slot) repair(ctx context.Context) error {
	s.mu.Lock()
	dead := s.dead
	s.dead = nil
	var lack []*loaded
	for _, l := range []*loaded{s.active, s.shadow} {
		if l != nil && (l.guest == nil || l.spare == nil) {
			lack = append(lack, l)
		}
	}
	generation := s.generation
	s.mu.Unlock()

	var errs []error
	for _, g := range dead {
		errs = append(errs, g.Close())
	}
	for _, l := range lack {
		g, err := l.module.New(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("make an instance of policy %s: %w", l.Name, err))
			continue
		}
		s.mu.Lock()
		switch held := s.generation == generation && slices.Contains([]*loaded{s.active, s.shadow}, l); {
		case held && l.guest == nil:
			l.guest, g = g, nil
		case held && l.spare == nil:
			l.spare, g = g, nil
		}
		s.mu.Unlock()
		if g != nil {
			errs = append(errs, g.Close())
		}
	}
	return errors.Join(errs...)
}
