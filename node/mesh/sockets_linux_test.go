package mesh

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// quicSocket is what quic-go looks for in a socket; a *net.UDPConn lacks ReadBatch.
type quicSocket interface {
	quic.OOBCapablePacketConn
	SetWriteBuffer(int) error
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
}

// observed counts what comes in.
type observed struct {
	quicSocket
	marked, unmarked, most *atomic.Int64 // datagrams with and without ECN mark; in one batch
}

func (o observed) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	n, err := o.quicSocket.ReadBatch(ms, flags)
	o.most.Store(max(o.most.Load(), int64(n)))
	for _, m := range ms[:n] {
		controls, _ := unix.ParseSocketControlMessage(m.OOB[:m.NN])
		count := o.unmarked
		for _, c := range controls {
			if c.Header.Level == unix.IPPROTO_IP && c.Header.Type == unix.IP_TOS && c.Data[0]&3 != 0 {
				count = o.marked
			}
		}
		count.Add(1)
	}
	return n, err
}

// Over the sockets that a node opens, QUIC sends with GSO, receives what was joined,
// and goes on with ECN, which it gives up after ten datagrams whose marks nobody
// reports.
func TestSockets(t *testing.T) {
	var marked, unmarked, most atomic.Int64
	listen := func(network string, a *net.UDPAddr) (net.PacketConn, error) {
		c, err := new(Config).listenUDP()(network, a)
		if err != nil {
			return nil, err
		}
		s, ok := c.(quicSocket)
		if !ok {
			return c, nil // this kernel does not join datagrams
		}
		return observed{s, &marked, &unmarked, &most}, nil
	}
	ka, kb := newKey(t), newKey(t)
	b := startPeer(t, Config{Key: kb, Silence: 20 * time.Second, ListenUDP: listen, Peers: []string{"/p2p/" + idOf(t, ka).String()}})
	a := startPeer(t, Config{Key: ka, Silence: 20 * time.Second, Peers: b.Addrs()})
	a.await(t, "b is up", func() bool { return a.up[b.ID()] })
	if _, err := ask(t.Context(), a.Mesh, b.ID(), strings.Repeat("w", MaxFrame/2)); err != nil {
		t.Fatal(err)
	}
	conns := a.host.swarm.ConnsToPeer(b.peer)
	var c *quic.Conn
	if len(conns) == 0 || !conns[0].As(&c) || !c.ConnectionState().GSO {
		t.Errorf("%d connections, and not one that sends with GSO", len(conns))
	}
	if marked.Load()+unmarked.Load() == 0 {
		t.Skip("this kernel does not join datagrams")
	}
	for range 20 {
		if _, err := ask(t.Context(), a.Mesh, b.ID(), strings.Repeat("w", MaxFrame/2)); err != nil {
			t.Fatal(err)
		}
	}
	if marked.Load() < 100 || unmarked.Load() > marked.Load() {
		t.Errorf("%d datagrams with an ECN mark, %d without", marked.Load(), unmarked.Load())
	}
	if most.Load() < 2 {
		t.Errorf("%d datagram at a time", most.Load())
	}
}
