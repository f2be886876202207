package decide

import (
	"errors"

	"omx/policies/abi"
	"omx/wasm"
)

// What the built-in rule assumes of a figure nobody has sampled. Cautious, so
// that a known node is preferred to an unknown one of the same kind.
const (
	unknownRTT     = 50_000    // µs
	unknownPrefill = 1_000_000 // ns per token: a small single-board computer
	unknownDecode  = 100_000   // µs per token
	loadPenalty    = 5_000_000 // µs to load a model that is on disk only
)

// nativeRoute is the built-in routing rule, in Go: the same formula as
// policies/assembly/route/expected-time.ts, to the unit (a test compares them).
// It scores each row by the predicted time to its first words, in µs, and returns
// the best.
func nativeRoute(view []byte, n int) abi.Answer {
	h, _, err := abi.ReadHeader(view)
	if err != nil {
		return abi.Pack(abi.BadRequest, 0)
	}
	best, bestScore := abi.None, abi.Never
	for i := range n {
		r := abi.ReadRow(view, i)
		score := expectedTime(&h, &r)
		abi.PutScore(view, n, i, score)
		if score < bestScore {
			best, bestScore = uint32(i), score
		}
	}
	if best == abi.None {
		return abi.Pack(abi.NoCandidate, 0)
	}
	return abi.Pack(abi.OK, best)
}

// words is how many tokens of an answer count: see the policy's own comment.
const words = 8

// expectedTime predicts µs from now to the first words of an answer by the row's
// node:
//
//	rtt + wait + load + prefill + words × step, stretched by the failure rate
//
// where step is the time of a token in the batch there will be, and wait is how
// long the requests ahead keep all slots busy. Sums are made in 64 bits; what
// would not fit ends at Never-1.
func expectedTime(h *abi.Header, r *abi.Row) uint32 {
	if r.Flags&(abi.Draining|abi.Suspect) != 0 {
		return abi.Never
	}
	const most = uint64(abi.Never - 1)
	rtt, prefill, decode := uint64(r.RTT), uint64(r.Prefill), uint64(r.Decode)
	if r.RTTAge == abi.None {
		rtt = unknownRTT
	}
	if r.SpeedAge == abi.None {
		prefill, decode = unknownPrefill, unknownDecode
	}
	ahead, slots := uint64(r.SentSince), uint64(max(r.Slots, 1))
	if r.LoadAge != abi.None {
		ahead += uint64(r.Queued) + uint64(r.Running)
	}
	ahead = min(ahead, most)
	step := min(decode*(7+min(ahead+1, slots))/8, most)
	prefill = min(uint64(h.Prompt-min(r.Prefix, h.Prompt))*prefill/1000, most)

	t := rtt + prefill + words*step
	if ahead >= slots {
		t += min((ahead-slots+1)*min(uint64(h.ExpectOut)*step/slots+prefill, most), most)
	}
	if r.Flags&abi.Loaded == 0 {
		t += loadPenalty
	}
	t = min(t, most)
	if r.ErrorsAge != abi.None {
		t += t * 4 * uint64(min(r.Errors, 1000)) / 1000
	}
	return uint32(min(t, most))
}

// Reasons the built-in admission gives.
const (
	reasonQueueFull uint8 = 1
)

// nativeAdmit is the built-in admission rule: a request may wait as long as
// fewer than four times as many as there are slots already do. The same rule as
// policies/assembly/admit/bounded-queue.ts.
func nativeAdmit(view []byte) abi.Answer {
	h, n, err := abi.ReadHeader(view)
	if err != nil || n < 1 {
		return abi.Pack(abi.BadRequest, 0)
	}
	r := abi.ReadRow(view, 0)
	if r.LoadAge == abi.None || r.Slots == 0 {
		return abi.Pack(abi.OK, abi.PackVerdict(abi.Allow, 0, 0)) // not served here
	}
	waiting, slots := uint64(r.Queued)+uint64(r.SentSince), uint64(r.Slots)
	switch {
	case waiting+uint64(r.Running) < slots:
		return abi.Pack(abi.OK, abi.PackVerdict(abi.Allow, 0, 0))
	case waiting < 4*slots:
		return abi.Pack(abi.OK, abi.PackVerdict(abi.Queue, 0, 0))
	}
	decode := r.Decode
	if r.SpeedAge == abi.None {
		decode = unknownDecode
	}
	deci := uint64(h.ExpectOut) * uint64(decode) / 100_000 // one request's time, in tenths of a second
	return abi.Pack(abi.OK, abi.PackVerdict(abi.Shed, reasonQueueFull, uint16(min(max(deci, 10), 300))))
}

// statusOf tells what a failed call means.
func statusOf(err error) abi.Status {
	if errors.Is(err, wasm.ErrOutOfFuel) {
		return abi.OutOfFuel
	}
	return abi.Trapped
}
