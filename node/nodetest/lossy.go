package nodetest

import (
	"bytes"
	"net"
	"time"
)

// Lossy returns a way to listen for UDP that loses packets to and from peers for as
// long as lost says so, as a pulled cable does: no goodbye reaches the other side.
// What is sent takes lag, 0 for none.
func Lossy(lag time.Duration, lost func(peer net.Addr) bool) func(network string, a *net.UDPAddr) (net.PacketConn, error) {
	return func(network string, a *net.UDPAddr) (net.PacketConn, error) {
		c, err := net.ListenUDP(network, a)
		return lossy{c, lost, lag}, err
	}
}

type lossy struct {
	net.PacketConn
	lost func(peer net.Addr) bool
	lag  time.Duration
}

func (c lossy) WriteTo(b []byte, to net.Addr) (int, error) {
	if c.lost(to) {
		return len(b), nil
	}
	if c.lag > 0 {
		sent := bytes.Clone(b)
		time.AfterFunc(c.lag, func() { _, _ = c.PacketConn.WriteTo(sent, to) })
		return len(b), nil
	}
	return c.PacketConn.WriteTo(b, to)
}

func (c lossy) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(b)
		if err != nil || !c.lost(from) {
			return n, from, err
		}
	}
}
