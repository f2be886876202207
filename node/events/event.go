package events

// Kind says what happened. The numbers may be changed freely: events do not
// leave the process.
type Kind uint8

// The meaning of A and B is given with each kind; where nothing is said they
// are zero. Durations are microseconds.
const (
	_             Kind = iota
	PeerUp             // connected
	PeerDown           // connection lost or closed
	PeerSuspect        // a request there failed; not asked again before it speaks
	RequestDone        // answered; A time to first token, B tokens
	RequestFailed      // not answered; A time until that was clear
	RequestShed        // refused by admission; A retry after
	Failover           // goes to the next pick; A picks tried
	Continued          // an answer that was lost there goes on elsewhere; A tokens by then
	PolicySwap         // another policy is active; A which decision
	PolicyFault        // a policy was replaced or set aside after a trap
	ModelState         // a model of this node is in another state; A which (catalog.State), B how much of it is loaded, per mille
	kinds
)

var kindNames = [kinds]string{
	"", "peer-up", "peer-down", "peer-suspect", "request-done", "request-failed", "request-shed", "failover", "continued",
	"policy-swap", "policy-fault", "model-state",
}

func (k Kind) String() string {
	if k < kinds && k != 0 {
		return kindNames[k]
	}
	return "unknown"
}

// Event is one fact. It holds no pointers: a queue of events costs the garbage
// collector nothing, and copying one is copying 48 bytes.
type Event struct {
	At    int64  // microseconds since 1970; 0 lets the bus fill it in, to about a millisecond
	Node  uint64 // catalog.NodeID.Handle, 0 if no node is concerned
	Model uint64 // catalog.ModelID.Handle, 0 if no model is concerned
	A, B  uint64 // by kind
	Kind  Kind
}

// Set is a set of kinds.
type Set uint64

// All is every kind.
const All = ^Set(0)

// Of returns the set of the kinds named.
func Of(kinds ...Kind) Set {
	var s Set
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

// Has reports whether k is in the set.
func (s Set) Has(k Kind) bool { return s>>k&1 != 0 }

// Kinds must fit a Set.
const _ = uint(64 - kinds)
