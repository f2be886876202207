package seed

import (
	"sync"
	"time"
)

// naivePool is a list under one lock, without bound, with a record for each
// connection.
type naivePool struct {
	mu   sync.Mutex
	list []*naiveConn
}

type naiveConn struct {
	id   string
	last time.Time
	meta map[string]string
}

func (p *naivePool) add(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, &naiveConn{id, time.Now(), map[string]string{"state": "connected"}})
}

func (p *naivePool) remove(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range p.list {
		if c.id == id {
			p.list = append(p.list[:i], p.list[i+1:]...)
			return
		}
	}
}

func (p *naivePool) use(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.list {
		if c.id == id {
			c.last = time.Now()
			return true
		}
	}
	return false
}

// reportPool is the map of the report: a bound and a timeout under a read-write
// lock. A removed connection keeps its record until the next clean-up, so the
// question whether another one fits is answered by counting.
type reportPool struct {
	mu    sync.RWMutex
	conns map[string]*reportConn
	max   int
}

type reportConn struct {
	id        string
	connected bool
	last      time.Time
	uses      int64
	quality   float64
}

func newReportPool(max int) *reportPool {
	return &reportPool{conns: map[string]*reportConn{}, max: max}
}

func (p *reportPool) canAccept(id string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if c, ok := p.conns[id]; ok && c.connected {
		return true
	}
	n := 0
	for _, c := range p.conns {
		if c.connected {
			n++
		}
	}
	return n < p.max
}

func (p *reportPool) add(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[id] = &reportConn{id: id, connected: true, last: time.Now(), uses: 1, quality: 1}
}

func (p *reportPool) remove(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.conns[id]; ok {
		c.connected = false
	}
}

// use needs the write lock: it notes the time.
func (p *reportPool) use(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.conns[id]
	if !ok || !c.connected {
		return false
	}
	c.last = time.Now()
	c.uses++
	return true
}

func (p *reportPool) has(id string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	c, ok := p.conns[id]
	return ok && c.connected
}

// peerSet answers as a libp2p network does when asked for its peers: with a
// copy of the list, made under a read lock. The report's peer count is the
// length of that copy.
type peerSet struct {
	mu    sync.RWMutex
	conns map[string][]*naiveConn // a peer may have several
}

func newPeerSet(ids []string) *peerSet {
	s := &peerSet{conns: map[string][]*naiveConn{}}
	for _, id := range ids {
		s.conns[id] = []*naiveConn{{id: id}}
	}
	return s
}

func (s *peerSet) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[id] = []*naiveConn{{id: id}}
}

func (s *peerSet) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, id)
}

func (s *peerSet) peers() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]string, 0, len(s.conns))
	for id := range s.conns {
		list = append(list, id)
	}
	return list
}

// connections is the longer way round, by every connection.
func (s *peerSet) connections() []*naiveConn {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []*naiveConn
	for _, conns := range s.conns {
		list = append(list, conns...)
	}
	return list
}

func (s *peerSet) naiveCount() int {
	seen := map[string]bool{}
	for _, c := range s.connections() {
		seen[c.id] = true
	}
	return len(seen)
}

func (s *peerSet) naiveHas(id string) bool {
	for _, p := range s.peers() {
		if p == id {
			return true
		}
	}
	return false
}
