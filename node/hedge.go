package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"omx/node/catalog"
	"omx/node/decide"
)

// A request whose first token takes longer than nearly all did may be asked of a
// second node (Dean and Barroso, "The Tail at Scale", 2013): the first token wins, and
// the other try is cancelled before it can say anything.

const (
	firstsKept   = 64                    // times to a first token, of each model
	firstsNeeded = 16                    // before anything is made of them
	firstsModels = 256                   // models they are kept of
	hedgeLeast   = 10 * time.Millisecond // what is faster than that is not worth a second try
)

// race lets one of two tries answer.
type race struct {
	mu     sync.Mutex
	all    []*attempt
	winner *attempt
}

// enter adds a try; false if it comes too late.
func (r *race) enter(t *attempt) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, t)
	return r.winner == nil
}

// win makes the first that asks the winner and ends the others.
func (r *race) win(t *attempt) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.winner == nil {
		r.winner = t
		for _, other := range r.all {
			if other != t {
				other.cancel(errBeaten)
			}
		}
	}
	return r.winner == t
}

// hedge runs a try and, if it is late, one at the next pick. It returns the one that
// counts: the winner, or the last to fail.
func (n *Node) hedge(ctx context.Context, t *attempt, req *decide.Request, w *wireRequest) *attempt {
	a := t.answer
	late := n.firsts.late(req.Model)
	ended := make(chan *attempt, 2)
	t.race = &race{}
	start := func(t *attempt) { go func() { t.err = t.run(ctx); ended <- t }() }
	start(t)
	running := 1
	var timer <-chan time.Time
	if late > 0 {
		clock := time.NewTimer(late)
		defer clock.Stop()
		timer = clock.C
	}
	var last *attempt
	for running > 0 {
		select {
		case <-timer:
			t.race.mu.Lock()
			won := t.race.winner != nil
			t.race.mu.Unlock()
			if pick := a.untried(); pick != nil && !won {
				second := a.attempt(req, pick, w)
				second.race = t.race
				start(second)
				running++
			}
		case done := <-ended:
			running--
			if last == nil || done.err != errBeaten {
				last = done
			}
		}
	}
	if won := t.race.winner; won != nil {
		last = won
		n.firsts.add(req.Model, won.first)
	}
	return last
}

// firsts are how long first tokens took.
type firsts struct {
	mu sync.Mutex
	of map[catalog.ModelID][]time.Duration
}

func (f *firsts) add(m catalog.ModelID, took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list, known := f.of[m]
	switch {
	case f.of == nil:
		f.of = map[catalog.ModelID][]time.Duration{}
	case !known && len(f.of) >= firstsModels:
		return
	case len(list) == firstsKept:
		list = append(list[:0], list[1:]...)
	}
	f.of[m] = append(list, took)
}

// late is what 95 of 100 first tokens of a model took at most; 0 if too few are known.
func (f *firsts) late(m catalog.ModelID) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.of[m]) < firstsNeeded {
		return 0
	}
	sorted := slices.Sorted(slices.Values(f.of[m]))
	return max(sorted[len(sorted)*95/100], hedgeLeast)
}
