package worker

import (
	"math"
	"time"

	"omx/node/engine/frame"
)

// rates are moving averages of how fast the model is.
type rates struct {
	prefill float64 // ns per prompt token
	decode  float64 // ns per step without prompts: the time of one output token
	sent    frame.Rates
	sentAt  time.Time
}

// step notes a step with so many prompt and output tokens. A prompt token's
// share of a mixed step is what the step took beyond a usual one.
func (r *rates) step(took time.Duration, prompt, output int) {
	switch {
	case prompt > 0:
		per := (float64(took) - r.decode*float64(min(output, 1))) / float64(prompt)
		// A long prompt says more than a short one.
		r.prefill = average(r.prefill, max(per, 1), float64(prompt)/float64(prompt+batchTokens/2))
	case output > 0:
		r.decode = average(r.decode, float64(took), 1./16)
	}
}

func average(old, sample, weight float64) float64 {
	if old == 0 {
		return sample
	}
	return old + weight*(sample-old)
}

// chunk is how many prompt tokens a step may read.
func (r *rates) chunk() int {
	if r.prefill == 0 {
		return firstChunk
	}
	return int(min(max(float64(promptStep)/r.prefill, minChunk), batchTokens))
}

// due returns the rates if they changed and are to be sent, or nothing was for long:
// a worker that says nothing counts as one that hangs.
func (r *rates) due(now time.Time, force bool) (frame.Rates, bool) {
	n := frame.Rates{PrefillNS: clamp(r.prefill), DecodeUS: clamp(math.Ceil(r.decode / 1000))}
	silent := now.Sub(r.sentAt)
	if silent < aliveEvery && (n == r.sent || !force && silent < ratesEvery) {
		return n, false
	}
	r.sent, r.sentAt = n, now
	return n, true
}

func clamp(v float64) uint32 { return uint32(min(v, math.MaxUint32)) }
