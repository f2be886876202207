package decide

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"omx/node/catalog"
	"omx/policies/abi"
)

// recordLen is how many route decisions are kept: a few minutes of a busy node,
// at 132 bytes per candidate of each.
const recordLen = 256

// Record keeps the last route decisions as the policy saw them. Writing one
// allocates nothing once the places are as large as views get. Safe for concurrent use.
type Record struct {
	mu      sync.Mutex
	entries [recordLen]entry
	last    uint64
}

type entry struct {
	picks   Picks
	at      catalog.Micros
	holders []catalog.Holder // of the immutable snapshot that was used
	view    []byte
	outcome Outcome
}

// Outcome is how the request that a decision was taken for ended.
type Outcome struct {
	Done    bool
	Node    catalog.NodeID // who answered
	Tries   int            // picks tried
	Took    time.Duration  // the decision itself
	TTFT    time.Duration  // from arrival to the first token
	Tokens  int
	Resumed int // how often another node went on with it
	Err     string
}

// Explained is one route decision with what the policy saw.
type Explained struct {
	Picks
	At      catalog.Micros
	Header  abi.Header
	Rows    []abi.Row
	Scores  []uint32 // abi.Never: left out
	Nodes   []catalog.NodeID
	Names   []string
	Outcome Outcome
}

func (r *Record) route(p *Picks, view []byte, holders []catalog.Holder, at catalog.Micros) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &r.entries[p.ID%recordLen]
	e.picks, e.at, e.holders, e.outcome = *p, at, holders, Outcome{}
	r.last = p.ID
	e.view = append(e.view[:0], view...)
}

// Outcome adds how the request of decision id ended.
func (r *Record) Outcome(id uint64, o Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := &r.entries[id%recordLen]; e.picks.ID == id {
		e.outcome = o
	}
}

// Last is the newest decision, 0 before the first.
func (r *Record) Last() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Explain tells what a decision was taken from, if it is still kept.
func (r *Record) Explain(id uint64) (Explained, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &r.entries[id%recordLen]
	if id == 0 || e.picks.ID != id {
		return Explained{}, fmt.Errorf("decision %d is not kept: the last %d are", id, recordLen)
	}
	v, err := abi.Open(e.view)
	if err != nil {
		return Explained{}, fmt.Errorf("explain decision %d: %w", id, err)
	}
	x := Explained{Picks: e.picks, At: e.at, Header: *v.Header, Outcome: e.outcome, Scores: slices.Clone(v.ScoreList())}
	for i := range int(v.Count) {
		x.Rows = append(x.Rows, v.Row(i))
		x.Nodes = append(x.Nodes, e.holders[i].ID)
		x.Names = append(x.Names, e.holders[i].Name)
	}
	return x, nil
}
