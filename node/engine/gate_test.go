package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// However requests come, go and give up, no more than the slots are in, and all
// slots are free in the end.
func TestGateUnderLoad(t *testing.T) {
	g := newGate(3, 5)
	var in, most, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			for range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if rng.IntN(3) == 0 {
					go cancel()
				}
				switch err := g.enter(ctx); {
				case err == nil:
					n := in.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					in.Add(-1)
					g.leave()
				case errors.Is(err, ErrBusy):
					refused.Add(1)
				case !errors.Is(err, context.Canceled):
					t.Error(err)
				}
				cancel()
			}
		})
	}
	eventually(t, "the queue is full", func() bool { return refused.Load() > 0 })
	g.set(true)
	wg.Wait()
	if l := g.load(); l.Running != 0 || l.Queued != 0 || most.Load() > 3 {
		t.Errorf("load %+v, at most %d at once", l, most.Load())
	}
}

func TestGateCloseAndSet(t *testing.T) {
	g := newGate(1, 1)
	done := make(chan error, 1)
	go func() { done <- g.enter(t.Context()) }()
	eventually(t, "it waits", func() bool { return g.load().Queued == 1 })
	boom := errors.New("boom")
	g.close(boom)
	if err := <-done; err != boom {
		t.Errorf("who waited got %v", err)
	}
	if err := g.enter(t.Context()); err != boom {
		t.Errorf("who came got %v", err)
	}
	g.set(true)
	if err := g.enter(t.Context()); err != nil {
		t.Errorf("opened again: %v", err)
	}
}
