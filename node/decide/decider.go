package decide

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"omx/node/catalog"
	"omx/policies/abi"
	"omx/wasm"
)

// Guest is a loaded policy module; wasm.Instance is the one in use. It is called
// by one goroutine at a time.
type Guest interface {
	Info() wasm.Info
	Has(k abi.Kind) bool
	// View is the window of abi.Size(rows) bytes in which the policy reads.
	View(k abi.Kind, rows int) ([]byte, error)
	// Call decides; fuel is what it cost. After an error the guest is spoiled.
	Call(k abi.Kind, viewLen int) (answer abi.Answer, fuel uint64, err error)
	Spoiled() bool
	Close() error
}

// Loader turns a module's bytes into a Guest that has passed its checks.
type Loader func(ctx context.Context, name string, code []byte) (Guest, error)

// Decider takes decisions for one node. Safe for concurrent use; decisions of
// one kind run one after the other, which at about a microsecond each is no
// bottleneck and gives a policy one consistent state.
type Decider struct {
	load   Loader
	admit  slot
	route  slot
	record *Record
	seq    atomic.Uint64
}

// New makes a Decider that decides by the built-in rules until Use is called.
// record may be nil: then nothing is kept of the decisions.
func New(load Loader, record *Record) *Decider {
	return &Decider{load: load, record: record}
}

// Use loads a policy and makes it decide kind from the next decision on; the
// one before it is closed. On an error the one before it stays.
func (d *Decider) Use(ctx context.Context, kind abi.Kind, name string, code []byte) error {
	s, err := d.slot(kind)
	if err != nil {
		return err
	}
	g, err := d.load(ctx, name, code)
	if err != nil {
		return fmt.Errorf("load policy %s: %w", name, err)
	}
	if !g.Has(kind) {
		err := fmt.Errorf("load policy %s: it does not decide %q (no export omx_%s); it decides %v", name, kind, kind, g.Info().Kinds)
		return errors.Join(err, g.Close())
	}
	return s.swap(g, name, slices.Clone(code))
}

func (d *Decider) slot(kind abi.Kind) (*slot, error) {
	switch kind {
	case abi.Admit:
		return &d.admit, nil
	case abi.Route:
		return &d.route, nil
	}
	return nil, fmt.Errorf("use policy: nothing decides %q yet", kind)
}

// Active tells which policy decides kind now.
func (d *Decider) Active(kind abi.Kind) Status {
	s, err := d.slot(kind)
	if err != nil {
		return Status{Name: Builtin}
	}
	return s.status()
}

// Repair replaces policies spoiled by a trap with fresh instances, off the
// decision path; call it regularly. A policy that spoiled MaxFaults instances
// within FaultWindow is set aside: the built-in rule decides until Use.
func (d *Decider) Repair(ctx context.Context, now catalog.Micros) error {
	return errors.Join(d.admit.repair(ctx, d.load, now), d.route.repair(ctx, d.load, now))
}

// Close closes the policies; the Decider then decides by the built-in rules.
func (d *Decider) Close() error {
	return errors.Join(d.admit.swap(nil, "", nil), d.route.swap(nil, "", nil))
}

// Admit decides whether this node takes the request at now.
func (d *Decider) Admit(now catalog.Micros, s *catalog.Snapshot, r *Request) Verdict {
	holders := s.Holders(r.Model)
	h := r.header(abi.Admit, now, s.ModelHandle(r.Model))

	d.admit.mu.Lock()
	defer d.admit.mu.Unlock()
	v := Verdict{By: d.admit.source()}
	view, status := d.admit.view(abi.Admit, 1)
	if status == abi.OK {
		encodeAdmit(view, &h, s, holders, now)
		var a abi.Answer
		a, v.By.Fuel, status = d.admit.call(abi.Admit, abi.Size(1))
		if status == abi.OK {
			if v.set(a.Value()) {
				return v
			}
			status = abi.BadAnswer
		}
		d.admit.fault(status)
	}
	v.By = d.admit.fallback(status)
	view = d.admit.scratch[:abi.Size(1)]
	encodeAdmit(view, &h, s, holders, now)
	v.set(nativeAdmit(view).Value())
	return v
}

func (v *Verdict) set(value uint32) bool {
	action, reason, wait, ok := abi.UnpackVerdict(value)
	if ok {
		v.Action, v.Reason, v.Wait = action, reason, time.Duration(wait)*100*time.Millisecond
	}
	return ok
}

// Route decides at now which nodes to try for the request, best first, into p.
// No picks means that no node that is up holds the model, or that the policy
// wants none of them.
func (d *Decider) Route(now catalog.Micros, s *catalog.Snapshot, r *Request, p *Picks) {
	p.N, p.ID = 0, d.seq.Add(1)
	holders := s.Holders(r.Model)
	holders = holders[:min(len(holders), MaxCandidates)]
	n := len(holders)
	h := r.header(abi.Route, now, s.ModelHandle(r.Model))

	d.route.mu.Lock()
	defer d.route.mu.Unlock()
	p.By = d.route.source()
	view, status := d.route.view(abi.Route, n)
	if status == abi.OK {
		encodeRoute(view, &h, holders, now)
		var a abi.Answer
		a, p.By.Fuel, status = d.route.call(abi.Route, abi.Size(n))
		if status == abi.OK || status == abi.NoCandidate {
			// The guest may have moved its memory; read the scores where they are now.
			view, _ = d.route.view(abi.Route, n)
			status = p.choose(view, holders, a, status)
		}
		d.route.fault(status)
	}
	if status != abi.OK && status != abi.NoCandidate {
		p.By = d.route.fallback(status)
		view = d.route.scratch[:abi.Size(n)]
		encodeRoute(view, &h, holders, now)
		a := nativeRoute(view, n)
		p.choose(view, holders, a, a.Status())
	} else {
		p.By.Status = status
	}
	if d.record != nil {
		d.record.route(p, view[:abi.Size(n)], holders, now)
	}
}

// choose checks an answer and turns the scores into picks: the answer's row
// first, then the others by score. Rows the policy scored Never, and rows that
// must not be used whatever it says, are left out.
func (p *Picks) choose(view []byte, holders []catalog.Holder, a abi.Answer, status abi.Status) abi.Status {
	n := len(holders)
	if len(view) < abi.Size(n) {
		return abi.BadAnswer
	}
	if status == abi.NoCandidate || n == 0 {
		return abi.NoCandidate
	}
	best := int(a.Value())
	if best >= n || !usable(&holders[best]) {
		return abi.BadAnswer
	}
	p.insert(best, 0, holders) // before every other, whatever its score
	for i := range n {
		score := abi.Score(view, n, i)
		if score == abi.Never || i == best || p.N == MaxPicks && score >= p.Pick[MaxPicks-1].Score {
			continue
		}
		if usable(&holders[i]) {
			p.insert(i, score, holders)
		}
	}
	p.Pick[0].Score = abi.Score(view, n, best)
	return abi.OK
}

// insert keeps the picks sorted by score, equal ones in row order, and the
// first where it is.
func (p *Picks) insert(row int, score uint32, holders []catalog.Holder) {
	at := p.N
	for at > 1 && p.Pick[at-1].Score > score {
		at--
	}
	if at == MaxPicks {
		return
	}
	p.N = min(p.N+1, MaxPicks)
	copy(p.Pick[at+1:p.N], p.Pick[at:])
	h := &holders[row]
	p.Pick[at] = Pick{Node: h.ID, Self: h.Self, Score: score, Seen: h.Seen}
}

func usable(h *catalog.Holder) bool { return !h.Draining }
