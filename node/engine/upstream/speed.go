package upstream

import (
	"math"
	"sync"
	"time"

	"omx/node/catalog"
)

// speed is how fast a model has been, as seen from here: what the network and
// other users of the server take is in it.
type speed struct {
	mu              sync.Mutex
	prefill, decode rate
}

// rate is a span over a count, of which older parts count less. Long samples
// weigh more, so that what each request costs beside its tokens shows little.
type rate struct{ span, n float64 }

// keep is how much of what is known stays at each new sample.
const keep = 0.9

func (r *rate) add(span time.Duration, n int) {
	if span > 0 && n > 0 {
		r.span, r.n = keep*r.span+float64(span), keep*r.n+float64(n)
	}
}

// per is the span of one, in the unit; 0 if it is not known.
func (r *rate) per(unit time.Duration) uint32 {
	if r.n == 0 {
		return 0
	}
	return uint32(min(max(r.span/r.n/float64(unit), 1), math.MaxUint32))
}

func (s *speed) add(prefill time.Duration, prompt int, decode time.Duration, output int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prefill.add(prefill, prompt)
	s.decode.add(decode, output)
}

func (s *speed) now() catalog.Speed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return catalog.Speed{PrefillNS: s.prefill.per(time.Nanosecond), DecodeUS: s.decode.per(time.Microsecond)}
}
