package catalog

import (
	"errors"
	"fmt"
)

// Micros is a moment in microseconds since 1970 (or since the start of a
// simulation). 0 means never: a figure whose At is 0 has not been sampled.
type Micros int64

// Limits on what one node may say of itself, so that no peer can grow ours.
const (
	MaxPlacements = 256 // models per node: more than any edge machine holds
	MaxAddrs      = 16  // addresses per node
	MaxFetching   = 8   // models on their way to a node
	MaxName       = 64  // bytes of a node's display name
)

// Coord is a network coordinate (Vivaldi with height): the estimated round trip
// between two nodes is the plane distance plus both heights. Milliseconds.
type Coord struct {
	X      float32 `json:"x"`
	Y      float32 `json:"y"`
	Height float32 `json:"height"`
}

// State says how far a model is from answering on a node.
type State uint8

const (
	OnDisk  State = iota // must be loaded first
	Loading              // will answer, not yet
	Loaded               // answers now
)

var stateNames = [...]string{"on disk", "loading", "loaded"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// Load is how busy a placement is, as its node said, and when it said so.
type Load struct {
	Queued  uint32 `json:"queued"`            // requests waiting
	Running uint32 `json:"running"`           // requests in a slot
	Slots   uint32 `json:"slots"`             // requests that can run at once
	Pending uint32 `json:"pending,omitempty"` // prompt tokens that wait or are being read
	At      Micros `json:"at"`                // when sampled, by the receiver's clock
}

// Speed is how fast a placement has been, as measured by its engine.
type Speed struct {
	PrefillNS uint32 `json:"prefill_ns"`      // nanoseconds per prompt token
	DecodeUS  uint32 `json:"decode_us"`       // microseconds per output token, one stream
	Batch     uint32 `json:"batch,omitempty"` // per mille by which a token takes longer for each further stream
	At        Micros `json:"at"`
}

// Placement is one model on one node.
type Placement struct {
	Model  ModelID `json:"model"`
	Digest string  `json:"digest"` // sha256 of the model file, hex
	Bytes  int64   `json:"bytes"`
	State  State   `json:"state"`
	Load   Load    `json:"load"`
	Speed  Speed   `json:"speed"`
	// Context is how many tokens, prompt and answer, a slot holds; 0 unknown.
	Context uint32 `json:"context,omitempty"`
	// Prefixes are what its slots remember of prompts.
	Prefixes Prefixes `json:"prefixes,omitempty"`
}

// NodeInfo is what a node says of itself. The highest Seq of a node wins.
type NodeInfo struct {
	ID          NodeID      `json:"id"`
	Name        string      `json:"name"`
	Seq         uint64      `json:"seq"`
	Addrs       []string    `json:"addrs,omitempty"` // where its mesh port is reached
	Zone        uint32      `json:"zone"`
	Coord       Coord       `json:"coord"`
	MemFreeMiB  uint32      `json:"mem_free_mib"`
	MemTotalMiB uint32      `json:"mem_total_mib,omitempty"`
	DiskFreeMiB uint32      `json:"disk_free_mib,omitempty"` // for models that replication sends it; 0: it takes none
	Fetching    []ModelID   `json:"fetching,omitempty"`      // models of which it gets a copy now
	Draining    bool        `json:"draining,omitempty"`
	At          Micros      `json:"at"` // when received, by the receiver's clock
	Placements  []Placement `json:"placements,omitempty"`
}

// Validate rejects a record that is over a limit, before anything keeps it.
func (n *NodeInfo) Validate() error {
	switch {
	case n.ID.IsZero():
		return errors.New("node record has no id")
	case len(n.Name) > MaxName:
		return errors.New("node record: name is too long")
	case len(n.Addrs) > MaxAddrs:
		return errors.New("node record: too many addresses")
	case len(n.Placements) > MaxPlacements:
		return errors.New("node record: too many models")
	case len(n.Fetching) > MaxFetching:
		return errors.New("node record: too many models on their way")
	}
	seen := make(map[ModelID]bool, len(n.Placements))
	for i := range n.Placements {
		m := n.Placements[i].Model
		if m.IsZero() {
			return errors.New("node record: model without a name")
		}
		if seen[m] {
			return fmt.Errorf("node record: model %s twice", m)
		}
		seen[m] = true
	}
	return nil
}
