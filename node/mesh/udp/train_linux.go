package udp

import (
	"encoding/binary"
	"net"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// train is the datagrams that one read has brought, less those that were given out:
// of one sender, and of one size but for the last, which may be shorter.
type train struct {
	data    []byte
	size    int    // of a datagram
	control []byte // control messages, which hold for each datagram
	flags   int    // of the read
	from    *net.UDPAddr
}

// newTrain uses the slices as they are, and changes control.
func newTrain(data, control []byte, flags int, from *net.UDPAddr) train {
	control, size := takeSize(control)
	if size <= 0 || size > len(data) {
		size = len(data) // nothing was joined
	}
	return train{data: data, size: size, control: control, flags: flags, from: from}
}

func (t *train) empty() bool { return len(t.data) == 0 }

// next gives out the first datagram. A train that is empty from the start is one
// empty datagram.
func (t *train) next(m *ipv4.Message) {
	datagram := t.data[:min(t.size, len(t.data))]
	t.data = t.data[len(datagram):]
	m.Addr, m.Flags = t.from, 0
	m.N = 0
	for _, b := range m.Buffers {
		m.N += copy(b, datagram[m.N:])
	}
	if m.N < len(datagram) || t.empty() && t.flags&unix.MSG_TRUNC != 0 {
		m.Flags |= unix.MSG_TRUNC
	}
	m.NN = 0
	if len(t.control) <= len(m.OOB) { // half a message is a fault to who reads them
		m.NN = copy(m.OOB, t.control)
	}
	if m.NN < len(t.control) || t.flags&unix.MSG_CTRUNC != 0 {
		m.Flags |= unix.MSG_CTRUNC
	}
}

// takeSize takes the size of joined datagrams out of control messages, in place: to
// who reads a datagram it means nothing, and quic-go's room is for what quic-go has
// asked for. It is 0 if it is not there. What cannot be read is left out, with all
// that follows.
func takeSize(control []byte) (others []byte, size int) {
	others = control[:0]
	for len(control) >= unix.SizeofCmsghdr {
		h, body, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			break
		}
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO {
			if len(body) == 4 { // an int, whatever udp(7) says
				size = int(int32(binary.NativeEndian.Uint32(body)))
			}
		} else {
			others = append(others, control[:len(control)-len(rest)]...)
		}
		control = rest
	}
	return others, size
}
