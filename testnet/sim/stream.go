package sim

import "math/rand/v2"

// purpose names a stream of random numbers. A new one is appended, so that what
// the others draw stays the same.
type purpose uint64

const (
	forSites purpose = iota + 1
	forLinks
	forDevices
	forPlacement
	forBeats
	forArrivals
	forEntries
	forModels
	forPrompts
	forOutputs
)

func stream(seed uint64, p purpose) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(p))) }

// mix draws a number for a few keys without a stream: what one request meets
// must not depend on how many others came before it. SplitMix64's finisher.
func mix(keys ...uint64) uint64 {
	h := uint64(0)
	for _, k := range keys {
		h = (h ^ k) + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// chooser draws indexes by weight.
type chooser []float64 // cumulative

func newChooser(weights []float64) chooser {
	c := make(chooser, len(weights))
	sum := 0.0
	for i, w := range weights {
		sum += w
		c[i] = sum
	}
	return c
}

func (c chooser) draw(r *rand.Rand) int {
	x := r.Float64() * c[len(c)-1]
	for i, sum := range c {
		if x < sum {
			return i
		}
	}
	return len(c) - 1
}
