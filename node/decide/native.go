package decide

import (
	"errors"

	"omx/node/catalog"
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
// It scores each holder by the predicted time to its first words, in µs, and
// returns the best.
func nativeRoute(r *Request, holders []catalog.Holder, rows []abi.Row, scores []uint32) abi.Answer {
	best, bestScore := abi.None, abi.Never
	expect := r.expectOut()
	var seen abi.RowSeen
	for i := range holders {
		holders[i].FillSeen(&seen)
		score := expectedTime(r.Prompt, expect, &rows[i].RowLoad, &seen)
		scores[i] = score
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
func expectedTime(prompt, expect uint32, r *abi.RowLoad, seen *abi.RowSeen) uint32 {
	if r.Flags&(abi.Draining|abi.Suspect) != 0 {
		return abi.Never
	}
	const most = uint64(abi.Never - 1)
	rtt, prefill, decode := uint64(r.RTT), uint64(r.Prefill), uint64(r.Decode)
	if r.RTTAt == 0 {
		rtt = unknownRTT
	}
	if r.SpeedAt == 0 {
		prefill, decode = unknownPrefill, unknownDecode
	}
	ahead, slots := uint64(seen.SentSince), uint64(max(r.Slots, 1))
	if r.LoadAt != 0 {
		ahead += uint64(r.Queued) + uint64(r.Running)
	}
	ahead = min(ahead, most)
	step := min(decode*(7+min(ahead+1, slots))/8, most)
	prefill = min(uint64(prompt-min(seen.Prefix, prompt))*prefill/1000, most)

	t := rtt + prefill + words*step
	if ahead >= slots {
		t += min((ahead-slots+1)*min(uint64(expect)*step/slots+prefill, most), most)
	}
	if r.Flags&abi.Loaded == 0 {
		t += loadPenalty
	}
	t = min(t, most)
	if seen.ErrorsAt != 0 {
		t += t * 4 * uint64(min(seen.Errors, 1000)) / 1000
	}
	return uint32(min(t, most))
}

// Reasons the built-in admission gives.
const (
	reasonQueueFull    uint8 = 1
	reasonPolicyFailed uint8 = 2
)

// nativeAdmit is the built-in admission rule: a request may wait as long as
// fewer than four times as many as there are slots already do. The same rule as
// policies/assembly/admit/bounded-queue.ts. h is this node as a holder of the
// model, nil if it is none.
func nativeAdmit(r *Request, h *catalog.Holder, row *abi.RowLoad) abi.Answer {
	if h == nil || row.LoadAt == 0 || row.Slots == 0 {
		return abi.Pack(abi.OK, abi.PackVerdict(abi.Allow, 0, 0)) // not served here
	}
	_, since := h.InFlight()
	waiting, slots := uint64(row.Queued)+uint64(since), uint64(row.Slots)
	switch {
	case waiting+uint64(row.Running) < slots:
		return abi.Pack(abi.OK, abi.PackVerdict(abi.Allow, 0, 0))
	case waiting < 4*slots:
		return abi.Pack(abi.OK, abi.PackVerdict(abi.Queue, 0, 0))
	}
	decode := row.Decode
	if row.SpeedAt == 0 {
		decode = unknownDecode
	}
	deci := uint64(r.expectOut()) * uint64(decode) / 100_000 // one request's time, in tenths of a second
	return abi.Pack(abi.OK, abi.PackVerdict(abi.Shed, reasonQueueFull, uint16(min(max(deci, 10), 300))))
}

// statusOf tells what a failed call means.
func statusOf(err error) abi.Status {
	if errors.Is(err, wasm.ErrOutOfFuel) {
		return abi.OutOfFuel
	}
	return abi.Trapped
}
