package vnet

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// Socket is one node's, a net.PacketConn.
type Socket struct {
	net  *Net
	at   *endpoint
	addr *net.UDPAddr

	mu       sync.Mutex
	more     sync.Cond // readers wait; a bubble's time goes on meanwhile
	inbox    []*packet // from head on
	head     int
	closed   bool
	deadline time.Time
	wake     *time.Timer // at the deadline
}

var _ net.PacketConn = (*Socket)(nil)

func newSocket(n *Net, e *endpoint, addr *net.UDPAddr) *Socket {
	s := &Socket{net: n, at: e, addr: addr}
	s.more.L = &s.mu
	return s
}

// take puts a packet into the inbox; false if that is full.
func (s *Socket) take(p *packet) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.inbox)-s.head >= maxInbox {
		p.free()
		return false
	}
	s.inbox = append(s.inbox, p)
	s.more.Signal()
	return true
}

// ReadFrom implements net.PacketConn.
func (s *Socket) ReadFrom(b []byte) (int, net.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.closed:
			return 0, nil, net.ErrClosed
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return 0, nil, os.ErrDeadlineExceeded
		case s.head < len(s.inbox):
			p := s.inbox[s.head]
			s.inbox[s.head] = nil
			if s.head++; s.head == len(s.inbox) {
				s.inbox, s.head = s.inbox[:0], 0
			}
			n, from := copy(b, p.buf[:p.n]), p.from
			p.free()
			return n, from, nil
		}
		s.more.Wait()
	}
}

// WriteTo implements net.PacketConn. It does not wait, and tells of no loss.
func (s *Socket) WriteTo(b []byte, to net.Addr) (int, error) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return 0, net.ErrClosed
	}
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, &net.AddrError{Err: "not an address of UDP", Addr: to.String()}
	}
	if len(b) > MaxPacket {
		return 0, syscall.EMSGSIZE
	}
	ap := u.AddrPort()
	if a := ap.Addr(); !a.Is4() && !a.Is4In6() {
		return 0, &net.AddrError{Err: "not an address of this network", Addr: to.String()}
	}
	s.net.send(s, b, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
	return len(b), nil
}

// Close implements net.PacketConn.
func (s *Socket) Close() error {
	s.net.mu.Lock()
	if s.at.sock == s {
		s.at.leave()
	}
	s.net.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, p := range s.inbox[s.head:] {
		p.free()
	}
	s.inbox, s.head = nil, 0
	if s.wake != nil {
		s.wake.Stop()
	}
	s.more.Broadcast()
	return nil
}

// LocalAddr implements net.PacketConn: the address it was opened with, whatever
// others see.
func (s *Socket) LocalAddr() net.Addr { return s.addr }

// SetDeadline implements net.PacketConn.
func (s *Socket) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// SetWriteDeadline implements net.PacketConn; writes do not wait.
func (s *Socket) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.PacketConn.
func (s *Socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	if s.wake != nil {
		s.wake.Stop()
		s.wake = nil
	}
	if d := time.Until(t); !t.IsZero() && d > 0 && !s.closed {
		s.wake = time.AfterFunc(d, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.more.Broadcast()
		})
	}
	s.more.Broadcast()
	return nil
}

// SetReadBuffer and SetWriteBuffer keep QUIC from asking the system.
func (s *Socket) SetReadBuffer(int) error  { return nil }
func (s *Socket) SetWriteBuffer(int) error { return nil }
