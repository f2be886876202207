package mesh

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Hole punching. Two nodes behind routers that talk through a relay tell each other
// where they are seen from outside. Then one dials, and the other sends packets that
// mean nothing the other way: each router takes what comes from the far side for the
// answer to what has gone there. The steps are those of libp2p's DCUtR, over the
// control stream that is there in any case.
const (
	punchAsk    = 0
	punchAnswer = 1
)

func appendPunch(b []byte, step byte, addrs []ma.Multiaddr) []byte {
	body := []byte{step}
	for _, a := range addrs {
		body = appendEntry(body, a.Bytes())
	}
	return appendFrame(b, kindPunch, body)
}

// parsePunch reads addresses of the internet that can be dialled; others are left
// out.
func parsePunch(b []byte) (step byte, addrs []ma.Multiaddr, err error) {
	if len(b) < 1 || b[0] > punchAnswer {
		return 0, nil, fmt.Errorf("%w: a punch of %d bytes", ErrProtocol, len(b))
	}
	list, err := splitList(b[1:])
	if err != nil || len(list) > maxAddrs {
		return 0, nil, fmt.Errorf("%w: a punch with %d addresses", ErrProtocol, len(list))
	}
	for _, raw := range list {
		a, err := ma.NewMultiaddrBytes(raw)
		if err != nil {
			return 0, nil, fmt.Errorf("%w: a punch: %v", ErrProtocol, err)
		}
		if _, err := udpOf(a); err == nil {
			addrs = append(addrs, a)
		}
	}
	return b[0], addrs, nil
}

// udpOf is where an address of QUIC is.
func udpOf(a ma.Multiaddr) (*net.UDPAddr, error) {
	if _, err := a.ValueForProtocol(ma.P_QUIC_V1); err != nil {
		return nil, err
	}
	first, _ := ma.SplitFunc(a, func(c ma.Component) bool { return c.Protocol().Code == ma.P_QUIC_V1 })
	addr, err := manet.ToNetAddr(first)
	if err != nil {
		return nil, err
	}
	u, ok := addr.(*net.UDPAddr)
	if !ok || u.IP.IsUnspecified() || u.IP.IsMulticast() || u.Port == 0 {
		return nil, fmt.Errorf("%s is no address of a node", a)
	}
	return u, nil
}

// seenFrom are the addresses at which others may reach this node: as relays see
// them, and those that it knows of.
func (m *Mesh) seenFrom() (list []ma.Multiaddr) {
	for _, s := range m.relays() {
		// One on the same local network sees another address than one outside.
		if a := s.relay.observed.Load(); a != nil && len(list) < maxAddrs/2 && !ma.Contains(list, *a) {
			list = append(list, *a)
		}
	}
	for _, a := range m.reachable() {
		if !isCircuit(a) && len(list) < maxAddrs && !ma.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// straighten tries to put a direct connection in the place of one through a relay,
// for as long as that lasts. Of the two ends, the one that has dialled does.
func (m *Mesh) straighten(s *session) {
	ended := s.link.ended()
	for wait := punchEvery; ; wait = min(2*wait, punchMost) {
		if !s.current() || m.isLeaving() {
			return
		}
		s.control(appendPunch(nil, punchAsk, m.seenFrom()))
		timer := time.NewTimer(punchTime)
		select {
		case addrs := <-s.punched:
			if err := m.dialDirect(s.peer, addrs); err == nil {
				timer.Stop()
				return
			} else {
				m.log.Debug("still through a relay", "peer", s.peer.id, "why", err)
			}
		case <-timer.C:
		case <-ended.Done():
		}
		timer.Stop()
		if !sleep(ended, wait) {
			return
		}
	}
}

func (s *session) current() bool {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.m.sessions[s.peer.peer] == s
}

// dialDirect dials a peer past the relay; the session that comes of it takes the
// place of the one there is.
func (m *Mesh) dialDirect(p *listed, addrs []ma.Multiaddr) error {
	ctx, cancel := context.WithTimeout(m.ctx, punchTime)
	defer cancel()
	const why = "past the relay"
	ctx = network.WithForceDirectDial(network.WithSimultaneousConnect(ctx, true, why), why)
	m.setAddrs(p)
	m.host.swarm.Peerstore().AddAddrs(p.peer, addrs, peerstore.TempAddrTTL)
	conn, err := m.host.swarm.DialPeer(ctx, p.peer)
	if err != nil {
		return err
	}
	if conn.Stat().Direction != network.DirOutbound {
		return nil // the peer has come through itself
	}
	_, err = m.converse(ctx, p, conn)
	return err
}

// punch takes a peer's word of where it is.
func (s *session) punch(payload []byte) error {
	step, addrs, err := parsePunch(payload)
	if err != nil {
		return err
	}
	if !s.link.relayed {
		return nil // it has become direct meanwhile
	}
	if step == punchAnswer {
		select {
		case s.punched <- addrs:
		default: // nobody waits for it any more
		}
		return nil
	}
	if !s.punching.CompareAndSwap(false, true) {
		return nil // asked again too soon
	}
	s.control(appendPunch(nil, punchAnswer, s.m.seenFrom()))
	s.m.wg.Go(func() {
		defer s.punching.Store(false)
		s.m.knock(addrs)
	})
	return nil
}

// knock sends packets that mean nothing, from the socket that the mesh is reached at.
func (m *Mesh) knock(addrs []ma.Multiaddr) {
	for range knocks {
		for _, a := range addrs {
			u, err := udpOf(a)
			if err != nil {
				continue
			}
			family := "udp4"
			if u.IP.To4() == nil {
				family = "udp6"
			}
			if t, err := m.host.conns.TransportForDial(family, u); err == nil {
				_, _ = t.WriteTo([]byte{0}, u)
				t.DecreaseCount()
			}
		}
		if !sleep(m.ctx, knockEvery) {
			return
		}
	}
}

func cmpPeer(a, b peer.ID) int { return cmp.Compare(a, b) }
