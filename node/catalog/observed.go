package catalog

import (
	"math/bits"
	"sync/atomic"

	"omx/policies/abi"
)

// Observed is what this node has seen itself of one model on one node. Claims
// age between records; these counts do not. Safe for concurrent use.
type Observed struct {
	sent     atomic.Uint32 // requests ever sent there
	inFlight atomic.Int32
	tokens   atomic.Int64  // of those
	usedAt   atomic.Uint32 // stamp
	done     atomic.Uint32 // requests that ended well
	errors   atomic.Uint64 // failures per thousand ×65536 in the upper half, stamp of the last result in the lower
	first    atomic.Uint64 // µs to the first token in the upper half, stamp in the lower
	peak     atomic.Uint32 // µs, at that stamp
	each     atomic.Uint32 // µs per output token
	byRIF    [rifClasses]atomic.Uint32
}

// rifClasses are those of requests in flight: 0, 1, 2–3, 4–7 … 64 and more.
const rifClasses = 8

// peakSpan is how long firstPeak takes to sink to the mean, the decay that
// Linkerd's balancer uses.
const peakSpan = 10_000 // ms

// Sent notes a request of so many tokens, prompt and expected answer, on its
// way; Done must follow with the same number.
func (o *Observed) Sent(tokens uint32, at Micros) {
	o.sent.Add(1)
	o.inFlight.Add(1)
	o.tokens.Add(int64(tokens))
	o.usedAt.Store(Stamp(at))
}

// First notes that a first token took so long, at a node that had rif requests
// in flight when it was sent. Averages move an eighth of the way.
func (o *Observed) First(took Micros, rif uint32, at Micros) {
	us := uint32(min(max(took, 1), 1<<31))
	now := Stamp(at)
	for {
		old := o.first.Load()
		mean, since := uint32(old>>32), uint32(old)
		peak := o.peak.Load()
		if since == 0 {
			mean, peak = us, us
		} else {
			mean = approach(mean, us)
			// The peak sinks towards the mean in a straight line.
			if peak > mean {
				peak -= uint32(uint64(peak-mean) * uint64(min(now-since, peakSpan)) / peakSpan)
			}
			peak = max(peak, us, mean)
		}
		if o.first.CompareAndSwap(old, uint64(mean)<<32|uint64(now)) {
			o.peak.Store(peak)
			break
		}
	}
	class := &o.byRIF[rifClass(rif)]
	if old := class.Load(); old != 0 {
		us = approach(old, us)
	}
	class.Store(us)
}

func approach(mean, v uint32) uint32 {
	return uint32(int64(mean) + (int64(v)-int64(mean))/8)
}

func rifClass(rif uint32) int { return min(bits.Len32(rif), rifClasses-1) }

// Done notes the end of a request: failed means the node, not the client, broke
// it off; each is its µs per output token, 0 if unknown.
func (o *Observed) Done(failed bool, tokens, each uint32, at Micros) {
	o.inFlight.Add(-1)
	o.tokens.Add(-int64(tokens))
	result := uint64(0)
	if failed {
		result = 1000 << 16
	} else {
		o.done.Add(1)
	}
	if each != 0 {
		if old := o.each.Load(); old != 0 {
			each = approach(old, each)
		}
		o.each.Store(each)
	}
	for {
		old := o.errors.Load()
		rate := old >> 32
		rate += result/8 - rate/8
		if o.errors.CompareAndSwap(old, rate<<32|uint64(Stamp(at))) {
			return
		}
	}
}

// InFlight is the number of this node's requests there now.
func (o *Observed) InFlight() uint32 { return uint32(max(0, o.inFlight.Load())) }

// fill writes all of it into a row; rif is what the node itself has last said
// to have in flight, and sent is Observed.sent when it said so.
func (o *Observed) fill(p *abi.RowSeen, rif, rifAt, sent uint32) {
	*p = abi.RowSeen{RIF: rif, RIFAt: rifAt}
	all := o.sent.Load()
	if all == 0 {
		return
	}
	p.InFlight = o.InFlight()
	p.SentSince = min(all-sent, p.InFlight)
	p.InFlightTokens = uint32(max(0, o.tokens.Load()))
	p.UsedAt = o.usedAt.Load()
	errors, first := o.errors.Load(), o.first.Load()
	p.Errors, p.ErrorsAt = uint32(errors>>48), uint32(errors)
	p.First, p.FirstAt = uint32(first>>32), uint32(first)
	p.FirstPeak, p.Each, p.Done = o.peak.Load(), o.each.Load(), o.done.Load()
	p.RIF += p.SentSince
	p.RIFFirst = o.byRIF[rifClass(p.RIF)].Load()
}
