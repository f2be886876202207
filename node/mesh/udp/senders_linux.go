package udp

import (
	"net"
	"net/netip"
)

type sender = netip.AddrPort

// senders remembers the addresses of those who send, so that a datagram makes none.
type senders struct {
	known map[sender]*net.UDPAddr
	last  sender
	addr  *net.UDPAddr // of the last
}

func (s *senders) address(from sender) *net.UDPAddr {
	if from == s.last && s.addr != nil {
		return s.addr
	}
	addr := s.known[from]
	if addr == nil {
		if len(s.known) >= maxSenders {
			clear(s.known)
		}
		addr = net.UDPAddrFromAddrPort(from)
		s.known[from] = addr
	}
	s.last, s.addr = from, addr
	return addr
}
