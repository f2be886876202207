package mesh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"omx/node/catalog"
	"omx/node/mesh/member"
	"omx/node/nodetest"
)

type fakeConn struct{ closed atomic.Bool }

func (c *fakeConn) Close() error { c.closed.Store(true); return nil }
func (c *fakeConn) Closed() bool { return c.closed.Load() }

func poolID(t testing.TB, i int) catalog.NodeID {
	return nodetest.Node(t, fmt.Sprintf("12D3KooWExampleExampleExampleExampleExampleExample%04d", i))
}

func newPool(t testing.TB, cfg PoolConfig, dial func(context.Context, catalog.NodeID) (*fakeConn, error)) *Pool[*fakeConn] {
	p := NewPool(cfg, dial)
	t.Cleanup(p.Close)
	return p
}

func put(t testing.TB, p *Pool[*fakeConn], i int, pin bool) *Entry[*fakeConn] {
	t.Helper()
	e, err := p.Put(poolID(t, i), &fakeConn{}, pin)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// checkPool compares the three places that say who is in.
func checkPool(t *testing.T, p *Pool[*fakeConn]) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	chained := 0
	for i := range p.buckets {
		for e := p.buckets[i].Load(); e != nil; e = e.next.Load() {
			chained++
			if p.entries[e.pos] != e {
				t.Errorf("entry %s is not at its place", e.id.Short())
			}
		}
	}
	if chained != len(p.entries) || p.Count() != len(p.entries) || p.reserved < 0 {
		t.Errorf("index %d, list %d, count %d, reserved %d", chained, len(p.entries), p.Count(), p.reserved)
	}
}

func TestPoolEvictsLeastRecentlyUsed(t *testing.T) {
	p := newPool(t, PoolConfig{MaxConns: 3}, nil)
	now := time.Unix(1000, 0)
	for i := range 3 {
		p.Tick(now.Add(time.Duration(i) * time.Second))
		put(t, p, i, false)
	}
	p.Tick(now.Add(3 * time.Second))
	first, err := p.Acquire(poolID(t, 0)) // the oldest is now in use,
	if err != nil {
		t.Fatal(err)
	}
	second := p.find(poolID(t, 1)).Conn() // so the second oldest goes
	put(t, p, 3, false)
	if !second.Closed() || p.Has(poolID(t, 1)) || !p.Has(poolID(t, 0)) || !p.Has(poolID(t, 2)) {
		t.Fatal("the wrong connection was evicted")
	}
	first.Release()
	put(t, p, 4, false) // the first was used last: the third goes
	if !p.Has(poolID(t, 0)) || p.Has(poolID(t, 2)) {
		t.Fatal("a connection just used was evicted")
	}
	checkPool(t, p)
}

