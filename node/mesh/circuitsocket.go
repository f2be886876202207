package mesh

import (
	"encoding/binary"
	"net"
	"os"
	"sync"
	"time"
)

// circuitPort is the port of every circuit address; there is only one socket behind
// each.
const circuitPort = 1

// circuitPrefix is of the range for addresses that are nobody else's business, RFC
// 4193. Such an address never leaves this process.
var circuitPrefix = [8]byte{0xfd, 'o', 'm', 'x'}

// circuitAddr is a node's address in the network that relays make: its handle.
func circuitAddr(handle uint64) *net.UDPAddr {
	ip := make(net.IP, net.IPv6len)
	copy(ip, circuitPrefix[:])
	binary.BigEndian.PutUint64(ip[len(circuitPrefix):], handle)
	return &net.UDPAddr{IP: ip, Port: circuitPort}
}

// circuitHandle is whose address that is; false if it is none of that network.
func circuitHandle(a net.Addr) (uint64, bool) {
	u, ok := a.(*net.UDPAddr)
	if !ok || len(u.IP) != net.IPv6len || [8]byte(u.IP) != circuitPrefix {
		return 0, false
	}
	return binary.BigEndian.Uint64(u.IP[len(circuitPrefix):]), true
}

// circuitSocket is a net.PacketConn whose packets go through relays. QUIC runs over
// it from end to end, so a relay reads nothing and the handshake is the same as
// everywhere.
type circuitSocket struct {
	send func(to uint64, packet []byte) error

	mu       sync.Mutex
	more     sync.Cond // readers wait
	inbox    []circuitMessage
	closed   bool
	deadline time.Time
	timer    *time.Timer // at the deadline
}

type circuitMessage struct {
	from uint64
	data []byte
}

var _ net.PacketConn = (*circuitSocket)(nil)

func newCircuitSocket(send func(to uint64, packet []byte) error) *circuitSocket {
	s := &circuitSocket{send: send}
	s.more.L = &s.mu
	return s
}

// take puts a packet into the inbox, which keeps it; false if there is no room.
func (s *circuitSocket) take(from uint64, packet []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.inbox) >= maxCircuitInbox {
		return false
	}
	s.inbox = append(s.inbox, circuitMessage{from, packet})
	s.more.Signal()
	return true
}

// ReadFrom implements net.PacketConn.
func (s *circuitSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.closed:
			return 0, nil, net.ErrClosed
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return 0, nil, os.ErrDeadlineExceeded
		case len(s.inbox) > 0:
			p := s.inbox[0]
			n := copy(s.inbox, s.inbox[1:])
			s.inbox[n] = circuitMessage{}
			s.inbox = s.inbox[:n]
			return copy(b, p.data), circuitAddr(p.from), nil
		}
		s.more.Wait()
	}
}

// WriteTo implements net.PacketConn. A packet that is too long for the way, or for
// which there is no room on it, is lost like any other.
func (s *circuitSocket) WriteTo(b []byte, to net.Addr) (int, error) {
	handle, ok := circuitHandle(to)
	if !ok {
		return 0, &net.AddrError{Err: "not an address behind a relay", Addr: to.String()}
	}
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return 0, net.ErrClosed
	}
	if err := s.send(handle, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close implements net.PacketConn.
func (s *circuitSocket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.inbox = true, nil
	if s.timer != nil {
		s.timer.Stop()
	}
	s.more.Broadcast()
	return nil
}

// LocalAddr implements net.PacketConn: unspecified, as quicreuse wants it of a socket
// that it is lent.
func (s *circuitSocket) LocalAddr() net.Addr {
	return &net.UDPAddr{IP: net.IPv6unspecified, Port: circuitPort}
}

// SetDeadline implements net.PacketConn.
func (s *circuitSocket) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// SetWriteDeadline implements net.PacketConn; writes end with their connection.
func (s *circuitSocket) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.PacketConn.
func (s *circuitSocket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if d := time.Until(t); !t.IsZero() && d > 0 && !s.closed {
		s.timer = time.AfterFunc(d, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.more.Broadcast()
		})
	}
	s.more.Broadcast()
	return nil
}

// SetReadBuffer and SetWriteBuffer keep QUIC from asking the system.
func (s *circuitSocket) SetReadBuffer(int) error  { return nil }
func (s *circuitSocket) SetWriteBuffer(int) error { return nil }
