package seed

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"omx/node/events"
	"omx/node/mesh"
)

// Fact is what a design gets right or wrong, whatever its speed: one figure of
// each, the smaller the better.
type Fact struct {
	Name   string  `json:"name"` // section/…
	Title  string  `json:"title"`
	Naive  float64 `json:"naive"`
	Report float64 `json:"report"`
	Omx    float64 `json:"omx"`
	Most   float64 `json:"omx_at_most"`
}

// facts takes all of them: about three seconds, less if short.
func facts(ctx context.Context, short bool) ([]Fact, error) {
	n, load := 20_000, time.Second
	if short {
		n, load = 2000, 100*time.Millisecond
	}
	var all []Fact
	for _, take := range []func() (Fact, error){
		func() (Fact, error) { return outOfOrder(n) },
		overBound,
		recordsLeft,
		pauses,
		func() (Fact, error) { return wrongCPU(ctx, load, !short) },
	} {
		f, err := take()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if f.Title != "" {
			all = append(all, f)
		}
	}
	return all, nil
}

// outOfOrder counts events of one emitter that a subscriber gets after a later
// one. The handler takes a little longer for some than for others, as handlers do.
func outOfOrder(n int) (Fact, error) {
	f := Fact{Name: "events/order", Title: "% of events seen after a later one"}
	type seen struct {
		sync.Mutex
		last, wrong, all int
	}
	handle := func(s *seen, seq int) {
		for range seq % 7 * 100 {
			runtime.KeepAlive(seq)
		}
		s.Lock()
		defer s.Unlock()
		if s.all++; seq < s.last {
			s.wrong++
		}
		s.last = max(s.last, seq)
	}
	share := func(s *seen) float64 { return 100 * float64(s.wrong) / float64(n) }
	older := func(make func(busHandler) emitFunc) float64 {
		var s seen
		var t tally
		emit := make(func(e *busEvent) {
			handle(&s, int(e.data.(busData).a))
			t.handled.Add(1)
		})
		for i := range n {
			emit(topic, peer, busData{1, uint64(i), 2})
		}
		t.emitted.Store(int64(n))
		t.wait()
		return share(&s)
	}
	f.Naive, f.Report = older(naiveEmit), older(reportEmit)

	var s seen
	bus := events.New()
	if _, err := bus.Subscribe(events.Options{Block: true}, func(e events.Event) { handle(&s, int(e.A)) }); err != nil {
		return f, err
	}
	for i := range n {
		bus.Emit(events.Event{Kind: events.PeerUp, Node: 7, Model: 1, A: uint64(i)})
	}
	if err := bus.Close(context.Background()); err != nil {
		return f, err
	}
	if s.all != n {
		return f, fmt.Errorf("%d of %d events arrived", s.all, n)
	}
	f.Omx = share(&s)
	return f, nil
}

const boundOf = 100 // connections

// overBound has four goroutines admit peers at once, and tells by how many
// connections the bound was passed at most.
func overBound() (Fact, error) {
	f := Fact{Name: "pool/bound", Title: fmt.Sprintf("connections beyond the bound of %d", boundOf)}
	const each = 200
	ids := names(4 * each)
	parsed, err := nodeIDs(ids)
	if err != nil {
		return f, err
	}
	atOnce := func(admit func(i int)) {
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range each {
					admit(g*each + i)
				}
			})
		}
		wg.Wait()
	}
	naive := &naivePool{}
	atOnce(func(i int) { naive.add(ids[i]) })
	f.Naive = float64(max(len(naive.list)-boundOf, 0))
	for range 20 { // the gap between asking and adding is short: it shows in some rounds
		report := newReportPool(boundOf)
		var held atomic.Int64
		atOnce(func(i int) {
			if report.canAccept(ids[i]) {
				runtime.Gosched() // where a connection would be made
				report.add(ids[i])
				held.Add(1)
			}
		})
		f.Report = max(f.Report, float64(held.Load()-boundOf))

		pool := mesh.NewPool[*standIn](mesh.PoolConfig{MaxConns: boundOf}, nil)
		atOnce(func(i int) { _, _ = pool.Put(parsed[i], &standIn{}, true) }) // refused beyond the bound
		f.Omx = max(f.Omx, float64(pool.Count()-boundOf))
		pool.Close()
	}
	return f, nil
}

// recordsLeft has peers come and go, and counts what is kept of them.
func recordsLeft() (Fact, error) {
	const peers = 4000
	f := Fact{Name: "pool/records", Title: "records left of 4,000 peers"}
	ids := names(peers)
	naive, report := &naivePool{}, newReportPool(boundOf)
	pool := mesh.NewPool[*standIn](mesh.PoolConfig{MaxConns: boundOf}, nil)
	defer pool.Close()
	parsed, err := nodeIDs(ids)
	if err != nil {
		return f, err
	}
	for i, id := range ids {
		naive.add(id)
		naive.remove(id)
		report.add(id)
		report.remove(id)
		if _, err := pool.Put(parsed[i], &standIn{}, false); err != nil {
			return f, err
		}
		pool.Remove(parsed[i])
	}
	f.Naive, f.Report, f.Omx = float64(len(naive.list)), float64(len(report.conns)), float64(pool.Count())
	return f, nil
}

// checkFacts tells what omx got wrong.
func checkFacts(all []Fact) (errs []error) {
	for _, f := range all {
		if f.Omx > f.Most {
			errs = append(errs, fmt.Errorf("%s: %s: %.3g, the goal is at most %.3g", f.Name, f.Title, f.Omx, f.Most))
		}
	}
	return errs
}