func TestPoolFullOfUsedConnections(t *testing.T) {
	dial := func(context.Context, catalog.NodeID) (*fakeConn, error) { return &fakeConn{}, nil }
	p := newPool(t, PoolConfig{MaxConns: 2}, dial)
	put(t, p, 0, true)
	if err := put(t, p, 1, false).Acquire(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Put(poolID(t, 2), &fakeConn{}, false); !errors.Is(err, ErrPoolFull) {
		t.Errorf("put: %v", err)
	}
	if _, err := p.Get(context.Background(), poolID(t, 2)); !errors.Is(err, ErrPoolFull) {
		t.Errorf("get: %v", err)
	}
	if _, err := p.Put(poolID(t, 0), &fakeConn{}, true); err != nil {
		t.Errorf("replace: %v", err)
	}
	checkPool(t, p)
}

func TestPoolSweep(t *testing.T) {
	p := newPool(t, PoolConfig{MaxConns: 8}, nil)
	now := time.Unix(1000, 0)
	p.Tick(now)
	idle, kept, used, died := put(t, p, 0, false), put(t, p, 1, true), put(t, p, 2, false), put(t, p, 3, false)
	served := put(t, p, 4, false)
	if err := used.Acquire(); err != nil || !served.hold() {
		t.Fatal("cannot use a new connection", err)
	}
	died.Conn().Close()
	if n := p.Sweep(now.Add(29 * time.Second)); n != 1 {
		t.Errorf("after 29 s %d went, want the dead one", n)
	}
	p.Tick(now.Add(58 * time.Second)) // no sweep is due
	if idle.Conn().Closed() {
		t.Error("swept too early")
	}
	p.Tick(now.Add(60 * time.Second))
	if !idle.Conn().Closed() || kept.Conn().Closed() || used.Conn().Closed() || served.Conn().Closed() || p.Count() != 3 {
		t.Error("the sweep must close the idle one, and no other")
	}
	used.Release()
	served.unhold()
	if n := p.Sweep(now.Add(91 * time.Second)); n != 2 || kept.Conn().Closed() {
		t.Errorf("later %d went", n)
	}
	checkPool(t, p)
}

func TestPoolReplaceDrains(t *testing.T) {
	p := newPool(t, PoolConfig{}, nil)
	old := put(t, p, 0, true)
	if err := old.Acquire(); err != nil {
		t.Fatal(err)
	}
	fresh := put(t, p, 0, true)
	if old.Conn().Closed() {
		t.Fatal("the old connection was closed under a request")
	}
	if err := old.Acquire(); !errors.Is(err, ErrNotConnected) {
		t.Fatalf("a replaced connection took a request: %v", err)
	}
	if e, err := p.Acquire(poolID(t, 0)); err != nil || e != fresh {
		t.Fatalf("got %v, %v", e, err)
	}
	old.Release()
	if !old.Conn().Closed() || fresh.Conn().Closed() || p.Count() != 1 {
		t.Fatal("the old one must close with its last request, and only that")
	}
}

func TestPoolNeverHandsOutTheDead(t *testing.T) {
	p := newPool(t, PoolConfig{}, nil)
	e := put(t, p, 0, true)
	e.Conn().Close()
	if p.Has(poolID(t, 0)) {
		t.Error("a dead connection counts as usable")
	}
	if _, err := p.Acquire(poolID(t, 0)); !errors.Is(err, ErrNotConnected) || p.Count() != 0 {
		t.Errorf("%v, %d held", err, p.Count())
	}
	put(t, p, 1, true)
	if !p.Remove(poolID(t, 1)) || p.Remove(poolID(t, 1)) || p.Count() != 0 {
		t.Error("remove must work once")
	}
	checkPool(t, p)
}

func TestPoolPeerLimit(t *testing.T) {
	p := newPool(t, PoolConfig{MaxRequests: 2}, nil)
	e := put(t, p, 0, false)
	for i, want := range []error{nil, nil, ErrPeerBusy} {
		if _, err := p.Acquire(poolID(t, 0)); !errors.Is(err, want) {
			t.Errorf("request %d: %v", i, err)
		}
	}
	e.Release()
	if err := e.Acquire(); err != nil {
		t.Error(err)
	}
}

func TestPoolSharesDials(t *testing.T) {
	var dials atomic.Int32
	gate := make(chan struct{})
	p := newPool(t, PoolConfig{}, func(context.Context, catalog.NodeID) (*fakeConn, error) {
		dials.Add(1)
		<-gate
		return &fakeConn{}, nil
	})
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Get(gone, poolID(t, 0)); !errors.Is(err, context.Canceled) {
		t.Fatalf("a caller that gave up got %v", err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := p.Get(context.Background(), poolID(t, 0)); err != nil {
				t.Error(err)
			}
		})
	}
	close(gate)
	wg.Wait()
	if dials.Load() != 1 || p.Count() != 1 {
		t.Errorf("%d dials, %d connections", dials.Load(), p.Count())
	}
	checkPool(t, p)
}

