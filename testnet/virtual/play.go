package virtual

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"omx/node/engine"
	"omx/testnet/virtual/vnet"
)

// Report is what came of a scenario.
type Report struct {
	Answers []*Answer
	Whole   int           // answered
	Settled time.Duration // from the end of the last fault until all saw all as it is
	Gone    time.Duration // the longest from a node's end until nobody took it for a candidate; 0: none ended
	Broken  []string      // what must not be
	Net     vnet.Counters
	Took    time.Duration // virtual

	timeline []moment
}

// moment is what happened at one.
type moment struct {
	at      time.Duration
	what    string
	request bool // it is about one
}

// Timeline tells what happened, in order, to each request too if wanted.
func (r *Report) Timeline(requests bool) string {
	slices.SortStableFunc(r.timeline, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	var b strings.Builder
	for _, m := range r.timeline {
		if requests || !m.request {
			fmt.Fprintf(&b, "%8.3f s  %s\n", m.at.Seconds(), m.what)
		}
	}
	return b.String()
}

// play is a scenario being played.
type play struct {
	*Scenario
	f      *Fleet
	began  time.Duration
	report Report

	mu      sync.Mutex
	there   []*Fault
	stopped map[int]time.Duration // nodes that are stopped, and since when
}

// Play plays a scenario on a new fleet and checks what must be true of it. Of spec it
// takes what the scenario does not say. It must be called in virtual time. An error
// means that it could not be played; what went wrong is in Report.Broken.
func Play(ctx context.Context, s *Scenario, spec Spec) (*Report, error) {
	spec.Seed, spec.Nodes, spec.Holders, spec.Path = s.Seed, s.Nodes, s.Holders, s.path(nil)
	spec.Engine = engine.SimConfig{Decode: 20 * time.Millisecond, Prefill: time.Millisecond}
	f, err := Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	r := &play{Scenario: s, f: f, began: f.Now(), stopped: map[int]time.Duration{}}
	r.run(ctx)
	r.report.Net, r.report.Took = f.Net.Total(), f.Now()
	if err := f.Close(); err != nil {
		r.broken("closing the fleet: %v", err)
	}
	return &r.report, nil
}

func (r *play) now() time.Duration { return r.f.Now() - r.began }

func (r *play) note(format string, args ...any) {
	r.add(moment{at: r.now(), what: fmt.Sprintf(format, args...)})
}

func (r *play) add(m moment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.timeline = append(r.report.timeline, m)
}

func (r *play) broken(format string, args ...any) {
	r.note("WRONG: "+format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Broken = append(r.report.Broken, fmt.Sprintf(format, args...))
}

func (r *play) until(at time.Duration) { time.Sleep(at - r.now()) }

func (r *play) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range r.Faults {
		all.Go(func() { r.fault(ctx, &r.Faults[i]) })
	}
	r.report.Answers = make([]*Answer, len(r.Asked))
	for i, q := range r.Asked {
		all.Go(func() {
			r.until(q.At)
			r.report.Answers[i] = r.f.Ask(ctx, q.Via, q.Question)
		})
	}
	all.Go(func() { r.settle(ctx) })
	all.Wait()
	r.check()
}

// fault lets one happen, and end.
func (r *play) fault(ctx context.Context, x *Fault) {
	r.until(x.At)
	r.note("%s", x.what())
	net := r.f.Net
	switch x.Kind {
	case Pause:
		net.Pause(x.Node[0])
	case Rebind:
		net.Rebind(x.Node[0])
	case Restart, Death:
		r.stop(x.Node[0])
	default:
		r.shape(func() { r.there = append(r.there, x) })
	}
	if x.For == 0 {
		return
	}
	r.until(x.End())
	r.note("the %s ends", x.Kind)
	switch x.Kind {
	case Pause:
		net.Resume(x.Node[0])
	case Restart:
		r.mu.Lock()
		delete(r.stopped, x.Node[0])
		r.mu.Unlock()
		if err := r.f.Restart(ctx, x.Node[0]); err != nil {
			r.broken("%v", err)
		}
	default:
		r.shape(func() { r.there = slices.DeleteFunc(r.there, func(y *Fault) bool { return y == x }) })
	}
}

// shape makes the network what the faults make of it.
func (r *play) shape(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	net := r.f.Net
	net.Shape(r.path(slices.Clone(r.there)))
	net.Heal()
	for _, x := range r.there {
		switch x.Kind {
		case Split:
			net.Split(x.Node...)
		case OneWay:
			net.Cut(x.Node[0], x.Node[1])
		}
	}
}

// stop ends a node, and watches that the others notice.
func (r *play) stop(i int) {
	r.f.Stop(i)
	r.mu.Lock()
	at := r.now()
	r.stopped[i] = at
	r.mu.Unlock()
	is := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		since, stopped := r.stopped[i]
		return stopped && since == at
	}
	for is() {
		ghosts := r.f.Ghosts(i)
		took := r.now() - at
		if len(ghosts) == 0 {
			r.report.Gone = max(r.report.Gone, took)
			return
		}
		if at+took > r.heard(at)+ghostsFor {
			r.broken("%v after node-%d was stopped, it is a candidate in the eyes of %s", took, i+1, strings.Join(ghosts, ", "))
			return
		}
		time.Sleep(lookEvery)
	}
}

// heard is when the last word can have come from a node that vanished at a moment:
// what is on its way arrives, to a paused node when it goes on.
func (r *play) heard(at time.Duration) time.Duration {
	last := at + 2*r.RTT
	for i := range r.Faults {
		if x := &r.Faults[i]; x.Kind == Slow && x.At <= at && at < x.End() {
			last += time.Duration(x.Size * float64(time.Second))
		}
	}
	for i := range r.Faults {
		if x := &r.Faults[i]; x.Kind == Pause && x.At <= last {
			last = max(last, x.End())
		}
	}
	return last
}

// settle waits for the end of the faults, and then until all nodes see what is and
// go on to: what a fault has broken may be noticed only later.
func (r *play) settle(ctx context.Context) {
	end := r.End() + time.Millisecond
	r.until(end)
	for steady := end; ; {
		d := r.f.Differs()
		now := r.now()
		switch {
		case d != "":
			steady = now + lookEvery
		case now-steady >= steadyFor:
			r.report.Settled = steady - end
			r.add(moment{at: steady, what: "all nodes see all as it is, from now on"})
			return
		}
		if steady-end > settleIn {
			r.report.Settled = steady - end
			r.broken("%v after the last fault, %s", now-end, d)
			return
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return
		}
	}
}
