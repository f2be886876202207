package mesh

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"omx/node/mesh"
)

// Tokens is what streams of tokens carry.
type Tokens struct {
	Streams int       `json:"streams"`
	Offered float64   `json:"offered"`     // tokens a second of all streams; 0: as many as go
	Rate    float64   `json:"rate"`        // tokens a second of all streams that came
	Delay   Quantiles `json:"frame_delay"` // from before a frame is written to after it is read
}

// maxDelays bounds the delays kept per stream, in 512 KiB.
const maxDelays = 1 << 16

// tokens has so many streams answer for a while, each at its share of the
// offered rate.
func tokens(ctx context.Context, streams int, offered float64, d time.Duration) (*Tokens, error) {
	began := time.Now()
	p, err := newPair(ctx, nil, 0, func(ctx context.Context, s *mesh.ServerStream) {
		if s.Accept() != nil {
			return
		}
		text := [16]byte{8: ' ', 't', 'o', 'k', 'e', 'n'}
		var every, next time.Duration
		if offered > 0 {
			every, next = time.Duration(float64(streams)/offered*1e9), time.Since(began)
		}
		for ctx.Err() == nil {
			if next += every; offered > 0 {
				if wait := next - time.Since(began); wait > 0 {
					time.Sleep(wait)
				}
			}
			binary.LittleEndian.PutUint64(text[:], uint64(time.Since(began)))
			if s.Token(text[:], 1) != nil {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	var came atomic.Int64
	delays := make([][]float64, streams)
	errs := make([]error, streams)
	run, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	start := time.Now()
	var wg sync.WaitGroup
	for i := range streams {
		delays[i] = make([]float64, 0, maxDelays)
		wg.Go(func() {
			n, err := drain(run, p, began, &delays[i])
			came.Add(n)
			if errors.Is(err, context.DeadlineExceeded) {
				err = nil // as it was to end
			}
			errs[i] = err
		})
	}
	wg.Wait()
	took := time.Since(start)
	var all []float64
	for _, d := range delays {
		all = append(all, d...)
	}
	t := &Tokens{Streams: streams, Offered: offered, Rate: float64(came.Load()) / took.Seconds(), Delay: quantiles(all)}
	return t, errors.Join(append(errs, ctx.Err(), p.close())...)
}

func drain(ctx context.Context, p *pair, began time.Time, delays *[]float64) (n int64, err error) {
	s, err := p.client.Open(ctx, p.to, tenant, nil)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	for {
		tok, err := s.Next()
		if err != nil {
			return n, err
		}
		n++
		if len(*delays) < maxDelays {
			*delays = append(*delays, float64(time.Since(began))-float64(binary.LittleEndian.Uint64(tok.Text)))
		}
	}
}
