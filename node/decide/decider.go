package decide

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"omx/node/catalog"
	"omx/policies/abi"
)

// Config sets up a Decider. The zero value decides by the built-in rules.
type Config struct {
	// Load loads policies; without it, Use fails.
	Load Loader
	// Record keeps the last route decisions for Explain; nil for none.
	Record *Record
	// Journal gets every decision and event; nil for none.
	Journal Journal
	// Clock gives ns of any start, to time decisions by; nil: times are not taken.
	Clock func() int64
	// AdmitClosed sheds requests when the admission policy fails. Default: the
	// built-in rule decides in its place, as it always does for other kinds.
	AdmitClosed bool
	// Candidates is how many of the nearest holders a routing policy sees; default
	// MaxCandidates, at most abi.MaxRows.
	Candidates int
}

// Decider takes decisions for one node. Safe for concurrent use; decisions of
// one kind run one after the other.
type Decider struct {
	cfg       Config
	change    sync.Mutex // of policies
	admit     slot
	route     slot
	replicate slot
	held      map[copyID]catalog.Micros // since when copies are there; under replicate.mu
	seq       atomic.Uint64
	listening atomic.Bool // a policy may want events
	admission admission
}

// New makes a Decider that decides by the built-in rules until Use is called.
func New(cfg Config) *Decider {
	if cfg.Candidates == 0 {
		cfg.Candidates = MaxCandidates
	}
	d := &Decider{cfg: cfg}
	for k, s := range map[abi.Kind]*slot{abi.Admit: &d.admit, abi.Route: &d.route, abi.Replicate: &d.replicate} {
		s.kind, s.clock, s.journal = k, cfg.Clock, cfg.Journal
		s.resize()
	}
	return d
}

func (d *Decider) slots() [3]*slot { return [3]*slot{&d.admit, &d.route, &d.replicate} }

func (d *Decider) slot(kind abi.Kind) (*slot, error) {
	for _, s := range d.slots() {
		if s.kind == kind {
			return s, nil
		}
	}
	return nil, fmt.Errorf("there is no decision of kind %d", kind)
}

// load makes a policy ready to decide kind.
func (d *Decider) load(ctx context.Context, kind abi.Kind, p Policy) (*slot, *loaded, error) {
	s, err := d.slot(kind)
	if err != nil {
		return nil, nil, err
	}
	if d.cfg.Load == nil {
		return nil, nil, errors.New("load policy: there is no policy host")
	}
	p.Code, p.Params = slices.Clone(p.Code), slices.Clone(p.Params)
	l, err := newLoaded(ctx, d.cfg.Load, kind, p)
	if err != nil {
		return nil, nil, fmt.Errorf("load policy %s: %w", p.Name, err)
	}
	d.listening.Store(true)
	return s, l, nil
}

// Use loads a policy and has it decide kind from the next decision on; the one
// before it stays warm for Rollback. On an error the one before it goes on
// deciding.
func (d *Decider) Use(ctx context.Context, kind abi.Kind, p Policy) error {
	d.change.Lock()
	defer d.change.Unlock()
	s, l, err := d.load(ctx, kind, p)
	if err != nil {
		return err
	}
	return s.use(l)
}

// Shadow loads a policy that is asked beside the one in charge, and not obeyed:
// Status tells where it differs. A policy without code removes it.
func (d *Decider) Shadow(ctx context.Context, kind abi.Kind, p Policy) error {
	d.change.Lock()
	defer d.change.Unlock()
	if len(p.Code) == 0 {
		s, err := d.slot(kind)
		if err != nil {
			return err
		}
		return s.replaceShadow(nil)
	}
	s, l, err := d.load(ctx, kind, p)
	if err != nil {
		return err
	}
	return s.replaceShadow(l)
}

// Rollback puts the policy that decided before back in charge, at once: its
// instance was kept, with its state. Another Rollback undoes it.
func (d *Decider) Rollback(kind abi.Kind) error {
	d.change.Lock()
	defer d.change.Unlock()
	s, err := d.slot(kind)
	if err != nil {
		return err
	}
	return s.rollback()
}

// Active tells which policies there are for a kind.
func (d *Decider) Active(kind abi.Kind) Status {
	s, err := d.slot(kind)
	if err != nil {
		return Status{Active: Loaded{Name: Builtin}}
	}
	return s.status()
}

// Repair frees what failed and makes new spare instances, off the decision path;
// call it regularly.
func (d *Decider) Repair(ctx context.Context) error {
	d.change.Lock()
	defer d.change.Unlock()
	var errs []error
	for _, s := range d.slots() {
		errs = append(errs, s.repair(ctx))
	}
	return errors.Join(errs...)
}

// Close closes the policies; the Decider then decides by the built-in rules.
func (d *Decider) Close() error {
	d.change.Lock()
	defer d.change.Unlock()
	var errs []error
	for _, s := range d.slots() {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

func (s *slot) close() error {
	s.mu.Lock()
	dead := append(s.dead, s.active, s.shadow, s.last)
	s.active, s.shadow, s.last, s.dead = nil, nil, nil, nil
	s.changed()
	s.mu.Unlock()
	var errs []error
	for _, c := range dead {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
