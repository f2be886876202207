package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"omx/bench/measure"
	"omx/node/mesh"
)

// Options of a run. The zero value is the full run: about 15 s.
type Options struct {
	Short bool // about a second: for tests of the suite itself
}

// Result is what a run found.
type Result struct {
	Machine measure.Machine  `json:"machine"`
	Request []measure.Series `json:"request"`
	Tokens  []*Tokens        `json:"tokens"`
	Hop     *Hop             `json:"hop"`
}

const (
	requestBytes = 256 // a question of some sixty words
	answerBytes  = 16  // about what a token and the end of an answer are framed

	connectTimeout = 20 * time.Second

	nameRequest  = "request/256"
	variantBare  = "bare QUIC"
	variantKept  = "omx"
	variantFresh = "omx, new stream"
)

// mostOverBare is how many times the median round trip of bare QUIC a request
// may take.
const mostOverBare = 1.5

const (
	manyStreams = 64
	manyRate    = 100_000 // tokens a second: 64 people at some 1,500 each, far above what anybody reads
)

// Run measures requests, tokens and the hop, one after the other.
func Run(ctx context.Context, opt Options, progress io.Writer) (*Result, error) {
	cfg, each, requests := measure.Config{Duration: 300 * time.Millisecond, Repeats: 5}, 2*time.Second, 1000
	if opt.Short {
		cfg, each, requests = measure.Config{Duration: 10 * time.Millisecond, Repeats: 1}, 50*time.Millisecond, 50
	}
	r := &Result{Machine: measure.Here()}
	var err error
	if r.Request, err = measure.Cases(ctx, cases(ctx), cfg, progress); err != nil {
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
	return r, nil
}

func cases(ctx context.Context) []measure.Case {
	answer := func(_ context.Context, s *mesh.ServerStream) {
		if s.Accept() == nil && s.Token([]byte(" token"), 1) == nil {
			s.Done(nil)
		}
	}
	overMesh := func(keep int) func(int) (*measure.Run, error) {
		return func(int) (*measure.Run, error) {
			p, err := newPair(ctx, keep, answer)
			if err != nil {
				return nil, err
			}
			return asking(func(b []byte) error { return p.ask(ctx, b) }, p.close), nil
		}
	}
	return []measure.Case{
		{Name: nameRequest, Variant: variantBare, Workers: 1, Start: func(int) (*measure.Run, error) {
			b, err := newBare(ctx)
			if err != nil {
				return nil, err
			}
			return asking(b.ask, b.close), nil
		}},
		{Name: nameRequest, Variant: variantKept, Workers: 1, Start: overMesh(0)},
		{Name: nameRequest, Variant: variantFresh, Workers: 1, Start: overMesh(-1)},
	}
}

// asking is one request after another. A failure shows beside the figures.
func asking(ask func([]byte) error, end func() error) *measure.Run {
	request := make([]byte, requestBytes)
	var failed error
	return &measure.Run{
		Op: func(_ *measure.Worker, n int) {
			for range n {
				if err := ask(request); err != nil && failed == nil {
					failed = err
				}
			}
		},
		Close: func() string {
			if err := errors.Join(failed, end()); err != nil {
				return err.Error()
			}
			return ""
		},
	}
}
