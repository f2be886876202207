package catalog

import "math"

// Node is a NodeInfo with what this node knows about reaching it.
type Node struct {
	NodeInfo
	Handle  uint64
	Self    bool
	Up      bool   // connected now (this node itself always is)
	Suspect bool   // connected, but a request there just failed
	RTT     uint32 // µs, measured
	RTTAt   Micros // 0: never measured
}

// Holder is a node as a place where one model is served.
type Holder struct {
	*Node
	Placement
	Seen     *Observed
	sentBase uint32 // Seen.sent when the load figure arrived
}

// Sent counts this node's requests there that have not ended: inFlight in all,
// since of those after the load figure was sampled, which that figure therefore
// cannot contain.
func (h *Holder) Sent() (since, inFlight uint32) {
	inFlight = h.Seen.InFlight()
	return min(h.Seen.sent.Load()-h.sentBase, inFlight), inFlight
}

// Snapshot is an immutable picture of the catalog. A decision reads one from
// start to end; nothing in it changes but the counters behind Holder.Seen.
type Snapshot struct {
	Gen    uint64 // grows with each publication
	Self   *Node
	Nodes  []*Node // this node first, then by distance
	models map[ModelID]*modelEntry
}

type modelEntry struct {
	handle  uint64
	holders []Holder
}

// Holders are the nodes that have the model and are up: this one first, then
// by distance. The slice is shared; do not change it.
func (s *Snapshot) Holders(m ModelID) []Holder {
	if e := s.models[m]; e != nil {
		return e.holders
	}
	return nil
}

// ModelHandle is m.Handle() without hashing for models somebody holds.
func (s *Snapshot) ModelHandle(m ModelID) uint64 {
	if e := s.models[m]; e != nil {
		return e.handle
	}
	return m.Handle()
}

// Models calls f for every model of the snapshot, in no order.
func (s *Snapshot) Models(f func(ModelID, []Holder)) {
	for m, e := range s.models {
		f(m, e.holders)
	}
}

// Distance estimates the round trip between two coordinates, in milliseconds.
func (c Coord) Distance(o Coord) float64 {
	return math.Hypot(float64(c.X-o.X), float64(c.Y-o.Y)) + float64(c.Height) + float64(o.Height)
}

// distance orders nodes: the measured round trip in µs, else the coordinates'
// estimate.
func (n *Node) distance(from Coord) float64 {
	switch {
	case n.Self:
		return -1
	case n.RTTAt != 0:
		return float64(n.RTT)
	}
	return from.Distance(n.Coord) * 1000
}
