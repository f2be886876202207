package mesh

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"omx/node/catalog"
)

var (
	// ErrNotConnected means the pool holds no live connection to that peer.
	ErrNotConnected = errors.New("peer is not connected")
	// ErrPoolFull means every connection of the pool is in use.
	ErrPoolFull = errors.New("connection pool is full")
	// ErrPeerBusy means the peer's limit of open requests is reached.
	ErrPeerBusy = errors.New("too many open requests to this peer")
	errPoolDone = fmt.Errorf("connection pool: %w", ErrClosed)
)

// Conn is what a Pool keeps. Close may be called more than once and from
// several goroutines. Closed must be cheap: it is asked on every Acquire.
type Conn interface {
	comparable
	Close() error
	Closed() bool
}

// PoolConfig bounds a Pool. The zero value of a field means its default.
type PoolConfig struct {
	MaxConns    int           // connections, open and being dialled; default 100, at most 65536
	MaxRequests int           // open requests per peer; default 200, at most 65535
	IdleTimeout time.Duration // an unused connection is closed after this; default 30 s
	SweepEvery  time.Duration // how often idle ones are looked for; default 30 s
	DialTimeout time.Duration // one dial; default 5 s
	RetryMin    time.Duration // least wait between two dials of a peer, doubled each time; default 250 ms
	RetryMax    time.Duration // most; default 3 s: after a long cut all see all again within 5 s
}

func (c *PoolConfig) setDefaults() {
	def(&c.MaxConns, defaultMaxConns)
	def(&c.MaxRequests, 200)
	def(&c.IdleTimeout, 30*time.Second)
	def(&c.SweepEvery, 30*time.Second)
	def(&c.DialTimeout, 5*time.Second)
	def(&c.RetryMin, 250*time.Millisecond)
	def(&c.RetryMax, 3*time.Second)
	c.MaxConns = min(c.MaxConns, 1<<16)
	c.MaxRequests = min(c.MaxRequests, outMask)
}

