package sim

import (
	"fmt"

	"omx/node/catalog"
)

// checker holds the run to what must be true of it, counting by itself: it does
// not ask the engine what the engine believes.
type checker struct {
	in      []int // requests in each node
	entries []int8
	exits   []int8
	ends    []int8
	found   []string
	more    int
	now     catalog.Micros
}

func newChecker(f *fleet, requests int) *checker {
	return &checker{in: make([]int, len(f.nodes)), entries: make([]int8, requests), exits: make([]int8, requests), ends: make([]int8, requests)}
}

func (c *checker) violation(format string, args ...any) {
	if len(c.found) == maxReasons {
		c.more++
		return
	}
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

func (c *checker) entered(n *node, req int32) {
	c.in[n.index]++
	if c.entries[req]++; c.entries[req] > 1 {
		c.violation("request %d was accepted %d times", req, c.entries[req])
	}
}

func (c *checker) left(n *node, req int32, at catalog.Micros) {
	c.in[n.index]--
	if c.exits[req]++; c.exits[req] > 1 || c.entries[req] == 0 {
		c.violation("request %d left node %d at %d µs, for the %d. time after %d entries", req, n.index, at, c.exits[req], c.entries[req])
	}
}

func (c *checker) ended(req int32, before end) {
	if c.ends[req]++; c.ends[req] > 1 || before != open {
		c.violation("request %d ended %d times", req, c.ends[req])
	}
}

// engine looks at a node whose engine has just been advanced.
func (c *checker) engine(n *node, now catalog.Micros) {
	e := n.engine
	switch running, waiting := e.running(), len(e.waiting); {
	case now < c.now:
		c.violation("time went back from %d to %d µs", c.now, now)
	case running > e.slots:
		c.violation("node %d runs %d requests in %d slots", n.index, running, e.slots)
	case waiting > e.bound:
		c.violation("node %d has %d requests waiting, its bound is %d", n.index, waiting, e.bound)
	case waiting > 0 && running < e.slots:
		c.violation("node %d lets %d requests wait beside a free slot", n.index, waiting)
	case running+waiting != c.in[n.index]:
		c.violation("node %d has %d requests, it was given %d more than it gave back", n.index, running+waiting, c.in[n.index])
	}
	c.now = now
}

// end looks at the whole run after the last request.
func (c *checker) end(w *world) {
	for i := range w.flights {
		f, q, req := &w.flights[i], &w.requests[i], int32(i)
		switch {
		case c.ends[i] != 1:
			c.violation("request %d ended %d times", req, c.ends[i])
		case c.entries[i] != c.exits[i]:
			c.violation("request %d was accepted %d times and left %d times", req, c.entries[i], c.exits[i])
		case (f.end == served) != (c.exits[i] == 1):
			c.violation("request %d ended as %d after %d answers", req, f.end, c.exits[i])
		case f.end == served && !(q.at < f.first && f.first <= f.done):
			c.violation("request %d of %d µs had its first token at %d and its last at %d", req, q.at, f.first, f.done)
		}
	}
	for _, n := range w.fleet.nodes {
		if c.in[n.index] != 0 || n.engine.running()+len(n.engine.waiting) != 0 {
			c.violation("node %d still has %d requests", n.index, c.in[n.index])
		}
		for _, h := range w.fleet.models {
			for _, o := range n.table.Snapshot().Holders(h) {
				if o.Seen.InFlight() != 0 {
					c.violation("node %d still counts %d requests at %s", n.index, o.Seen.InFlight(), o.ID)
				}
			}
		}
	}
}

func (c *checker) list() []string {
	if c.more > 0 {
		return append(c.found, fmt.Sprintf("and %d more", c.more))
	}
	return c.found
}
