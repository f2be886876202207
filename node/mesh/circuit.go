package mesh

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	tpt "github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/quic-go/quic-go"
)

// circuits is the transport for addresses of the form /p2p/RELAY/p2p-circuit: QUIC
// whose packets a third member passes on. It is there once a relay is known.
type circuits struct {
	m     *Mesh
	inner tpt.Transport // QUIC over sock
	conns *quicreuse.ConnManager
	quic  *quic.Transport
	sock  *circuitSocket

	mu   sync.Mutex
	ways map[uint64]*session // the relay by which a node is reached
}

var (
	circuitSelf = ma.StringCast("/p2p-circuit")

	errNoRelay = errors.New("the relay is not connected, or is none")
)

// circuitBy is the address of a node behind a relay.
func circuitBy(relay peer.ID) ma.Multiaddr {
	c, err := ma.NewComponent("p2p", relay.String())
	if err != nil {
		return circuitSelf
	}
	return c.Multiaddr().Encapsulate(circuitSelf)
}

func isCircuit(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}

// openCircuits makes the transport, once.
func (m *Mesh) openCircuits() (*circuits, error) {
	m.circuitsMu.Lock()
	defer m.circuitsMu.Unlock()
	if m.circuits != nil {
		return m.circuits, nil
	}
	if m.ctx.Err() != nil {
		return nil, ErrClosed
	}
	c := &circuits{m: m, ways: map[uint64]*session{}}
	c.sock = newCircuitSocket(c.send)
	c.quic = &quic.Transport{Conn: c.sock}
	var err error
	if c.conns, err = m.host.newConnManager(quicreuse.OverrideListenUDP(func(string, *net.UDPAddr) (net.PacketConn, error) {
		return nil, errNoRelay // the one socket that there is was lent
	}), quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return fixedSource(net.IPv6unspecified), nil })); err != nil {
		return nil, err
	}
	_, err = c.conns.LendTransport("udp6", smallPackets{c.quic}, c.sock)
	if err == nil {
		c.inner, err = m.host.newTransport(c.conns, m.certified())
	}
	if err == nil {
		err = m.host.swarm.AddTransport(c)
	}
	if err == nil {
		err = m.host.swarm.Listen(circuitSelf)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen behind relays: %w", err), c.close())
	}
	m.circuits = c
	return c, nil
}

func (c *circuits) close() error {
	return errors.Join(c.conns.Close(), c.quic.Close(), c.sock.Close())
}

// smallPackets is a QUIC transport whose packets fit into those of another QUIC
// connection from the start.
type smallPackets struct{ *quic.Transport }

func small(conf *quic.Config) *quic.Config {
	conf = conf.Clone()
	conf.InitialPacketSize = circuitPacket
	return conf
}

// Listen implements quicreuse.QUICTransport.
func (s smallPackets) Listen(t *tls.Config, conf *quic.Config) (quicreuse.QUICListener, error) {
	return s.Transport.Listen(t, small(conf))
}

// Dial implements quicreuse.QUICTransport.
func (s smallPackets) Dial(ctx context.Context, a net.Addr, t *tls.Config, conf *quic.Config) (*quic.Conn, error) {
	return s.Transport.Dial(ctx, a, t, small(conf))
}

// send has a packet passed on. Without a way there is no connection either.
func (c *circuits) send(to uint64, packet []byte) error {
	c.mu.Lock()
	by := c.ways[to]
	c.mu.Unlock()
	if by == nil {
		return errNoRelay
	}
	if len(packet) > maxPassedPacket-passedHead {
		return nil
	}
	var buf [maxPassedPacket]byte
	err := by.link.datagram(appendPassed(buf[:0], passOn, to, packet))
	if err != nil {
		c.mu.Lock()
		if c.ways[to] == by {
			delete(c.ways, to)
		}
		c.mu.Unlock()
	}
	return err
}

// received takes a packet that a relay has passed on. The answer goes the same way.
func (c *circuits) received(by *session, from uint64, packet []byte) bool {
	return c.through(from, by) && c.sock.take(from, packet)
}

// through notes by which relay a node is reached.
func (c *circuits) through(handle uint64, by *session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ways[handle] != by && len(c.ways) >= maxWays {
		for h, s := range c.ways {
			if s.link.Closed() {
				delete(c.ways, h)
			}
		}
		if len(c.ways) >= maxWays {
			return false
		}
	}
	c.ways[handle] = by
	return true
}

