package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"omx/node/decide"
	"omx/policies/abi"
)

// Maker makes an instance, without any state, of the policy that is to decide
// kind: where the policy of that digest did, with these parameters. A nil Guest
// passes its decisions over.
type Maker func(kind abi.Kind, digest [32]byte, params []byte) (decide.Guest, error)

// Options of a replay. The zero value replays everything to another policy.
type Options struct {
	Kind  abi.Kind // 0 all
	Limit uint64   // decisions; 0 all
	// Same says that the policies are those that decided: scores and fuel must be
	// the same too, and state begins where theirs did. Else it begins where a node
	// was started.
	Same     bool
	Examples int          // of each kind, at most 1000
	Clock    func() int64 // ns of any start; nil: times are not taken
}

const (
	maxExamples = 1000
	timedEvery  = 16   // two looks at the clock take longer than some decisions
	askedEvery  = 1024 // decisions between looks at the context
)

// Replay has policies decide what others decided, and tells what differs. An error
// is that of the journal or of making a policy; a policy that fails is a
// difference.
func Replay(ctx context.Context, r *Reader, make Maker, o Options) (rep Report, err error) {
	p := &replay{maker: make, options: o, report: &rep}
	p.options.Examples = min(o.Examples, maxExamples)
	defer func() { err = errors.Join(err, p.close()) }()
	var began int64
	if o.Clock != nil {
		began = o.Clock()
	}
	for n := uint64(0); o.Limit == 0 || n < o.Limit; {
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return rep, err
		}
		decided, err := p.record(rec)
		if err != nil {
			return rep, err
		}
		if decided {
			if n++; n%askedEvery == 0 && ctx.Err() != nil {
				return rep, ctx.Err()
			}
		}
	}
	if o.Clock != nil {
		rep.Took = o.Clock() - began
	}
	for k := range p.kinds {
		if t := &p.kinds[k].tally; t.Decisions > 0 {
			t.Kind = abi.Kind(k).String()
			rep.Kinds = append(rep.Kinds, t.finish())
		}
	}
	return rep, nil
}

type replay struct {
	maker   Maker
	options Options
	report  *Report
	kinds   [kinds]struct {
		now, before seat
		tally       tally
	}
	whole bool // since the node was started
	room  []byte
	again answered
}

// seat holds the instance of one policy.
type seat struct {
	digest     [32]byte
	params     []byte
	generation uint64
	known      bool // there is a policy; guest is nil if it is to be passed over
	guest      decide.Guest
	sure       bool // its state is what it was
	stride     int
	tags       uint32
	spoiled    bool
}

// record plays one record, and tells whether that was a decision.
func (p *replay) record(r *Record) (bool, error) {
	if r.Kind != 0 && p.options.Kind != 0 && r.Kind != p.options.Kind {
		return false, nil
	}
	switch r.Type {
	case TypeStart:
		p.whole = true
		return false, p.close()
	case TypeGap:
		p.report.Gaps++
		p.report.Lost += r.Gap.Lost
		p.whole = false
		for k := range p.kinds {
			p.kinds[k].now.sure, p.kinds[k].before.sure = false, false
		}
	case TypeFresh:
		return false, p.began(r.Kind, &r.Fresh)
	case TypeEvent:
		if s := &p.kinds[r.Kind].now; s.known && s.guest != nil && !s.spoiled {
			p.report.Events++
			s.spoiled = s.guest.Event(r.Event.Bytes()) != nil
		}
	case TypeDecision:
		s, err := p.seat(r.Kind, r.Decision.Digest, nil)
		if err != nil {
			return true, err
		}
		if s.guest == nil {
			p.report.Skipped++
			return true, nil
		}
		p.decide(r, s)
		return true, nil
	}
	return false, nil
}

// began has the seats follow which policy decides k.
func (p *replay) began(k abi.Kind, f *Fresh) error {
	kind := &p.kinds[k]
	s := &kind.now
	if !p.options.Same {
		_, err := p.seat(k, f.Digest, f.Params)
		return err
	}
	// An instance in place of one that crashed is of the same generation. The
	// policy before a change keeps its instance: it may come back, with its state.
	changed := s.known && s.generation != f.Generation
	switch {
	case !f.Continued:
		if changed {
			kind.now, kind.before = kind.before, kind.now
		}
		if err := p.place(s, k, f.Digest, f.Params, true); err != nil {
			return err
		}
	case s.is(f) && !(changed && kind.before.is(f)): // it goes on
	default:
		kind.now, kind.before = kind.before, kind.now
		if !s.is(f) {
			if err := p.place(s, k, f.Digest, f.Params, false); err != nil {
				return err
			}
		}
	}
	s.generation = f.Generation
	return nil
}

