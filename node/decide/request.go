package decide

import (
	"time"

	"omx/node/catalog"
	"omx/policies/abi"
)

// Request is what a decision needs to know of a request; never its text.
type Request struct {
	ID        uint64
	Model     catalog.ModelID
	Tenant    uint64 // catalog.Tenant.Handle
	Session   uint64 // of the conversation; 0 none
	Affinity  uint64 // hash of the prompt's beginning, keyed per tenant; 0 none
	Entry     uint64 // handle of the node whose client asked; 0 this one
	Peer      uint64 // handle of the node that sent it here; 0 a client
	Prompt    uint32 // tokens
	MaxOut    uint32 // tokens
	ExpectOut uint32 // tokens; 0 takes DefaultExpectOut or MaxOut if that is less
	Priority  int32  // below 0 may be shed first
	Class     uint32
	Deadline  catalog.Micros
	WantFirst uint32 // ms to the first token; 0 none
	WantEach  uint32 // µs per output token; 0 none
	Streamed  bool
	FromPeer  bool // another node sent it here: it is served here or refused
	Estimated bool // Prompt is an estimate
	Attempt   uint32
	Hops      uint32
	Turn      uint32
	// Blocks are the hashes of the prompt's blocks, as catalog.Prefixes has them, each
	// of BlockTokens tokens.
	Blocks      []uint32
	BlockTokens uint32
	Seed        uint64 // for tie breaks and sampling
}

// DefaultExpectOut is the answer length assumed when nothing better is known:
// a short chat answer.
const DefaultExpectOut = 128

// Limits on a decision.
const (
	MaxCandidates = 64 // the nearest holders; a policy sees no more
	MaxPicks      = 8  // tries of one request; more would only burn its deadline
)

// Verdict is an admission decision.
type Verdict struct {
	Action abi.Action
	Reason uint8         // the policy's own code
	Wait   time.Duration // with Shed: come back after
	By     Source
}

// Source says who decided and at what cost.
type Source struct {
	Policy string     // name; Builtin when the fallback decided
	Digest [32]byte   // SHA-256 of the module; zero for the fallback
	Status abi.Status // of the policy that was asked, also when the fallback decided
	Fuel   uint64     // units of metered work, 0 for the fallback
}

// Builtin names the rule that decides when no policy can.
const Builtin = "builtin"

// Pick is one node to try. Decider.Sent and its like tell how it goes.
type Pick struct {
	Node   catalog.NodeID
	Handle uint64
	Self   bool
	Score  uint32 // the policy's; lower is better
	Seen   *catalog.Observed
	rif    uint32 // requests in flight there when it was decided
}

// Picks is a route decision: nodes in the order to try them.
type Picks struct {
	ID   uint64 // names the decision in the record
	N    int
	Pick [MaxPicks]Pick
	By   Source
}

// List is the picks made.
func (p *Picks) List() []Pick { return p.Pick[:p.N] }

func (r *Request) expectOut() uint32 {
	switch {
	case r.ExpectOut != 0:
		return r.ExpectOut
	case r.MaxOut != 0:
		return min(DefaultExpectOut, r.MaxOut)
	}
	return DefaultExpectOut
}

// tokens is what the request is expected to cost a node.
func (r *Request) tokens() uint32 {
	return uint32(min(uint64(r.Prompt)+uint64(r.expectOut()), uint64(abi.None)))
}

func (r *Request) flags() (f uint32) {
	if r.Streamed {
		f |= abi.Streamed
	}
	if r.FromPeer {
		f |= abi.FromPeer
	}
	if r.Estimated {
		f |= abi.Estimated
	}
	return f
}

// millis saturates a span at 0 and just below abi.None.
func millis(d catalog.Micros) uint32 { return uint32(min(max(d, 0)/1000, catalog.Micros(abi.None)-1)) }
