package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"omx/policies/abi"
)

// MaxNodes bounds the table: ten times the largest mesh a node is meant for.
const MaxNodes = 10_000

// Table collects what is known and publishes it. Changes show in the snapshot
// after Publish. Safe for concurrent use; Snapshot never blocks.
type Table struct {
	mu    sync.Mutex
	nodes map[NodeID]*tableNode
	self  NodeID
	gen   uint64
	asked map[ModelID]*demand // of the models in the snapshot
	snap  atomic.Pointer[Snapshot]
}

type tableNode struct {
	node Node
	// One entry per placement, kept across records so that counts survive them.
	seen map[ModelID]*seen
}

type seen struct {
	observed *Observed
	sentBase uint32
	loadAt   Micros
}

// NewTable makes a table that knows only this node.
func NewTable(self NodeInfo) (*Table, error) {
	t := &Table{self: self.ID, nodes: map[NodeID]*tableNode{}, asked: map[ModelID]*demand{}}
	if err := t.PutRecord(self); err != nil {
		return nil, fmt.Errorf("create table: %w", err)
	}
	t.Publish()
	return t, nil
}

// PutRecord takes what a node says of itself; the table keeps it if it is newer
// than what it has.
func (t *Table) PutRecord(info NodeInfo) error {
	if err := info.Validate(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[info.ID]
	if n == nil {
		if len(t.nodes) >= MaxNodes {
			return fmt.Errorf("put record: the table is full at %d nodes", MaxNodes)
		}
		n = &tableNode{seen: map[ModelID]*seen{}}
		n.node.Handle = info.ID.Handle()
		n.node.Self = info.ID == t.self
		n.node.Up = n.node.Self
		n.node.JoinedAt = info.At
		t.nodes[info.ID] = n
	} else if info.Seq <= n.node.Seq && !n.node.Self {
		return nil
	}
	n.node.NodeInfo = info
	kept := make(map[ModelID]*seen, len(info.Placements))
	for i := range info.Placements {
		p := &info.Placements[i]
		s := n.seen[p.Model]
		if s == nil {
			s = &seen{observed: &Observed{}}
		}
		if p.Load.At != s.loadAt {
			s.loadAt, s.sentBase = p.Load.At, s.observed.sent.Load()
		}
		kept[p.Model] = s
	}
	n.seen = kept
	return nil
}

// SetRTT notes a measured round trip to a known node, in µs.
func (t *Table) SetRTT(id NodeID, rtt uint32, at Micros) {
	t.edit(id, func(n *Node) { n.RTT, n.RTTAt = rtt, at })
}

// SetUp notes whether a known node can be reached. A node that comes up is no
// longer suspect.
func (t *Table) SetUp(id NodeID, up bool) {
	t.edit(id, func(n *Node) {
		if n.Up != up {
			n.UpAt = 0
			if up {
				n.UpAt = t.nodes[t.self].node.At
			}
		}
		n.Up, n.Suspect = up, false
	})
}

// SetSuspect marks a known node after a failed request, or clears the mark.
func (t *Table) SetSuspect(id NodeID, suspect bool) {
	t.edit(id, func(n *Node) { n.Suspect = suspect })
}

// Forget drops a node, its record and its counts.
func (t *Table) Forget(id NodeID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if id != t.self {
		delete(t.nodes, id)
	}
}

func (t *Table) edit(id NodeID, f func(*Node)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.nodes[id]; n != nil {
		f(&n.node)
	}
}

// Snapshot is the last published picture.
func (t *Table) Snapshot() *Snapshot { return t.snap.Load() }

// Publish makes all changes so far visible and returns the new snapshot.
func (t *Table) Publish() *Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gen++
	s := &Snapshot{Gen: t.gen, Nodes: make([]*Node, 0, len(t.nodes)), models: map[ModelID]*ModelView{}}
	for _, n := range t.nodes {
		s.Nodes = append(s.Nodes, &n.node)
	}
	from := t.nodes[t.self].node.Coord
	slices.SortFunc(s.Nodes, func(a, b *Node) int {
		return cmp.Or(cmp.Compare(a.distance(from), b.distance(from)), cmp.Compare(a.ID.s, b.ID.s))
	})
	copies := make([]Node, len(s.Nodes)) // side by side: a decision walks over them
	for i, n := range s.Nodes {
		copies[i] = *n
		s.Nodes[i] = &copies[i]
	}
	s.Self = s.Nodes[0] // nearer than any other
	nodeRow(&s.SelfRow, s.Self)
	for _, n := range s.Nodes {
		if n.Up {
			s.NodesUp++
			t.addHolders(s, n)
		}
		s.At = max(s.At, n.At)
	}
	for m, v := range s.models {
		t.finish(m, v, s.Self.At)
	}
	for m := range t.asked {
		if s.models[m] == nil {
			delete(t.asked, m)
		}
	}
	t.snap.Store(s)
	return s
}

func (t *Table) addHolders(s *Snapshot, n *Node) {
	seen := t.nodes[n.ID].seen
	var row abi.Row
	nodeRow(&row, n)
	for i := range n.Placements {
		p := &n.Placements[i]
		v := s.models[p.Model]
		if v == nil {
			v = &ModelView{Handle: p.Model.Handle()}
			s.models[p.Model] = v
		}
		o := seen[p.Model]
		v.Holders = append(v.Holders, Holder{Node: n, Placement: *p, Seen: o.observed, sentBase: o.sentBase})
		r := row
		placementRow(&r, p)
		v.Rows = append(v.Rows, r)
	}
}

// finish works out what is said of a model as a whole.
func (t *Table) finish(m ModelID, v *ModelView, now Micros) {
	var taken, slots uint64
	for i := range v.Rows {
		r := &v.Rows[i]
		if r.LoadAt != 0 {
			taken += uint64(r.Queued) + uint64(r.Running)
			slots += uint64(r.Slots)
		}
	}
	if slots > 0 {
		v.Saturation = uint32(min(taken*1000/slots, uint64(abi.None)))
	}
	if v.demand = t.asked[m]; v.demand == nil {
		v.demand = &demand{}
		t.asked[m] = v.demand
	}
	v.demand.fold(now)
	v.Demand = v.demand.perHour()
}

// Records are the records as they were put, for a store; in no order.
func (t *Table) Records() []NodeInfo {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]NodeInfo, 0, len(t.nodes))
	for n := range maps.Values(t.nodes) {
		out = append(out, n.node.NodeInfo)
	}
	return out
}
