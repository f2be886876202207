package mesh

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"omx/node/catalog"
)

// An entry's state is one word: who uses it, and whether it may be used.
const (
	outMask  = 1<<16 - 1 // requests this node has open
	inOne    = 1 << 16   // requests the peer has open, from here up
	inMask   = (1<<16 - 1) << 16
	pinned   = 1 << 32 // kept whether used or not
	dead     = 1 << 33 // left the pool, for good
	lent     = 1 << 34 // kept until there is need of its place
	busyMask = outMask | inMask | pinned
)

// Entry is a connection in a Pool. Whoever keeps one may call Acquire on it
// directly, which saves the look-up by id.
type Entry[C Conn] struct {
	state atomic.Uint64
	last  atomic.Int64 // pool clock at the last release
	next  atomic.Pointer[Entry[C]]
	pool  *Pool[C]
	id    catalog.NodeID
	conn  C
	pos   int // in pool.entries, under its mutex
}

// Conn is the connection itself.
func (e *Entry[C]) Conn() C { return e.conn }

// ID is the peer at the other end.
func (e *Entry[C]) ID() catalog.NodeID { return e.id }

// Acquire counts one more open request. Errors: ErrNotConnected (for this
// entry, that is final), ErrPeerBusy.
func (e *Entry[C]) Acquire() error {
	if e.conn.Closed() {
		e.pool.Drop(e)
		return ErrNotConnected
	}
	for {
		st := e.state.Load()
		switch {
		case st&dead != 0:
			return ErrNotConnected
		case int(st&outMask) >= e.pool.cfg.MaxRequests:
			return ErrPeerBusy
		case e.state.CompareAndSwap(st, st+1):
			return nil
		}
	}
}

// Release undoes one Acquire; once too often panics.
func (e *Entry[C]) Release() {
	st := e.state.Add(^uint64(0))
	if st&outMask == outMask {
		panic("mesh: Release without Acquire")
	}
	e.released(st)
}

// hold counts a request the peer has opened: it keeps the connection from being
// closed as idle. Unlike Acquire it works on a replaced connection that drains.
func (e *Entry[C]) hold() bool {
	if e.conn.Closed() || e.state.Load()&inMask == inMask {
		return false
	}
	e.state.Add(inOne)
	return true
}

func (e *Entry[C]) unhold() { e.released(e.state.Add(^uint64(inOne - 1))) }

func (e *Entry[C]) released(st uint64) {
	if now := e.pool.clock.Load(); e.last.Load() != now {
		e.last.Store(now)
	}
	if st&dead != 0 && st&(outMask|inMask) == 0 {
		e.conn.Close()
	}
}

// keep says whether the connection is pinned, lent or neither beside its requests.
func (e *Entry[C]) keep(how uint64) {
	for {
		st := e.state.Load()
		if e.state.CompareAndSwap(st, st&^(pinned|lent)|how) {
			return
		}
	}
}

// busy says whether requests are open on it.
func (e *Entry[C]) busy() bool { return e.state.Load()&(outMask|inMask) != 0 }

func (e *Entry[C]) usable() bool { return e.state.Load()&dead == 0 && !e.conn.Closed() }

// closeRetired closes an entry that has left the pool if nothing uses it; else
// the last release does.
func (e *Entry[C]) closeRetired() {
	if e != nil && e.state.Load()&(outMask|inMask) == 0 {
		e.conn.Close()
	}
}

// find returns the peer's entry. It needs no lock: an entry is put in front of
// its chain, and one taken out still points into it. If nothing was found but
// the front has changed, the peer's entry may have been replaced behind us.
func (p *Pool[C]) find(id catalog.NodeID) *Entry[C] {
	b := p.bucket(id)
	for front := b.Load(); ; {
		for e := front; e != nil; e = e.next.Load() {
			if e.id == id && e.state.Load()&dead == 0 {
				return e
			}
		}
		now := b.Load()
		if now == front {
			return nil
		}
		front = now
	}
}

func (p *Pool[C]) bucket(id catalog.NodeID) *atomic.Pointer[Entry[C]] {
	return &p.buckets[maphash.String(p.seed, id.String())&uint64(len(p.buckets)-1)]
}

// insert, unlink, retire and reserve need the mutex.
func (p *Pool[C]) insert(id catalog.NodeID, conn C, pin bool) *Entry[C] {
	e := &Entry[C]{pool: p, id: id, conn: conn, pos: len(p.entries)}
	if pin {
		e.state.Store(pinned)
	}
	e.last.Store(p.clock.Load())
	b := p.bucket(id)
	e.next.Store(b.Load())
	b.Store(e)
	p.entries = append(p.entries, e)
	p.live.Add(1)
	return e
}

// unlink takes e out whether used or not; false if it was out already.
func (p *Pool[C]) unlink(e *Entry[C]) bool {
	if e.state.Or(dead)&dead != 0 {
		return false
	}
	p.retire(e)
	return true
}

// retire removes an entry already marked dead from index and list.
func (p *Pool[C]) retire(e *Entry[C]) {
	at := p.bucket(e.id)
	for at.Load() != e {
		at = &at.Load().next
	}
	at.Store(e.next.Load())
	last := len(p.entries) - 1
	p.entries[e.pos] = p.entries[last]
	p.entries[e.pos].pos = e.pos
	p.entries[last] = nil
	p.entries = p.entries[:last]
	p.live.Add(-1)
}

// reserve finds room for one more connection beside those promised. If the pool is full it takes out
// the one unused for longest and returns it for the caller to close; ok is
// false if all are in use. The search is linear, at the price of a dial: a
// sorted list would have to be kept on every release instead.
func (p *Pool[C]) reserve(promised int) (victim *Entry[C], ok bool) {
	if len(p.entries)+promised < p.cfg.MaxConns {
		return nil, true
	}
	for {
		var oldest *Entry[C]
		var st uint64
		for _, e := range p.entries {
			s := e.state.Load()
			if s&busyMask == 0 && (oldest == nil || e.last.Load() < oldest.last.Load()) {
				oldest, st = e, s
			}
		}
		if oldest == nil {
			return nil, false
		}
		if oldest.state.CompareAndSwap(st, st|dead) { // else it was just taken into use
			p.retire(oldest)
			return oldest, true
		}
	}
}

// Tick sets the pool's clock and, when one is due, sweeps. Its owner calls it
// about once a second; that is the resolution of "least recently used".
func (p *Pool[C]) Tick(now time.Time) {
	t := now.UnixNano()
	p.clock.Store(t)
	p.mu.Lock()
	if p.swept == 0 {
		p.swept = t
	}
	due := t-p.swept >= int64(p.cfg.SweepEvery)
	p.mu.Unlock()
	if due {
		p.Sweep(now)
	}
}

// Sweep closes what has been unused for IdleTimeout, forgets what has died, and
// returns how many those were.
func (p *Pool[C]) Sweep(now time.Time) int {
	t := now.UnixNano()
	p.clock.Store(t)
	var gone []*Entry[C]
	p.mu.Lock()
	p.swept = t
	for i := len(p.entries) - 1; i >= 0; i-- { // backwards: removal fills the hole from the end
		e := p.entries[i]
		st := e.state.Load()
		switch {
		case e.conn.Closed():
			p.unlink(e)
		case st&(busyMask|lent) == 0 && t-e.last.Load() >= int64(p.cfg.IdleTimeout) && e.state.CompareAndSwap(st, st|dead):
			p.retire(e)
		default:
			continue
		}
		gone = append(gone, e)
	}
	p.forget(time.Now())
	p.mu.Unlock()
	for _, e := range gone {
		e.conn.Close()
	}
	return len(gone)
}
