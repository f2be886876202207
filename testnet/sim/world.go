package sim

import (
	"context"
	"fmt"
	"slices"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/policies/abi"
)

// Policy is a module under test. It decides the kinds it can; the built-in rules
// decide the others.
type Policy struct {
	Name string
	Code []byte
}

// world is one run.
type world struct {
	scenario *Scenario
	topology *topology
	requests []request
	rate     float64
	fleet    *fleet
	flights  []flight
	left     int // requests that have not ended
	now      catalog.Micros
	queue    queue
	print    *fingerprint
	check    *checker
	result   tally
	modules  []decide.Module
}

// Run plays a scenario with the given policies, on top of one another: a later
// one takes the kinds it decides from an earlier one. load is called once for
// each; every node has instances of its own. progress, if not nil, is told now and
// then how many requests have ended.
func Run(ctx context.Context, s Scenario, policies []Policy, load decide.Loader, progress func(ended int)) (*Result, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	w := &world{scenario: &s, topology: newTopology(&s), print: newFingerprint(), left: s.Requests}
	devices := dealDevices(&s)
	w.requests, w.rate = newWorkload(&s, w.topology, devices)
	w.flights = make([]flight, len(w.requests))
	var err error
	if w.fleet, err = newFleet(&s, w.topology, devices); err != nil {
		return nil, fmt.Errorf("build fleet: %w", err)
	}
	w.check = newChecker(w.fleet, len(w.requests))
	defer w.closePolicies()
	if err := w.usePolicies(ctx, policies, load); err != nil {
		return nil, err
	}
	w.begin()
	if err := w.play(ctx, progress); err != nil {
		return nil, err
	}
	w.check.end(w)
	return w.summary()
}

// usePolicies has every node decide by them. A policy is compiled once; each
// node has instances of its own.
func (w *world) usePolicies(ctx context.Context, policies []Policy, load decide.Loader) error {
	var loading decide.Module
	for _, n := range w.fleet.nodes {
		n.decider = decide.New(decide.Config{Load: func(context.Context, decide.Policy) (decide.Module, error) { return loading, nil }})
	}
	for _, p := range policies {
		m, err := load(ctx, decide.Policy{Name: p.Name, Code: p.Code})
		if err != nil {
			return fmt.Errorf("load policy %s: %w", p.Name, err)
		}
		w.modules = append(w.modules, m)
		loading = shared{m}
		kinds := slices.DeleteFunc(slices.Clone(m.Info().Kinds), func(k abi.Kind) bool { return k != abi.Admit && k != abi.Route })
		if len(kinds) == 0 {
			return fmt.Errorf("use policy %s: it decides neither admit nor route", p.Name)
		}
		for _, n := range w.fleet.nodes {
			for _, k := range kinds {
				if err := n.decider.Use(ctx, k, decide.Policy{Name: p.Name}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// shared is a module that outlives the decider that uses it.
type shared struct{ decide.Module }

func (shared) Close() error { return nil }

func (w *world) closePolicies() {
	for _, n := range w.fleet.nodes {
		if n.decider != nil {
			n.decider.Close() // instances of modules in memory: nothing is lost
		}
	}
	for _, m := range w.modules {
		m.Close()
	}
}

// begin plans the first arrival and everyone's heartbeats. All nodes know one
// another from the first request on: each has sent a record long before.
func (w *world) begin() {
	r := stream(w.scenario.Seed, forBeats)
	for _, n := range w.fleet.nodes {
		phase := catalog.Micros(r.Int64N(int64(w.scenario.Heartbeat)))
		n.sent.add(n.record(start - second))
		w.queue.push(event{at: start + phase, kind: beat, node: n.index, req: -1})
	}
	w.planArrival(0)
}

func (w *world) planArrival(i int) {
	if i < len(w.requests) {
		w.queue.push(event{at: w.requests[i].at, kind: arrive, node: w.requests[i].entry, req: int32(i)})
	}
}

// askEvery is how many events pass between two looks at the context.
const askEvery = 1024

func (w *world) play(ctx context.Context, progress func(int)) error {
	for n := 0; w.left > 0; n++ {
		if n%askEvery == 0 {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("simulate: %w", err)
			}
			if progress != nil {
				progress(len(w.requests) - w.left)
			}
		}
		e, ok := w.queue.pop()
		if !ok {
			return fmt.Errorf("simulate: nothing happens any more, but %d requests have not ended", w.left)
		}
		if e.at > w.requests[len(w.requests)-1].at+horizon {
			return fmt.Errorf("simulate: %d requests have not ended %d s after the last came", w.left, horizon/second)
		}
		w.now = e.at
		w.print.event(&e)
		w.result.events++
		if err := w.happen(ctx, &e); err != nil {
			return fmt.Errorf("simulate %s at node %d: %w", kindNames[e.kind], e.node, err)
		}
	}
	if progress != nil {
		progress(len(w.requests))
	}
	return nil
}

var kindNames = [...]string{"arrival", "request", "refusal", "engine", "first token", "last token", "heartbeat"}

func (w *world) happen(ctx context.Context, e *event) error {
	n := w.fleet.nodes[e.node]
	switch e.kind {
	case arrive:
		w.planArrival(int(e.req) + 1)
		return w.arrive(n, e.req)
	case reach:
		return w.reach(n, e.req)
	case refuse:
		return w.refused(n, e.req)
	case wake:
		if e.gen == n.engine.gen {
			n.engine.wakeAt = 0
			w.advance(n)
		}
	case first:
		w.begun(n, e.req)
	case done:
		w.finish(n, e.req)
	case beat:
		w.advance(n)
		n.sent.add(n.record(w.now))
		w.queue.push(event{at: w.now + w.scenario.Heartbeat, kind: beat, node: e.node, req: -1})
		n.decider.Tick(w.now)
		if err := n.decider.Repair(ctx); err != nil {
			w.result.policyFault(err)
		}
	}
	return nil
}

// advance brings a node's engine to now; what came out of it goes to the entry
// nodes.
func (w *world) advance(n *node) {
	n.engine.advance(w.now, func(k kind, at catalog.Micros, req int32) {
		if k == done {
			w.check.left(n, req, at)
		}
		w.tell(n, k, at, req)
		entry := w.requests[req].entry
		// One stream carries all tokens, so the last cannot overtake the first.
		w.queue.push(event{at: at + w.delay(n.index, entry, req, first), kind: k, node: entry, req: req})
	})
	w.check.engine(n, w.now)
	w.plan(n)
}

// plan asks for a wake when the next thing ends in a node's engine, unless there
// is one for that moment.
func (w *world) plan(n *node) {
	e := n.engine
	at, ok := e.next()
	if !ok || at == e.wakeAt {
		return
	}
	e.gen++
	e.wakeAt = at
	w.queue.push(event{at: at, kind: wake, node: n.index, req: -1, gen: e.gen})
}

// delay is how long a message of a request takes; nothing on the same node.
func (w *world) delay(from, to, req int32, k kind) catalog.Micros {
	if from == to {
		return 0
	}
	return w.topology.oneWay(from, to, uint64(req), uint64(k), uint64(from))
}
