package vnet

import (
	"net"
	"sync"
	"time"
)

// packet is one on its way.
type packet struct {
	at   time.Duration // since the network began
	seq  uint64        // which of several at one moment is first
	from *net.UDPAddr
	to   *endpoint
	port int     // of the receiver's outside address
	sock *Socket // the one it was sent to: not one that came after it
	link *link
	home bool // it has passed the receiver's access
	n    int
	buf  [MaxPacket]byte
}

var packets = sync.Pool{New: func() any { return new(packet) }}

func (p *packet) free() {
	p.from, p.to, p.sock, p.link, p.home = nil, nil, nil, nil, false
	packets.Put(p)
}

// queue is a binary heap, the packet that arrives next in front.
type queue []*packet

func (q queue) before(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].seq < q[j].seq
}

func (q *queue) push(p *packet) {
	*q = append(*q, p)
	h := *q
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.before(i, up) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (q *queue) pop() *packet {
	h := *q
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], nil
	h = h[:last]
	*q = h
	for i := 0; ; {
		least := i
		for _, k := range [2]int{2*i + 1, 2*i + 2} {
			if k < len(h) && h.before(k, least) {
				least = k
			}
		}
		if least == i {
			return first
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
