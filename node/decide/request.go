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
	Prompt    uint32 // tokens
	MaxOut    uint32 // tokens
	ExpectOut uint32 // tokens; 0 takes DefaultExpectOut or MaxOut if that is less
	Priority  int32  // below 0 may be shed first
	Deadline  catalog.Micros
	Streamed  bool
	FromPeer  bool // another node sent it here: it is served here or refused
	Estimated bool // Prompt is an estimate
	Attempt   uint32
	Hops      uint32
	Seed      uint64 // for tie breaks and sampling
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

// Pick is one node to try.
type Pick struct {
	Node  catalog.NodeID
	Self  bool
	Score uint32 // the policy's; lower is better
	Seen  *catalog.Observed
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

func (r *Request) header(kind abi.Kind, now catalog.Micros, model uint64) abi.Header {
	h := abi.Header{
		Kind: kind, Now: uint64(now), Seed: r.Seed, Request: r.ID, Model: model, Tenant: r.Tenant,
		Prompt: r.Prompt, MaxOut: r.MaxOut, ExpectOut: r.ExpectOut, Priority: r.Priority,
		Attempt: r.Attempt, Hops: r.Hops, SelfRow: abi.None,
	}
	if h.ExpectOut == 0 {
		h.ExpectOut = DefaultExpectOut
		if r.MaxOut != 0 {
			h.ExpectOut = min(h.ExpectOut, r.MaxOut)
		}
	}
	if r.Deadline > 0 {
		h.Deadline = max(1, millis(r.Deadline-now))
	}
	if r.Streamed {
		h.Flags |= abi.Streamed
	}
	if r.FromPeer {
		h.Flags |= abi.FromPeer
	}
	if r.Estimated {
		h.Flags |= abi.Estimated
	}
	return h
}

// millis saturates a span at 0 and just below abi.None.
func millis(d catalog.Micros) uint32 { return uint32(min(max(d, 0)/1000, catalog.Micros(abi.None)-1)) }

// age is how old a figure is, None if it was never sampled.
func age(now, at catalog.Micros) uint32 {
	if at == 0 {
		return abi.None
	}
	if d := uint64(now-at) / 1000; d < uint64(abi.None) {
		return uint32(d)
	}
	return millis(now - at) // sampled in the future, or older than 49 days
}
