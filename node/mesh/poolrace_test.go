package mesh

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"omx/node/catalog"
)

// Whatever is done at once, the pool stays within its bound, nobody loses a
// connection that is in use, and none is left open in the end.
func TestPoolUnderConcurrency(t *testing.T) {
	const bound, peers, workers, rounds = 8, 24, 8, 2000
	var open, worst atomic.Int64
	made := make(chan *countedConn, workers*rounds*2)
	dial := func(context.Context, catalog.NodeID) (*countedConn, error) {
		c := &countedConn{open: &open}
		made <- c
		n := open.Add(1)
		for w := worst.Load(); n > w && !worst.CompareAndSwap(w, n); w = worst.Load() {
		}
		return c, nil
	}
	p := NewPool(PoolConfig{MaxConns: bound, IdleTimeout: time.Nanosecond}, dial)
	ids := make([]catalog.NodeID, peers)
	for i := range ids {
		ids[i] = poolID(t, i)
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(w)))
			for range rounds {
				id := ids[rnd.IntN(peers)]
				if n := p.Count(); n > bound {
					t.Errorf("%d connections, bound %d", n, bound)
				}
				switch rnd.IntN(20) {
				case 0:
					p.Remove(id)
				case 1:
					p.Sweep(time.Unix(0, rnd.Int64N(1<<40)))
				default:
					e, err := p.Get(context.Background(), id)
					if err != nil {
						continue // full, or removed by another worker
					}
					if e.ID() != id {
						t.Errorf("asked for %s, got %s", id, e.ID())
					}
					e.Release()
				}
			}
		})
	}
	wg.Wait()
	p.Close()
	close(made)
	for c := range made {
		if !c.Closed() {
			t.Error("a connection was left open")
			break
		}
	}
	if open.Load() != 0 || p.Count() != 0 {
		t.Errorf("%d open, %d counted", open.Load(), p.Count())
	}
	// A connection that is being closed may overlap its successor.
	if worst.Load() > bound+workers {
		t.Errorf("up to %d connections were open, bound %d", worst.Load(), bound)
	}
}

type countedConn struct {
	fakeConn
	open *atomic.Int64
}

func (c *countedConn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.open.Add(-1)
	}
	return nil
}

// A connection that is replaced again and again is there all the time.
func TestPoolReplaceLeavesNoGap(t *testing.T) {
	p := newPool(t, PoolConfig{MaxConns: 1}, nil)
	put(t, p, 0, true)
	id := poolID(t, 0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 5000 {
			if _, err := p.Put(id, &fakeConn{}, true); err != nil {
				t.Error(err)
			}
		}
	}()
	for {
		select {
		case <-done:
			return
		default:
		}
		e, err := p.Acquire(id)
		if err != nil {
			t.Error(err)
			<-done
			return
		}
		e.Release()
	}
}

func TestPoolUseDoesNotAllocate(t *testing.T) {
	p := newPool(t, PoolConfig{MaxConns: 1000}, nil)
	for i := range 1000 {
		put(t, p, i, false)
	}
	id := poolID(t, 500)
	kept, _ := p.Acquire(id)
	for name, f := range map[string]func(){
		"by id": func() {
			if e, err := p.Acquire(id); err == nil {
				e.Release()
			}
		},
		"by entry": func() {
			if kept.Acquire() == nil {
				kept.Release()
			}
		},
		"count and has": func() {
			if p.Count() == 0 || !p.Has(id) {
				t.Error("it is there")
			}
		},
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkPool(b *testing.B) {
	for _, n := range []int{100, 1000} {
		p := NewPool[*fakeConn](PoolConfig{MaxConns: n + 1}, nil)
		defer p.Close()
		for i := range n {
			put(b, p, i, true)
		}
		id, extra := poolID(b, n/2), poolID(b, n)
		kept := p.find(id)
		conn := &fakeConn{}
		run := func(name string, f func()) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					f()
				}
			})
		}
		run("AcquireRelease", func() {
			if e, err := p.Acquire(id); err == nil {
				e.Release()
			}
		})
		run("EntryAcquireRelease", func() {
			if kept.Acquire() == nil {
				kept.Release()
			}
		})
		run("Count", func() { p.Count() })
		run("PutRemove", func() {
			conn.closed.Store(false)
			if _, err := p.Put(extra, conn, false); err != nil {
				b.Fatal(err)
			}
			p.Remove(extra)
		})
		b.Run(fmt.Sprintf("AcquireReleaseParallel/%d", n), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if e, err := p.Acquire(id); err == nil {
						e.Release()
					}
				}
			})
		})
	}
}