// by is the relay that an address names.
func (c *circuits) by(a ma.Multiaddr) (*session, error) {
	text, err := a.ValueForProtocol(ma.P_P2P)
	if err != nil {
		return nil, errNoRelay
	}
	id, err := peer.Decode(text)
	if err != nil {
		return nil, errNoRelay
	}
	c.m.mu.Lock()
	s := c.m.sessions[id]
	c.m.mu.Unlock()
	if s == nil || s.link.relayed || !s.relay.offers.Load() {
		return nil, errNoRelay
	}
	return s, nil
}

// Dial implements transport.Transport.
func (c *circuits) Dial(ctx context.Context, a ma.Multiaddr, p peer.ID) (tpt.CapableConn, error) {
	by, err := c.by(a)
	to := c.m.peers.get(p)
	if err == nil && to == nil {
		err = errNotListed
	}
	if err != nil {
		return nil, err
	}
	handle := to.id.Handle()
	if !c.through(handle, by) {
		return nil, errors.New("too many nodes are reached through relays")
	}
	inner, err := quicreuse.ToQuicMultiaddr(circuitAddr(handle), quic.Version1)
	if err != nil {
		return nil, err
	}
	conn, err := c.inner.Dial(ctx, inner, p)
	if err != nil {
		return nil, err
	}
	return &circuitConn{conn, c, circuitBy(by.peer.peer)}, nil
}

// CanDial implements transport.Transport.
func (c *circuits) CanDial(a ma.Multiaddr) bool { return isCircuit(a) }

// Protocols implements transport.Transport.
func (c *circuits) Protocols() []int { return []int{ma.P_CIRCUIT} }

// Proxy implements transport.Transport: the swarm prefers what is direct.
func (c *circuits) Proxy() bool { return true }

// SkipResolve implements transport.SkipResolver: there is no name to look up.
func (c *circuits) SkipResolve(context.Context, ma.Multiaddr) bool { return true }

// Listen implements transport.Transport.
func (c *circuits) Listen(ma.Multiaddr) (tpt.Listener, error) {
	a, err := quicreuse.ToQuicMultiaddr(c.sock.LocalAddr(), quic.Version1)
	if err != nil {
		return nil, err
	}
	l, err := c.inner.Listen(a)
	if err != nil {
		return nil, err
	}
	return &circuitListener{l, c}, nil
}

type circuitListener struct {
	tpt.Listener
	c *circuits
}

// Accept implements transport.Listener.
func (l *circuitListener) Accept() (tpt.CapableConn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		// Nobody gets in by lending a member's way to somebody else.
		p := l.c.m.peers.get(conn.RemotePeer())
		var q *quic.Conn
		if p == nil || !conn.As(&q) || q.RemoteAddr().String() != circuitAddr(p.id.Handle()).String() {
			l.c.m.refused.count(otherNode)
			_ = conn.Close()
			continue
		}
		l.c.mu.Lock()
		by := l.c.ways[p.id.Handle()]
		l.c.mu.Unlock()
		if by == nil {
			_ = conn.Close()
			continue
		}
		return &circuitConn{conn, l.c, circuitBy(by.peer.peer)}, nil
	}
}

// Multiaddr implements transport.Listener.
func (l *circuitListener) Multiaddr() ma.Multiaddr { return circuitSelf }

// circuitConn is a connection through a relay.
type circuitConn struct {
	tpt.CapableConn
	c      *circuits
	remote ma.Multiaddr
}

// Transport implements transport.CapableConn.
func (c *circuitConn) Transport() tpt.Transport { return c.c }

// RemoteMultiaddr implements network.ConnMultiaddrs: the relay that it began with.
func (c *circuitConn) RemoteMultiaddr() ma.Multiaddr { return c.remote }

// LocalMultiaddr implements network.ConnMultiaddrs.
func (c *circuitConn) LocalMultiaddr() ma.Multiaddr { return circuitSelf }

// directFirst dials through relays only when a direct dial has had its time.
func directFirst(addrs []ma.Multiaddr) []network.AddrDelay {
	var direct, circuits []ma.Multiaddr
	for _, a := range addrs {
		if isCircuit(a) {
			circuits = append(circuits, a)
		} else {
			direct = append(direct, a)
		}
	}
	list := swarm.DefaultDialRanker(direct)
	wait := time.Duration(0)
	if len(direct) > 0 {
		wait = relayAfter
	}
	for i, a := range circuits {
		list = append(list, network.AddrDelay{Addr: a, Delay: wait + time.Duration(i)*relayAfter})
	}
	return list
}
