package catalog

import "sync/atomic"

// Observed is what this node has seen itself of one model on one node. Claims
// age between records; these counts do not. Safe for concurrent use.
type Observed struct {
	sent     atomic.Uint32 // requests ever sent there
	inFlight atomic.Int32
	errors   atomic.Uint64 // failures per thousand ×65536 in the upper half, ms/1000 of the last result in the lower
}

// Sent notes a request on its way; Done must follow.
func (o *Observed) Sent() {
	o.sent.Add(1)
	o.inFlight.Add(1)
}

// Done notes the end of a request: failed means the node, not the client, broke
// it off. The failure rate is a moving average over about the last 8 results.
func (o *Observed) Done(failed bool, at Micros) {
	o.inFlight.Add(-1)
	result := uint64(0)
	if failed {
		result = 1000 << 16
	}
	for {
		old := o.errors.Load()
		rate := old >> 32
		rate += result/8 - rate/8
		if o.errors.CompareAndSwap(old, rate<<32|uint64(uint32(at/1e6))) {
			return
		}
	}
}

// InFlight is the number of this node's requests there now.
func (o *Observed) InFlight() uint32 { return uint32(max(0, o.inFlight.Load())) }

// ErrorRate is failures per thousand and when the last result came, 0 for never
// (to the second).
func (o *Observed) ErrorRate() (perMille uint32, at Micros) {
	v := o.errors.Load()
	return uint32(v >> 48), Micros(uint32(v)) * 1e6
}
