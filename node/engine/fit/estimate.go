package fit

import (
	"math"

	"omx/node/engine/gguf"
)

// Room is what a model is to be loaded for.
type Room struct {
	Slots   int
	Context int       // tokens of each slot; a model made for less gets less
	KV      gguf.Type // of the cache; llama.cpp takes F16 if it is not told
	Flash   bool      // flash attention: it keeps no scores
}

const (
	// batch is the most tokens that the worker decodes at once.
	batch = 512
	// padding is what llama.cpp rounds the context of a slot up to.
	padding = 256
	// maxLayers bounds what is made of a header that nobody has checked.
	maxLayers = 1024

	// A worker takes this much before any weights: libraries, the Go runtime, the
	// graph and the scratch memory of threads; and for each token of a vocabulary its
	// text, its entry in two tables and about two merges.
	processBytes = 24 << 20
	tokenBytes   = 320

	inputBytes = 64 << 10 // positions, places in the cache and the like, for one batch
)

// Need is the memory that a model takes, in bytes. Sums that are too large for an
// int64 are the largest one.
type Need struct {
	Weights int64
	// KV is the cache. It is counted whole for layers that look back on a window
	// only: llama.cpp keeps all there so that slots can go back. States of recurrent
	// layers are not counted: some MB a slot.
	KV int64
	// Compute is for the intermediate results of one batch, in each place where
	// there are layers.
	Compute int64
	Process int64 // of the worker itself, never on a device

	PerLayer  []Layer
	Embedding int64 // of Weights: tokens are looked up, which stays on the host
	Output    int64 // what the output layer takes on a device; on the host it may be the embedding
	Edge      int64 // of Compute: what stays on the host when all layers are on devices

	// Mapped is what may be resident on top: where llama.cpp has put weights into
	// another order for this CPU, it holds a copy, and the pages of the file stay
	// until the system needs them for something else.
	Mapped int64
}

// Layer is what one layer takes where it is.
type Layer struct{ Weights, KV int64 }

// Total is what the model takes without any device.
func (n Need) Total() int64 { return sum(n.Weights, n.KV, n.Compute, n.Process) }

// Estimate says what a model takes. The figures are those of llama.cpp for
// transformers of the common form; others keep about as much.
func Estimate(h gguf.Header, r Room) Need {
	slots, context := int64(max(r.Slots, 1)), int64(max(r.Context, 1))
	if h.Context > 0 {
		context = min(context, int64(h.Context))
	}
	context = product(ceil(context, padding), padding)
	n := Need{Weights: nonNegative(h.TensorBytes), Embedding: nonNegative(h.Embedding), Output: nonNegative(h.Output), Mapped: nonNegative(h.TensorBytes)}
	if h.Tied {
		n.Output = sum(n.Output, n.Embedding)
	}

	n.PerLayer = make([]Layer, max(min(len(h.Blocks), maxLayers), min(max(h.Layers, 0), maxLayers)))
	cells := product(slots, context)
	for i := range n.PerLayer {
		l := &n.PerLayer[i]
		if i < len(h.Blocks) {
			l.Weights = nonNegative(h.Blocks[i])
		}
		heads := int64(h.KVHeads.At(i))
		l.KV = product(cells, sum(row(r.KV, product(heads, int64(h.KeyLength))), row(r.KV, product(heads, int64(h.ValueLength)))))
		n.KV = sum(n.KV, l.KV)
	}

	vocabulary := int64(h.Vocabulary)
	rows := product(ceil(min(batch, cells), slots), slots) // as many of each slot
	outputs := product(slots, vocabulary, 4)
	n.Compute = sum(product(rows, 4, floats(&h, context, r.Flash)), outputs, inputBytes)
	n.Edge = min(n.Compute, sum(product(rows, 4, sum(context, int64(h.Width))), outputs))
	n.Process = sum(processBytes, product(vocabulary, tokenBytes))
	return n
}

// floats is how many numbers are kept at once for each token of a batch. Memory is
// used again within a batch, so the largest step counts: attention with its
// scores, feed-forward, or the logits.
func floats(h *gguf.Header, context int64, flash bool) int64 {
	width, heads, kv := int64(h.Width), int64(h.Heads.Max()), int64(h.KVHeads.Max())
	scores, mask, stream := product(context, heads), context, product(4, width)
	if flash {
		scores, mask = 0, ceil(context, 2) // of half the bytes
	}
	attention := sum(scores, mask, stream, product(heads, int64(h.KeyLength)), product(kv, sum(int64(h.KeyLength), int64(h.ValueLength))))
	hidden := int64(h.FeedForward.Max())
	if h.Experts > 0 {
		one := int64(h.ExpertWidth)
		if one == 0 {
			one = hidden
		}
		// Each expert that is used keeps its own, and its result as well.
		hidden = max(hidden, product(int64(h.ExpertsUsed), sum(one, width)))
	}
	forward := sum(product(3, hidden), mask, stream)
	logits := sum(int64(h.Vocabulary), product(3, width))
	return max(attention, forward, logits)
}

// row is the bytes of n numbers of a cache.
func row(t gguf.Type, n int64) int64 {
	per, size := t.Block()
	if per == 0 {
		per, size = 1, 4
	}
	return product(ceil(n, per), size)
}

func nonNegative(n int64) int64 { return max(n, 0) }

// ceil divides and rounds up.
func ceil(n, by int64) int64 {
	if n <= 0 {
		return 0
	}
	return (n-1)/by + 1
}

// sum and product stop at the largest number; what is negative counts as 0.
func sum(all ...int64) int64 {
	total := int64(0)
	for _, n := range all {
		if n = max(n, 0); n > math.MaxInt64-total {
			return math.MaxInt64
		}
		total += n
	}
	return total
}

func product(all ...int64) int64 {
	total := int64(1)
	for _, n := range all {
		switch n = max(n, 0); {
		case n == 0:
			return 0
		case total > math.MaxInt64/n:
			total = math.MaxInt64
		default:
			total *= n
		}
	}
	return total
}
