package vnet

import (
	"net"
	"time"
)

// with calls f for a node that has been there.
func (n *Net) with(node int, f func(e *endpoint)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if node >= 0 && node < len(n.nodes) {
		f(n.nodes[node])
	}
}

// Shape changes how packets go from now on; what is on its way goes as before.
func (n *Net) Shape(path func(from, to int) Path) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.path = path
	n.shape++
}

// Split cuts nodes off from all others, both ways; they reach one another.
func (n *Net) Split(nodes ...int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	side := 0
	for _, e := range n.nodes {
		side = max(side, e.side+1)
	}
	for _, i := range nodes {
		if i >= 0 && i < len(n.nodes) {
			n.nodes[i].side = side
		}
	}
}

// Cut loses all that goes from one node to another; the other way is left as it
// is.
func (n *Net) Cut(from, to int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link(from, to).cut = true
}

// Heal ends every Split and Cut.
func (n *Net) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.nodes {
		e.side = 0
	}
	for _, l := range n.links {
		l.cut = false
	}
}

// Kill has a node vanish without a word: its socket sends nothing and gets
// nothing any more, and another one may be opened in its place.
func (n *Net) Kill(node int) { n.with(node, (*endpoint).leave) }

// leave needs the network's mutex.
func (e *endpoint) leave() {
	e.sock, e.in, e.out, e.paused = nil, nil, nil, false
}

// Pause holds what a node sends and what is sent to it, as if its machine had
// stopped; its own clock goes on. The end of what is held is lost if it is much.
func (n *Net) Pause(node int) {
	n.with(node, func(e *endpoint) { e.paused = e.sock != nil })
}

// Resume lets out what Pause has held.
func (n *Net) Resume(node int) {
	n.with(node, func(e *endpoint) {
		in, out := e.in, e.out
		e.in, e.out, e.paused = nil, nil, false
		for _, p := range in {
			n.hand(p)
		}
		now := time.Since(n.began)
		for _, p := range out {
			n.leave(e, p, now)
		}
		n.arm(now)
	})
}

// Rebind gives a node another address in the eyes of the others, as a router does
// that has forgotten a mapping: nothing sent to the one before arrives, and the
// node itself does not know. A new socket has the old address again.
func (n *Net) Rebind(node int) {
	n.with(node, func(e *endpoint) {
		if e.outside == nil {
			return
		}
		port := e.outside.Port + 1
		if port > 1<<16-1 {
			port = 1024
		}
		e.outside = &net.UDPAddr{IP: e.outside.IP, Port: port}
		if e.router != nil {
			e.router = newRouter(e.router.kind)
		}
	})
}
