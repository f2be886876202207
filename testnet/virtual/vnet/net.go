package vnet

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Config of a Net. The zero value is a network without delay, loss or limits.
type Config struct {
	Seed uint64
	// Path is how packets go between two nodes; nil: at once.
	Path func(from, to int) Path
	// Access is the line of each node; nil: without limits.
	Access func(node int) Access
	// NAT is what stands before each node; nil: nothing.
	NAT func(node int) NAT
}

// Net is a network. In a bubble it must be made there, and its timer ends with
// Close. Safe for concurrent use.
type Net struct {
	cfg   Config
	began time.Time

	mu     sync.Mutex
	path   func(from, to int) Path
	shape  int // how often path was changed
	nodes  []*endpoint
	links  map[uint64]*link
	queue  queue
	seq    uint64
	timer  *time.Timer
	due    time.Duration // when the timer fires; below 0: it does not
	closed bool
}

// endpoint is one node's place in the network.
type endpoint struct {
	index    int
	access   Access
	router   *router      // nil: none
	outside  *net.UDPAddr // where others see it; replaced, never changed
	sock     *Socket      // nil: nobody is there
	side     int          // of a Split
	paused   bool
	in, out  []*packet     // held while it is paused
	upFree   time.Duration // when the access has sent all it was given
	downFree time.Duration
	Counters
}

// New returns a network of no nodes.
func New(cfg Config) *Net {
	n := &Net{cfg: cfg, began: time.Now(), path: cfg.Path, links: map[uint64]*link{}, due: -1}
	if n.path == nil {
		n.path = func(int, int) Path { return Path{} }
	}
	n.timer = time.AfterFunc(time.Hour, n.deliver)
	n.timer.Stop()
	return n
}

// Close ends all sockets and forgets what is on its way.
func (n *Net) Close() {
	n.mu.Lock()
	n.closed = true
	n.timer.Stop()
	n.queue = nil
	var open []*Socket
	for _, e := range n.nodes {
		e.in, e.out = nil, nil
		if e.sock != nil {
			open = append(open, e.sock)
		}
	}
	n.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
}

// base is of the range kept for tests of network devices, RFC 2544.
const base = 198<<24 | 18<<16

// IP is a node's address.
func IP(node int) net.IP {
	a := uint32(base + node + 1)
	return net.IPv4(byte(a>>24), byte(a>>16), byte(a>>8), byte(a)).To4()
}

func indexOf(a netip.Addr) int {
	b := a.Unmap().As4()
	return int(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8|uint32(b[3])) - base - 1
}

func linkKey(from, to int) uint64 { return uint64(from)<<32 | uint64(to) }

// Listen opens the socket of a node, which may have one at a time.
func (n *Net) Listen(node, port int) (*Socket, error) {
	if node < 0 || node >= MaxNodes || port < 1 || port > 1<<16-1 {
		return nil, fmt.Errorf("listen as node %d on port %d: out of range", node, port)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, net.ErrClosed
	}
	for len(n.nodes) <= node {
		e := &endpoint{index: len(n.nodes)}
		if n.cfg.Access != nil {
			e.access = n.cfg.Access(e.index)
		}
		if e.access.Queue == 0 {
			e.access.Queue = defaultQueue
		}
		if n.cfg.NAT != nil {
			e.router = newRouter(n.cfg.NAT(e.index))
		}
		n.nodes = append(n.nodes, e)
	}
	e := n.nodes[node]
	if e.sock != nil {
		return nil, fmt.Errorf("listen as node %d: it has a socket already", node)
	}
	addr := &net.UDPAddr{IP: IP(node), Port: port}
	e.sock, e.outside, e.paused = newSocket(n, e, addr), addr, false
	if e.router != nil {
		e.outside = &net.UDPAddr{IP: addr.IP, Port: (port + behindPort) % (1 << 16)}
		e.router = newRouter(e.router.kind)
	}
	return e.sock, nil
}