func (s *seat) is(f *Fresh) bool {
	return s.known && s.digest == f.Digest && bytes.Equal(s.params, f.Params)
}

// seat is that of the policy which decides k in place of the one of that digest.
func (p *replay) seat(k abi.Kind, digest [32]byte, params []byte) (*seat, error) {
	kind := &p.kinds[k]
	s := &kind.now
	if s.known && p.options.Same && s.digest != digest {
		kind.now, kind.before = kind.before, kind.now
	}
	switch {
	case !s.known || p.options.Same && s.digest != digest:
		// Another policy has had no state before the node was started. One that
		// decided then begins where a record says so.
		return s, p.place(s, k, digest, params, p.whole && !p.options.Same)
	case s.spoiled:
		generation := s.generation
		err := p.place(s, k, digest, s.params, false)
		s.generation = generation
		return s, err
	}
	return s, nil
}

// place puts a new instance into a seat.
func (p *replay) place(s *seat, k abi.Kind, digest [32]byte, params []byte, sure bool) error {
	if err := s.close(); err != nil {
		return err
	}
	kept := append([]byte(nil), params...)
	g, err := p.maker(k, digest, kept)
	if err != nil {
		return fmt.Errorf("make policy for %s decisions: %w", k, err)
	}
	*s = seat{digest: digest, params: kept, known: true, guest: g, sure: sure}
	if g != nil {
		s.stride, s.tags = g.Wants(k)
	}
	return nil
}

func (s *seat) close() error {
	g := s.guest
	*s = seat{}
	if g == nil {
		return nil
	}
	return g.Close()
}

func (p *replay) close() error {
	var errs []error
	for k := range p.kinds {
		errs = append(errs, p.kinds[k].now.close(), p.kinds[k].before.close())
	}
	return errors.Join(errs...)
}

// decide asks the policy and compares.
func (p *replay) decide(r *Record, s *seat) {
	k := &p.kinds[r.Kind].tally
	k.Decisions++
	if !s.sure {
		k.Unsure++
	}
	view := r.Decision.View
	if !p.options.Same {
		if lacks(view, s.stride, s.tags) {
			k.Lacked++
		}
		if int(abi.HeaderAt(view).Stride) != s.stride {
			p.room = fit(p.room, view, s.stride)
			view = p.room
		}
	}
	now := &p.again
	p.ask(r, s, k, view)
	if r.Decision.Status < abi.OutOfFuel {
		k.before.add(r.Decision.Fuel)
	}
	if now.status < abi.OutOfFuel {
		k.after.add(now.fuel)
	}
	reason := k.compare(r, now, p.options.Same)
	if reason == "" {
		return
	}
	k.differs(reason)
	if len(k.Examples) < p.options.Examples {
		k.Examples = append(k.Examples, example(r, reason, now))
	}
}

// ask fills p.again with what the policy says to a view.
func (p *replay) ask(r *Record, s *seat, k *tally, view []byte) {
	h := abi.HeaderAt(view)
	rows, stride := int(h.Count), int(h.Stride)
	now := &p.again
	*now = answered{status: abi.NotReady}
	b, err := s.guest.View(r.Kind, len(view))
	if err != nil {
		s.spoiled = s.guest.Spoiled()
		return
	}
	copy(b, view)
	timed := p.options.Clock != nil && k.Decisions%timedEvery == 0
	var began int64
	if timed {
		began = p.options.Clock()
	}
	now.answer, now.fuel, err = s.guest.Call(r.Kind, len(view), rows)
	if timed {
		k.call.add(uint64(max(p.options.Clock()-began, 0)))
	}
	if err != nil {
		// Which fault it was is the instance's business; if both failed, they agree.
		s.spoiled, now.status = true, abi.Trapped
		if was := r.Decision.Status; was == abi.OutOfFuel {
			now.status = was
		}
		return
	}
	now.status = judge(r.Kind, r.Decision.View, now.answer)
	if r.Kind == abi.Admit {
		return
	}
	// Growing may have moved its memory.
	if b, err = s.guest.View(r.Kind, len(view)); err != nil {
		now.status = abi.NotReady
		return
	}
	switch r.Kind {
	case abi.Route:
		now.scores = abi.Scores(b, rows, stride)
	case abi.Replicate:
		now.steps = b[h.Scores:][:abi.MaxSteps*abi.StepSize]
		if was := r.Decision.Status; was == abi.BadAnswer && r.Decision.Answer == now.answer {
			now.status = was // its steps were not recorded
		}
	}
}
