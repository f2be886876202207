package vnet

import "net"

// NAT is what the router before a node does.
type NAT uint8

const (
	// Open lets everything in.
	Open NAT = iota
	// Cone has one outside address for the node, whoever it sends to, and lets in who
	// was sent to before: RFC 4787's endpoint-independent mapping with address and
	// port-dependent filtering, which most routers do.
	Cone
	// Symmetric has another outside port for each one that is sent to, so that nobody
	// can know the port that would be his.
	Symmetric
)

// behindPort is added to the port of a node behind a router, so that it is not known
// outside by the port that it knows itself.
const behindPort = 20000

// router is what one keeps in mind. It forgets nothing: QUIC's keep-alives are there
// so that a real one does not either.
type router struct {
	kind  NAT
	ports map[address]int // Symmetric: the outside port for each destination
	known map[address]bool
	next  int
}

type address struct {
	ip   [4]byte
	port int
}

func addressOf(u *net.UDPAddr) address { return address{[4]byte(u.IP.To4()), u.Port} }

func newRouter(kind NAT) *router {
	if kind == Open {
		return nil
	}
	return &router{kind: kind, ports: map[address]int{}, known: map[address]bool{}}
}

// out is the outside address for what goes to a destination.
func (r *router) out(outside *net.UDPAddr, to *net.UDPAddr) *net.UDPAddr {
	a := addressOf(to)
	r.known[a] = true
	if r.kind == Cone {
		return outside
	}
	if r.ports[a] == 0 {
		r.next++
		r.ports[a] = outside.Port + r.next
	}
	return &net.UDPAddr{IP: outside.IP, Port: r.ports[a]}
}

// in tells whether a packet from somebody to one of the outside ports is let in.
func (r *router) in(outside, from *net.UDPAddr, port int) bool {
	a := addressOf(from)
	if r.kind == Cone {
		return port == outside.Port && r.known[a]
	}
	return port != 0 && r.ports[a] == port
}