// send is called by sockets.
func (n *Net) send(s *Socket, b []byte, to netip.AddrPort) {
	now := time.Since(n.began)
	n.mu.Lock()
	defer n.mu.Unlock()
	e := s.at
	if n.closed || e.sock != s {
		return // it is gone and does not know
	}
	e.Sent++
	e.SentBytes += uint64(len(b) + header)
	i := indexOf(to.Addr())
	from := e.outside
	if e.router != nil {
		from = e.router.out(e.outside, net.UDPAddrFromAddrPort(to))
	}
	if i < 0 || i >= len(n.nodes) || n.nodes[i].sock == nil || n.nodes[i].router == nil && n.nodes[i].outside.Port != int(to.Port()) {
		e.Gone++
		return
	}
	p := packets.Get().(*packet)
	p.n = copy(p.buf[:], b)
	p.from, p.to, p.port, p.sock = from, n.nodes[i], int(to.Port()), n.nodes[i].sock
	if e.paused {
		e.out = hold(e, e.out, p)
		return
	}
	n.leave(e, p, now)
	n.arm(now)
}

// leave sends a packet on its way; it needs the mutex, as all below.
func (n *Net) leave(e *endpoint, p *packet, now time.Duration) {
	l := n.link(e.index, p.to.index)
	p.link = l
	l.sent++
	l.Sent++
	l.SentBytes += uint64(p.n + header)
	switch {
	case l.cut || e.side != p.to.side:
		l.Cut++
		e.Cut++
	case l.loses(n.cfg.Seed):
		l.Lost++
		e.Lost++
	default:
		leaves, ok := pass(&e.upFree, now, p.n, e.access.Up, e.access.Queue)
		if !ok {
			l.Queue++
			e.Queue++
			break
		}
		if l.hits(n.cfg.Seed, forDuplicate, l.path.Duplicate) {
			l.Duplicated++
			e.Duplicated++
			twin := packets.Get().(*packet)
			*twin = *p
			n.put(twin, l.arrival(n.cfg.Seed, leaves))
		}
		n.put(p, l.arrival(n.cfg.Seed, leaves))
		return
	}
	p.free()
}

func (n *Net) link(from, to int) *link {
	key := linkKey(from, to)
	l := n.links[key]
	if l == nil {
		l = &link{key: key, shape: -1}
		n.links[key] = l
	}
	if l.shape != n.shape {
		l.path, l.shape, l.burst = n.path(from, to), n.shape, false
	}
	return l
}

// pass is when a line that is free at a moment has sent a packet; false if its
// queue is full.
func pass(free *time.Duration, now time.Duration, bytes int, rate float64, room int) (time.Duration, bool) {
	if rate <= 0 {
		return now, true
	}
	if *free = max(*free, now); *free-now > span(room, rate) {
		return 0, false
	}
	*free += span(bytes, rate)
	return *free, true
}

func (n *Net) put(p *packet, at time.Duration) {
	n.seq++
	p.at, p.seq = at, n.seq
	n.queue.push(p)
}

// arm sets the timer to the packet that comes first.
func (n *Net) arm(now time.Duration) {
	if len(n.queue) == 0 || n.due >= 0 && n.due <= n.queue[0].at {
		return
	}
	n.due = n.queue[0].at
	n.timer.Reset(n.due - now)
}

// deliver hands over what has arrived.
func (n *Net) deliver() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	now := time.Since(n.began)
	n.due = -1
	for len(n.queue) > 0 && n.queue[0].at <= now {
		n.arrive(n.queue.pop())
	}
	n.arm(now)
}

func (n *Net) arrive(p *packet) {
	e := p.to
	if e.sock != p.sock {
		p.link.Gone++
		e.Gone++
		p.free()
		return
	}
	if e.router != nil && !p.home && !e.router.in(e.outside, p.from, p.port) {
		p.link.Shut++
		e.Shut++
		p.free()
		return
	}
	if !p.home {
		// The way in is passed in the order of arrival, not of sending.
		at, ok := pass(&e.downFree, p.at, p.n, e.access.Down, e.access.Queue)
		if !ok {
			p.link.Queue++
			e.Queue++
			p.free()
			return
		}
		p.home = true
		if at > p.at {
			n.put(p, at)
			return
		}
	}
	if e.paused {
		e.in = hold(e, e.in, p)
		return
	}
	n.hand(p)
}

func (n *Net) hand(p *packet) {
	e, l, bytes := p.to, p.link, uint64(p.n+header)
	if !e.sock.take(p) {
		e.Overrun++
		l.Overrun++
		return
	}
	e.Received++
	e.ReceivedBytes += bytes
	l.Received++
	l.ReceivedBytes += bytes
}

// hold keeps a packet at a paused node.
func hold(e *endpoint, list []*packet, p *packet) []*packet {
	if len(list) >= maxHeld {
		e.Overrun++
		p.free()
		return list
	}
	return append(list, p)
}
