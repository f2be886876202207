package worker

import (
	"bytes"
	"math"
	"slices"

	"github.com/hybridgroup/yzma/pkg/llama"

	"omx/node/engine/frame"
)

// logits are the model's own figures after the i-th entry of the last batch: one for
// each token of the vocabulary, valid until the next batch.
func (m *loaded) logits(i int) []float32 {
	l, err := llama.GetLogitsIth(m.ctx, int32(i), int(llama.VocabNTokens(m.vocab)))
	if err != nil {
		return nil
	}
	return l
}

// logprob tells how likely the model held a token to be after the i-th entry of the
// last batch, before temperature and the like, and the top likeliest.
func (m *loaded) logprob(i int, t token, top int) frame.Logprob {
	logits := m.logits(i)
	best := likeliest(logits, top)
	total := logSum(logits)
	out := frame.Logprob{Text: m.whole(t), Logprob: logits[t] - total}
	for _, b := range best {
		out.Top = append(out.Top, frame.TopLogprob{Text: m.whole(token(b)), Logprob: logits[b] - total})
	}
	return out
}

// whole is a token's text, of control tokens too.
func (m *loaded) whole(t token) []byte {
	return bytes.Clone(m.text(t, true))
}

// logSum is the logarithm of the sum of the exponentials.
func logSum(logits []float32) float32 {
	most := slices.Max(logits)
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l - most))
	}
	return most + float32(math.Log(sum))
}

// likeliest are the places of the n largest, in order.
func likeliest(logits []float32, n int) []int {
	var best []int
	for i, l := range logits {
		if len(best) == n && (n == 0 || l <= logits[best[n-1]]) {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, l, func(k int, l float32) int {
			if logits[k] >= l {
				return -1
			}
			return 1
		})
		best = slices.Insert(best, at, i)
		best = best[:min(len(best), n)]
	}
	return best
}