// A dial under way does not keep a connection out that is there; the dial finds no
// room then.
func TestPoolDialYieldsToConnection(t *testing.T) {
	began, gate := make(chan struct{}), make(chan struct{})
	conn := &fakeConn{}
	p := newPool(t, PoolConfig{MaxConns: 1}, func(context.Context, catalog.NodeID) (*fakeConn, error) {
		close(began)
		<-gate
		return conn, nil
	})
	result := make(chan error, 1)
	go func() {
		_, err := p.Get(context.Background(), poolID(t, 0))
		result <- err
	}()
	<-began
	put(t, p, 1, true)
	close(gate)
	if err := <-result; !errors.Is(err, ErrPoolFull) {
		t.Errorf("the dial = %v", err)
	}
	if !conn.Closed() || p.Count() != 1 || !p.Has(poolID(t, 1)) {
		t.Error("the limit does not hold, or the wrong connection was closed")
	}
	checkPool(t, p)
}

func TestPoolBacksOff(t *testing.T) {
	broken := errors.New("nobody there")
	var dials int
	fail := true
	p := newPool(t, PoolConfig{RetryMin: time.Hour, RetryMax: 3 * time.Hour}, func(context.Context, catalog.NodeID) (*fakeConn, error) {
		if dials++; fail {
			return nil, broken
		}
		return &fakeConn{}, nil
	})
	id := poolID(t, 0)
	get := func() error {
		e, err := p.Get(context.Background(), id)
		if err == nil {
			e.Release()
		}
		return err
	}
	// later makes the wait pass, and tells how long it was.
	later := func() time.Duration {
		p.mu.Lock()
		defer p.mu.Unlock()
		r := p.retries[id]
		wait := time.Until(r.until)
		r.until = time.Now().Add(-time.Second)
		p.retries[id] = r
		return wait
	}
	for n, most := range []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour, 3 * time.Hour} {
		if err := get(); !errors.Is(err, broken) || dials != n+1 {
			t.Fatalf("dial %d: %v after %d dials", n, err, dials)
		}
		var soon *BackoffError
		if err := get(); !errors.As(err, &soon) || !errors.Is(err, broken) || dials != n+1 {
			t.Errorf("dial %d: %v at once after it", n, err)
		}
		if wait := later(); wait > most || wait < most/2-time.Minute {
			t.Errorf("dial %d: the wait is %v, want %v to %v", n, wait, most/2, most)
		}
	}
	// One that is lost at once counts as well.
	fail = false
	if err := get(); err != nil {
		t.Fatal(err)
	}
	p.Remove(id)
	if err := get(); !errors.Is(err, errLostEarly) {
		t.Errorf("%v after a connection that was lost at once", err)
	}
	// Other peers are not concerned, and what is over is forgotten.
	if e, err := p.Get(context.Background(), poolID(t, 1)); err != nil {
		t.Error(err)
	} else {
		e.Release()
	}
	p.mu.Lock()
	p.forget(time.Now().Add(4 * time.Hour))
	left := len(p.retries)
	p.mu.Unlock()
	if left != 0 {
		t.Errorf("%d waits are kept", left)
	}
}

// More members than connections, all from one address: the pool's limit holds, and
// one that is kept out comes in when there is room.
func TestManyBehindOneAddress(t *testing.T) {
	const limit = 4
	first := founder(t, func(c *Config) { c.Pool.MaxConns = limit })
	var others []*testPeer
	for range limit + 1 {
		others = append(others, joined(t, first, member.Serve, func(c *Config) { c.Pool.RetryMax = 500 * time.Millisecond }))
	}
	eventually(t, "the pool is full", func() bool { return first.Count() == limit })
	out := func() (list []*testPeer) {
		for _, p := range others {
			if !first.Has(p.ID()) {
				list = append(list, p)
			}
		}
		return list
	}
	eventually(t, "one is out", func() bool { return len(out()) == 1 })
	last := out()[0]
	for _, p := range others {
		if p != last {
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	eventually(t, "it has come in", func() bool { return first.Has(last.ID()) })
}
