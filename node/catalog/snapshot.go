package catalog

import (
	"math"

	"omx/policies/abi"
)

// Node is a NodeInfo with what this node knows about reaching it.
type Node struct {
	NodeInfo
	Handle   uint64
	Self     bool
	Up       bool   // connected now (this node itself always is)
	Suspect  bool   // connected, but a request there just failed
	RTT      uint32 // µs, measured
	RTTAt    Micros // 0: never measured
	JoinedAt Micros // when its first record came
	UpAt     Micros // since when it has been up, 0: it is not
}

// Holder is a node as a place where one model is served.
type Holder struct {
	*Node
	Placement
	Seen     *Observed
	sentBase uint32 // Seen.sent when the load figure arrived
}

// Snapshot is an immutable picture of the catalog. A decision reads one from
// start to end; nothing in it changes but the counters behind Holder.Seen.
type Snapshot struct {
	Gen    uint64 // grows with each publication
	Self   *Node
	Nodes  []*Node // this node first, then by distance
	models map[ModelID]*ModelView

	SelfRow abi.Row // this node, without any model
	NodesUp uint32
	At      Micros // the newest of what is in it
}

// ModelView is one model in a snapshot.
type ModelView struct {
	Handle  uint64
	Holders []Holder  // the nodes that have the model and are up: this one first, then by distance
	Rows    []abi.Row // of the holders, but for what FillSeen writes
	// Saturation is how many of the holders' slots are taken, per mille: more than
	// 1000 if requests wait.
	Saturation uint32
	// Demand is requests per hour at this node, over about a minute, ten minutes
	// and an hour.
	Demand [3]uint32
	demand *demand
}

// Asked counts a request for the model.
func (v *ModelView) Asked() { v.demand.asked.Add(1) }

// Model is what is known of a model; nil if no node that is up has it. It is
// shared; do not change it.
func (s *Snapshot) Model(m ModelID) *ModelView { return s.models[m] }

// Holders are those of Model, none for a model nobody has.
func (s *Snapshot) Holders(m ModelID) []Holder {
	if v := s.models[m]; v != nil {
		return v.Holders
	}
	return nil
}

// Models calls f for every model of the snapshot, in no order.
func (s *Snapshot) Models(f func(ModelID, []Holder)) {
	for m, e := range s.models {
		f(m, e.Holders)
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