// Pool keeps at most one connection per peer and at most MaxConns in all.
//
// Using a live connection takes no lock and allocates nothing: the index is a
// fixed array of chains whose links are only ever changed under the mutex, so a
// reader always finds an entry that was there all along, and the entry's state
// is one word. Everything that changes who is in the pool holds the mutex.
type Pool[C Conn] struct {
	cfg     PoolConfig
	dial    func(context.Context, catalog.NodeID) (C, error)
	seed    maphash.Seed
	buckets []atomic.Pointer[Entry[C]]
	live    atomic.Int64
	clock   atomic.Int64 // nanoseconds, as of the last Tick

	mu       sync.Mutex
	entries  []*Entry[C] // dense, for the sweep and the search for a victim
	calls    map[catalog.NodeID]*call
	retries  map[catalog.NodeID]retry
	reserved int // slots promised to dials
	swept    int64
	closed   bool

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

type call struct {
	done     chan struct{}
	err      error
	reserved bool
}

// NewPool returns an empty pool. dial makes a connection; it may have put it
// into the pool by Put itself. A nil dial makes Get the same as Acquire.
func NewPool[C Conn](cfg PoolConfig, dial func(context.Context, catalog.NodeID) (C, error)) *Pool[C] {
	cfg.setDefaults()
	p := &Pool[C]{
		cfg:     cfg,
		dial:    dial,
		seed:    maphash.MakeSeed(),
		buckets: make([]atomic.Pointer[Entry[C]], 1<<bits.Len(uint(2*cfg.MaxConns-1))),
		calls:   map[catalog.NodeID]*call{},
		retries: map[catalog.NodeID]retry{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Acquire returns the live connection to a peer, in use until Release. Errors:
// ErrNotConnected, ErrPeerBusy.
func (p *Pool[C]) Acquire(id catalog.NodeID) (*Entry[C], error) {
	for e := p.find(id); e != nil; {
		switch err := e.Acquire(); err {
		case nil:
			return e, nil
		case ErrNotConnected:
			e = p.find(id) // it died or was replaced just now
		default:
			return nil, err
		}
	}
	return nil, ErrNotConnected
}

// Get is Acquire that dials where there is no connection. Concurrent calls for
// one peer share one dial. Further errors: ErrPoolFull, *BackoffError soon after
// a dial, and those of the dial.
func (p *Pool[C]) Get(ctx context.Context, id catalog.NodeID) (*Entry[C], error) {
	e, err := p.Acquire(id)
	if err == nil || !errors.Is(err, ErrNotConnected) || p.dial == nil {
		return e, err
	}
	c, err := p.startDial(id)
	if err != nil {
		return nil, err
	}
	if c != nil {
		select {
		case <-c.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if c.err != nil {
			return nil, c.err
		}
	}
	return p.Acquire(id)
}

// startDial returns the dial to wait for, nil if a connection has come by now.
func (p *Pool[C]) startDial(id catalog.NodeID) (*call, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errPoolDone
	}
	if c := p.calls[id]; c != nil {
		p.mu.Unlock()
		return c, nil
	}
	if e := p.find(id); e != nil && e.usable() {
		p.mu.Unlock()
		return nil, nil
	}
	if err := p.mayDial(id, time.Now()); err != nil {
		p.mu.Unlock()
		return nil, err
	}
	victim, ok := p.reserve(p.reserved)
	if !ok {
		p.mu.Unlock()
		return nil, ErrPoolFull
	}
	p.reserved++
	c := &call{done: make(chan struct{}), reserved: true}
	p.calls[id] = c
	p.wg.Go(func() { p.runDial(id, c) })
	p.mu.Unlock()
	victim.closeRetired()
	return c, nil
}

func (p *Pool[C]) runDial(id catalog.NodeID, c *call) {
	ctx, cancel := context.WithTimeout(p.ctx, p.cfg.DialTimeout)
	defer cancel()
	conn, err := p.dial(ctx, id)

	p.mu.Lock()
	delete(p.calls, id)
	p.dialled(id, err, time.Now())
	if c.reserved {
		p.reserved--
	}
	extra := false // somebody else's connection was faster
	if err == nil {
		switch e := p.find(id); {
		case p.closed:
			err, extra = errPoolDone, true
		case e == nil && len(p.entries) >= p.cfg.MaxConns:
			err, extra = ErrPoolFull, true // connections that were made took the slot
		case e == nil:
			p.insert(id, conn, false)
		default:
			extra = e.conn != conn
		}
	}
	c.err = err
	p.mu.Unlock()
	if extra {
		conn.Close()
	}
	close(c.done)
}

// Put admits a connection that was made elsewhere, in place of the peer's
// earlier one, which is closed as soon as nothing uses it. A connection put with
// pin counts as in use until it is dropped. Errors: ErrPoolFull, ErrClosed.
func (p *Pool[C]) Put(id catalog.NodeID, conn C, pin bool) (*Entry[C], error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errPoolDone
	}
	old := p.find(id)
	if old == nil {
		if c := p.calls[id]; c != nil && c.reserved {
			c.reserved = false // the dial's slot is this connection's
			p.reserved--
		}
		// A slot that a dial has reserved is not kept from a connection that is there:
		// dials of peers that are off would keep out those that are on.
		victim, ok := p.reserve(0)
		if !ok {
			p.mu.Unlock()
			return nil, ErrPoolFull
		}
		defer victim.closeRetired()
	}
	e := p.insert(id, conn, pin)
	if old != nil {
		p.unlink(old) // after the new one is in: there is never none
	}
	p.mu.Unlock()
	old.closeRetired()
	return e, nil
}

// Remove closes the connection to a peer, in use or not, and forgets it.
func (p *Pool[C]) Remove(id catalog.NodeID) bool {
	e := p.find(id)
	return e != nil && p.Drop(e)
}

// Drop closes e, in use or not; it reports whether e was still in the pool.
func (p *Pool[C]) Drop(e *Entry[C]) bool {
	p.mu.Lock()
	in := p.unlink(e)
	p.mu.Unlock()
	e.conn.Close()
	return in
}

// Count is the number of connections held.
func (p *Pool[C]) Count() int { return int(p.live.Load()) }

// Has reports whether a usable connection to the peer is held.
func (p *Pool[C]) Has(id catalog.NodeID) bool {
	e := p.find(id)
	return e != nil && e.usable()
}

// Close closes every connection, ends every dial and waits for those.
func (p *Pool[C]) Close() {
	p.mu.Lock()
	p.closed = true
	gone := append([]*Entry[C](nil), p.entries...)
	for _, e := range gone {
		p.unlink(e)
	}
	p.mu.Unlock()
	p.cancel()
	for _, e := range gone {
		e.conn.Close()
	}
	p.wg.Wait()
}
