package vnet

// Counters are of a node or of a link, one direction. Bytes are as on a wire,
// headers included. Of a node, what is lost is counted where it was sent, but for
// Overrun, Shut and what its own access lost on the way in.
type Counters struct {
	Sent, SentBytes         uint64
	Received, ReceivedBytes uint64
	Duplicated              uint64
	Lost                    uint64 // by the path
	Cut                     uint64 // by a cut between the two
	Queue                   uint64 // by a full queue of an access
	Gone                    uint64 // nobody was at that address
	Shut                    uint64 // a router did not let it in
	Overrun                 uint64 // nobody read in time
}

func (c *Counters) add(o *Counters) {
	c.Sent += o.Sent
	c.SentBytes += o.SentBytes
	c.Received += o.Received
	c.ReceivedBytes += o.ReceivedBytes
	c.Duplicated += o.Duplicated
	c.Lost += o.Lost
	c.Cut += o.Cut
	c.Queue += o.Queue
	c.Gone += o.Gone
	c.Shut += o.Shut
	c.Overrun += o.Overrun
}

// Of returns what a node has sent, and what it has received.
func (n *Net) Of(node int) Counters {
	n.mu.Lock()
	defer n.mu.Unlock()
	if node < 0 || node >= len(n.nodes) {
		return Counters{}
	}
	return n.nodes[node].Counters
}

// Open are the nodes that have a socket.
func (n *Net) Open() (nodes []int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, e := range n.nodes {
		if e.sock != nil {
			nodes = append(nodes, i)
		}
	}
	return nodes
}

// Link returns what went from one node to another.
func (n *Net) Link(from, to int) Counters {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.links[linkKey(from, to)]; l != nil {
		return l.Counters
	}
	return Counters{}
}

// Total is the sum over all nodes.
func (n *Net) Total() Counters {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all Counters
	for _, e := range n.nodes {
		all.add(&e.Counters)
	}
	return all
}
