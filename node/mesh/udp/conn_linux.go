package udp

import (
	"errors"
	"net"
	"sync"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// Listen opens a socket as net.ListenUDP does. Where the kernel can join datagrams,
// which is since Linux 5.0, it receives them joined; otherwise it is a *net.UDPConn.
func Listen(network string, laddr *net.UDPAddr) (net.PacketConn, error) {
	return listen(network, laddr, join)
}

func listen(network string, laddr *net.UDPAddr, join func(syscall.Conn) error) (net.PacketConn, error) {
	c, err := net.ListenUDP(network, laddr)
	if err != nil {
		return nil, err
	}
	if join(c) != nil {
		return c, nil // as good, but for the processor time
	}
	return &conn{socket: c, udp: c, senders: senders{known: map[sender]*net.UDPAddr{}}}, nil
}

// join has the kernel join the datagrams that a socket receives.
func join(c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	})
	return errors.Join(err, refused)
}

// socket is what quic-go asks of a socket. Of a *net.UDPConn's ways to read, those
// that are not here would give joined datagrams as one.
type socket interface {
	net.PacketConn
	syscall.Conn
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
	WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error)
}

// conn is a socket that receives joined datagrams. What came with one read is given
// out without a look at deadlines, and even after Close, as from any buffer.
type conn struct {
	socket
	udp *net.UDPConn // the same, to read from

	mu      sync.Mutex // held while reading, also while there is nothing to read
	train   train
	senders senders
	data    [maxTrain]byte
	control [maxControl]byte
}

// ReadBatch reads up to len(ms) datagrams: it waits for the first, and gives with it
// what the kernel had joined to it. quic-go looks for this method. A datagram larger
// than its buffers is cut, with MSG_TRUNC in its flags; control messages that do not
// fit are left out, with MSG_CTRUNC. Addresses are shared: they are not to be
// changed. There are no flags to call it with.
func (c *conn) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	if flags != 0 {
		return 0, syscall.EINVAL
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range ms {
		if i == 0 && c.train.empty() {
			if err := c.receive(); err != nil {
				return 0, err
			}
		}
		c.train.next(&ms[i])
		if c.train.empty() {
			return i + 1, nil
		}
	}
	return len(ms), nil
}

func (c *conn) receive() error {
	n, controls, flags, from, err := c.udp.ReadMsgUDPAddrPort(c.data[:], c.control[:])
	if err != nil {
		return err
	}
	c.train = newTrain(c.data[:n], c.control[:controls], flags, c.senders.address(from))
	return nil
}

// ReadMsgUDP reads one datagram.
func (c *conn) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	m := []ipv4.Message{{Buffers: [][]byte{b}, OOB: oob}}
	if _, err := c.ReadBatch(m, 0); err != nil {
		return 0, 0, 0, nil, err
	}
	return m[0].N, m[0].NN, m[0].Flags, m[0].Addr.(*net.UDPAddr), nil
}

// ReadFrom reads one datagram.
func (c *conn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, _, _, addr, err := c.ReadMsgUDP(b, nil)
	if err != nil {
		return 0, nil, err // and not an address that is a nil pointer
	}
	return n, addr, nil
}
