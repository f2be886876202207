package seed

import (
	"sync"
	"time"

	"omx/bench/measure"
)

// changesEach is how often a peer leaves and comes back while others are counted
// and looked up: a thousand changes a second, a mesh in turmoil.
const changesEach = time.Millisecond

// churning runs leave and come in turns beside a measurement.
func churning(leave, come func(), run *measure.Run) *measure.Run {
	stop, left := make(chan struct{}), false
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(changesEach)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if left = !left; left {
					leave()
				} else {
					come()
				}
			case <-stop:
				return
			}
		}
	})
	done := run.Close
	run.Close = func() string {
		close(stop)
		wg.Wait()
		if done == nil {
			return ""
		}
		return done()
	}
	return run
}

// near tells whether a count is right while one of n peers comes and goes.
func near(count, n int) bool { return count == n || count == n-1 }

func naiveCountChurn(n int) startFunc {
	return func(int) (*measure.Run, error) {
		s, leave, come := churningSet(n)
		return churning(leave, come, eachOf(1<<30, func(int) bool { return near(s.naiveCount(), n) }, nil)), nil
	}
}

func reportCountChurn(n int) startFunc {
	return func(int) (*measure.Run, error) {
		s, leave, come := churningSet(n)
		return churning(leave, come, eachOf(1<<30, func(int) bool { return near(len(s.peers()), n) }, nil)), nil
	}
}

func omxCountChurn(n int) startFunc {
	return func(int) (*measure.Run, error) {
		p, leave, come, err := churningPool(n)
		if err != nil {
			return nil, err
		}
		return churning(leave, come, spans(1<<30, func(i, end int) (wrong int) {
			for ; i < end; i++ {
				if !near(p.Count(), n) {
					wrong++
				}
			}
			return wrong
		}, p.Close)), nil
	}
}

// Those that are looked up stay; one that is not asked for comes and goes.
func naiveHasChurn(n int) startFunc {
	return func(int) (*measure.Run, error) {
		s, leave, come := churningSet(n)
		ids := names(n)[1:]
		return churning(leave, come, eachOf(len(ids), func(i int) bool { return s.naiveHas(ids[i]) }, nil)), nil
	}
}

func reportHasChurn(n int) startFunc {
	return func(int) (*measure.Run, error) {
		p, ids := newReportPool(n), names(n)
		for _, id := range ids {
			p.add(id)
		}
		return churning(func() { p.remove(ids[0]) }, func() { p.add(ids[0]) }, spans(n-1, func(i, end int) (wrong int) {
			for _, id := range ids[1+i : 1+end] {
				if !p.has(id) {
					wrong++
				}
			}
			return wrong
		}, nil)), nil
	}
}

func omxHasChurn(n int) startFunc {
	return func(int) (*measure.Run, error) {
		p, leave, come, err := churningPool(n)
		if err != nil {
			return nil, err
		}
		return churning(leave, come, spans(n-1, func(i, end int) (wrong int) {
			for _, id := range p.ids[1+i : 1+end] {
				if !p.Has(id) {
					wrong++
				}
			}
			return wrong
		}, p.Close)), nil
	}
}

func churningSet(n int) (s *peerSet, leave, come func()) {
	ids := names(n)
	s = newPeerSet(ids)
	return s, func() { s.remove(ids[0]) }, func() { s.add(ids[0]) }
}

func churningPool(n int) (p *nodePool, leave, come func(), err error) {
	if p, err = newNodePool(n); err != nil {
		return nil, nil, nil, err
	}
	return p, func() { p.Remove(p.ids[0]) }, func() { _, _ = p.Put(p.ids[0], p.conns[0], false) }, nil
}
