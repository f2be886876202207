package mesh

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"

	"omx/node/catalog"
)

// A relay passes packets on between members that cannot reach one another, as long
// as it has a direct connection with both. They travel as QUIC datagrams, one in
// each: what it is, whose it is, and the packet.
const (
	passOn     = 1 // to the relay: for whom
	passed     = 2 // from the relay: of whom
	passedHead = 9
)

func appendPassed(b []byte, what byte, node uint64, packet []byte) []byte {
	b = append(b, what)
	b = binary.BigEndian.AppendUint64(b, node)
	return append(b, packet...)
}

// parsePassed takes a datagram apart; false if it is none of these.
func parsePassed(b []byte) (what byte, node uint64, packet []byte, ok bool) {
	if len(b) <= passedHead || len(b) > maxPassedPacket || b[0] != passOn && b[0] != passed {
		return 0, 0, nil, false
	}
	return b[0], binary.BigEndian.Uint64(b[1:]), b[passedHead:], true
}

// relay is what a node does for others as a relay; the zero value does nothing.
type relay struct {
	ends    sync.Map // the session with each node, by its handle
	allow   *rate.Limiter
	passed  atomic.Uint64 // packets
	bytes   atomic.Uint64
	dropped atomic.Uint64 // no such node, no room, or too fast
}

// RelayStats is what this node has passed on for others, in packets and bytes, and
// how many packets it has not.
type RelayStats struct{ Packets, Bytes, Dropped uint64 }

// Relayed is what this node has passed on for others.
func (m *Mesh) Relayed() RelayStats {
	return RelayStats{m.relay.passed.Load(), m.relay.bytes.Load(), m.relay.dropped.Load()}
}

// relaySide is a session's part in relaying.
type relaySide struct {
	offers   atomic.Bool                  // the peer is a relay
	observed atomic.Pointer[ma.Multiaddr] // where it sees this node
	reading  atomic.Bool
	passes   atomic.Int64 // when a packet went by it last, in s since 1970
	out      chan []byte  // for the peer, at a relay
}

// passing says whether packets between others go by it.
func (r *relaySide) passing(now time.Time) bool {
	return now.Unix()-r.passes.Load() < passingFor
}

// datagram sends one; false if the connection is gone. One that is too long for the
// path is lost, as it would be on a path of the network.
func (l *link) datagram(b []byte) error {
	var q *quic.Conn
	if !l.conn.As(&q) {
		return errNoRelay
	}
	err := q.SendDatagram(b)
	if long := (*quic.DatagramTooLargeError)(nil); errors.As(err, &long) {
		return nil
	}
	return err
}

// startRelaying has a relay serve a peer, from when it is heard.
func (m *Mesh) startRelaying(s *session) {
	if !m.cfg.Relay || s.link.relayed {
		return
	}
	s.relay.out = make(chan []byte, maxPassed)
	m.relay.ends.Store(s.peer.id.Handle(), s)
	m.wg.Go(func() {
		defer m.relay.ends.CompareAndDelete(s.peer.id.Handle(), s)
		for ctx := s.link.ended(); ; {
			select {
			case b := <-s.relay.out:
				if s.link.datagram(b) != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	m.readDatagrams(s)
}

// ended is done when the connection is.
func (l *link) ended() context.Context {
	var q *quic.Conn
	if !l.conn.As(&q) {
		return closedContext
	}
	return q.Context()
}

var closedContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// readDatagrams takes what a relay has passed on, or has to, until the connection
// ends.
func (m *Mesh) readDatagrams(s *session) {
	var q *quic.Conn
	if !s.link.conn.As(&q) || !s.relay.reading.CompareAndSwap(false, true) {
		return
	}
	m.wg.Go(func() {
		for {
			b, err := q.ReceiveDatagram(q.Context())
			if err != nil {
				return
			}
			what, node, packet, ok := parsePassed(b)
			switch {
			case !ok:
				m.refused.count(unreadable)
			case what == passOn:
				m.passOn(s, node, b)
			case s.relay.offers.Load():
				s.relay.passes.Store(time.Now().Unix())
				if c := m.circuitsNow(); c != nil {
					c.received(s, node, packet)
				}
			}
		}
	})
}

// passOn sends a packet to whom it is for; b is its datagram, which is used again.
func (m *Mesh) passOn(from *session, to uint64, b []byte) {
	end, _ := m.relay.ends.Load(to)
	s, ok := end.(*session)
	if !ok || s == from || !m.admitted(from.peer) || !m.admitted(s.peer) || !m.relay.allow.AllowN(time.Now(), len(b)) {
		m.relay.dropped.Add(1)
		return
	}
	b[0] = passed
	binary.BigEndian.PutUint64(b[1:], from.peer.handle)
	select {
	case s.relay.out <- b:
		now := time.Now().Unix()
		from.relay.passes.Store(now)
		s.relay.passes.Store(now)
		m.relay.passed.Add(1)
		m.relay.bytes.Add(uint64(len(b)))
	default:
		m.relay.dropped.Add(1)
	}
}

// offer says that this node is a relay, and where it sees the peer.
func (s *session) offer() []byte {
	if s.link.relayed {
		return nil
	}
	return appendFrame(nil, kindRelay, s.link.conn.RemoteMultiaddr().Bytes())
}

// offered takes a relay's word.
func (m *Mesh) offered(s *session, payload []byte) error {
	a, err := ma.NewMultiaddrBytes(payload)
	if err != nil || len(payload) > maxAddrBytes {
		return fmt.Errorf("%w: a relay's word of %d bytes", ErrProtocol, len(payload))
	}
	if s.link.relayed {
		return nil
	}
	if _, err := m.openCircuits(); err != nil {
		m.log.Warn("relay not used", "peer", s.peer.id, "why", err)
		return nil
	}
	s.relay.observed.Store(&a)
	s.relay.offers.Store(true)
	m.readDatagrams(s)
	if m.members != nil {
		m.members.advertise()
	}
	return nil
}

// By is the relay through which a peer is connected; zero: it is directly, or not.
func (m *Mesh) By(id catalog.NodeID) (relay catalog.NodeID) {
	p := m.peers.node(id)
	if p == nil {
		return relay
	}
	s, c := m.sessionOf(p.peer), m.circuitsNow()
	if s == nil || !s.link.relayed || c == nil {
		return relay
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if by := c.ways[s.peer.handle]; by != nil {
		relay = by.peer.id
	}
	return relay
}

func (m *Mesh) circuitsNow() *circuits {
	m.circuitsMu.Lock()
	defer m.circuitsMu.Unlock()
	return m.circuits
}

// relays are the sessions with relays, in an order that stays.
func (m *Mesh) relays() (list []*session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		if s.relay.offers.Load() {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *session) int { return cmpPeer(a.peer.peer, b.peer.peer) })
	return list
}

// behind are the addresses at which relays pass on to this node.
func (m *Mesh) behind() (list []ma.Multiaddr) {
	for _, s := range m.relays() {
		if len(list) < maxRelays {
			list = append(list, circuitBy(s.peer.peer))
		}
	}
	return list
}
