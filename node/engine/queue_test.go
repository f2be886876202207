package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"omx/node/nodetest"
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
				switch err := g.enter(ctx, Claim{Tenant: uint64(i % 4), Priority: int32(i % 2), Cost: uint32(i)}); {
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
	go func() { done <- g.enter(t.Context(), Claim{}) }()
	eventually(t, "it waits", func() bool { return g.load().Queued == 1 })
	boom := errors.New("boom")
	g.close(boom)
	if err := <-done; err != boom {
		t.Errorf("who waited got %v", err)
	}
	if err := g.enter(t.Context(), Claim{}); err != boom {
		t.Errorf("who came got %v", err)
	}
	g.set(true)
	if err := g.enter(t.Context(), Claim{}); err != nil {
		t.Errorf("opened again: %v", err)
	}
}

// turns lets one after another in, and tells in which order they came.
func turns(t *testing.T, claims ...Claim) (order []int) {
	t.Helper()
	g := newGate(1, len(claims))
	g.set(true)
	if err := g.enter(t.Context(), Claim{Tenant: 99}); err != nil { // holds the slot
		t.Fatal(err)
	}
	in := make(chan int)
	for i, c := range claims {
		go func() {
			if err := g.enter(t.Context(), c); err != nil {
				t.Error(err)
			}
			in <- i
		}()
		eventually(t, "it waits", func() bool { return int(g.load().Queued) == i+1 })
	}
	for range claims {
		g.leave()
		order = append(order, <-in)
	}
	g.leave()
	return order
}

func TestQueueOrder(t *testing.T) {
	for _, c := range []struct {
		name   string
		claims []Claim
		want   string
	}{
		{"first come", []Claim{{}, {}, {}}, "[0 1 2]"},
		{"priority", []Claim{{Priority: -1}, {}, {Priority: 5}, {Priority: 5}}, "[2 3 1 0]"},
		{"tenants take turns", []Claim{{Tenant: 1, Cost: 10}, {Tenant: 1, Cost: 10}, {Tenant: 1, Cost: 10}, {Tenant: 2, Cost: 10}, {Tenant: 3, Cost: 10}}, "[0 3 4 1 2]"},
		{"in shares of tokens", []Claim{{Tenant: 1, Cost: 30}, {Tenant: 1, Cost: 30}, {Tenant: 2, Cost: 10}, {Tenant: 2, Cost: 10}, {Tenant: 2, Cost: 10}, {Tenant: 2, Cost: 10}}, "[0 2 3 4 1 5]"},
	} {
		if got := fmt.Sprint(turns(t, c.claims...)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// A flood of one class leaves the others their room.
func TestQueueBoundsClasses(t *testing.T) {
	g := newGate(1, 2)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if err := g.enter(ctx, Claim{Class: uint32(i / 2)}); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		eventually(t, "it waits", func() bool { return int(g.load().Queued) == i+1 })
	}
	if err := g.enter(t.Context(), Claim{Class: 1}); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	cancel()
	wg.Wait()
}

// What needs no slot waits for none, but for the gate to open.
func TestQueuePass(t *testing.T) {
	g := newGate(1, 2)
	knocked := 0
	g.knock = func() { knocked++ }
	done := make(chan error, 1)
	go func() { done <- g.pass(t.Context()) }()
	eventually(t, "it waits", func() bool { return g.load().Queued == 1 })
	g.set(true)
	if err := <-done; err != nil || knocked != 1 {
		t.Error(err, knocked)
	}
	if err := g.enter(t.Context(), Claim{}); err != nil {
		t.Fatal(err)
	}
	if err := g.pass(t.Context()); err != nil || g.load().Running != 1 {
		t.Error(err)
	}
	if shut, left := g.shutIdle(0); shut || left <= 0 {
		t.Error("shut while somebody is in")
	}
	g.leave()
	if shut, _ := g.shutIdle(time.Hour); shut {
		t.Error("shut too soon")
	}
	if shut, _ := g.shutIdle(0); !shut {
		t.Error("not shut")
	}
}

// Who waits comes in when there are more slots, and nobody when there are fewer until
// enough have left.
func TestGateResize(t *testing.T) {
	g := newGate(1, 8)
	g.set(true)
	in := make(chan struct{})
	for range 3 {
		go func() {
			if err := g.enter(t.Context(), Claim{}); err != nil {
				t.Error(err)
			}
			in <- struct{}{}
		}()
	}
	<-in
	nodetest.Eventually(t, "two wait", func() bool { return g.load().Queued == 2 })
	g.resize(3)
	<-in
	<-in
	g.resize(1)
	go func() {
		if err := g.enter(t.Context(), Claim{}); err != nil {
			t.Error(err)
		}
		in <- struct{}{}
	}()
	nodetest.Eventually(t, "one waits", func() bool { return g.load().Queued == 1 })
	g.leave()
	g.leave()
	if l := g.load(); l.Running != 1 || l.Queued != 1 {
		t.Errorf("two of three have left one slot: %+v", l)
	}
	g.leave()
	<-in
	g.leave()
}
