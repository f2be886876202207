package mesh

import (
	"context"
	"fmt"
	"io"
	"time"

	"omx/bench/measure"
)

// Options of a run. The zero value is the full run: about 30 s.
type Options struct {
	Short bool // about a second: for tests of the suite itself
}

// Result is what a run found.
type Result struct {
	Machine measure.Machine  `json:"machine"`
	Request []measure.Series `json:"request"`
	Tokens  []*Tokens        `json:"tokens"`
	Hop     *Hop             `json:"hop"`
	Sockets []measure.Series `json:"sockets"`
}

const (
	nameRequest  = "request/256"
	requestBytes = 256 // a question of some sixty words; the answer is as long

	connectTimeout = 20 * time.Second
)

// mostOverBare is how many times the median round trip of bare QUIC a request
// may take.
const mostOverBare = 1.5

const (
	manyStreams = 64
	manyRate    = 100_000 // tokens a second: 64 people at some 1,500 each, far above what anybody reads
)

// Run measures requests, tokens, the hop and sockets, one after the other.
func Run(ctx context.Context, opt Options, progress io.Writer) (*Result, error) {
	cfg, each, requests := measure.Config{Duration: 150 * time.Millisecond, Repeats: 12}, 2*time.Second, 1000
	if opt.Short {
		cfg, each, requests = measure.Config{Duration: 10 * time.Millisecond, Repeats: 1}, 200*time.Millisecond, 50
	}
	r := &Result{Machine: measure.Here()}
	var err error
	if r.Request, err = measure.Cases(ctx, Cases(ctx, nameRequest, requestBytes), cfg, progress); err != nil {
		return nil, fmt.Errorf("measure requests: %w", err)
	}
	for _, c := range []struct {
		streams int
		offered float64
	}{{1, 0}, {manyStreams, 0}, {manyStreams, manyRate}} {
		t, err := tokens(ctx, c.streams, c.offered, each)
		if err != nil {
			return nil, fmt.Errorf("measure tokens over %d streams: %w", c.streams, err)
		}
		r.Tokens = append(r.Tokens, t)
	}
	if r.Hop, err = hop(ctx, requests); err != nil {
		return nil, fmt.Errorf("measure the hop: %w", err)
	}
	cfg.Duration = cfg.Duration * 2 / 3
	if r.Sockets, err = measure.Cases(ctx, socketCases(ctx), cfg, progress); err != nil {
		return nil, fmt.Errorf("measure sockets: %w", err)
	}
	return r, nil
}
