package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/montanaflynn/stats"

	"omx/bench/measure"
	"omx/node"
)

// Options of a run. The zero value is the full run: about half a minute.
type Options struct {
	Short bool // about two seconds: for tests of the suite itself
}

// First is the time from sending a request to its first token, where the engine
// takes none: the node's own share, with HTTP and both ends of the connection.
type First struct {
	Requests int           `json:"requests"`
	P50      time.Duration `json:"p50_ns"`
	P99      time.Duration `json:"p99_ns"`
}

// Result is what a run found.
type Result struct {
	Machine measure.Machine  `json:"machine"`
	Small   []measure.Series `json:"small"`
	First   First            `json:"first"`
	Streams []*Streams       `json:"streams"` // growing, until they are not in time
}

const (
	nameSmall   = "chat/small"
	variantBare = "bare net/http"
	variantNode = "omx"
	clients     = 8
	smallTokens = 4

	tokenEvery = 25 * time.Millisecond // 40 tokens a second
	mostLate   = 100 * time.Millisecond
	firstCount = 500

	leastStreams = 500
	mostStreams  = 8000 // two file descriptors each
)

// Floors that Check holds: in rate and in allocations a request.
const (
	shareOfBare = 0.5
	overBare    = 60
)

// Run measures small requests, first tokens and streams, one after the other.
func Run(ctx context.Context, opt Options, progress io.Writer) (*Result, error) {
	cfg, count, tokens, least, most := measure.Config{Duration: 500 * time.Millisecond, Repeats: 5}, firstCount, 120, leastStreams, mostStreams
	if opt.Short {
		cfg, count, tokens, least, most = measure.Config{Duration: 20 * time.Millisecond, Repeats: 1}, 20, 8, 50, 50
	}
	defer node.EaseGC()() // as in a node's process
	r := &Result{Machine: measure.Here()}
	var err error
	if r.Small, err = measure.Cases(ctx, []measure.Case{small(ctx, variantBare, startBare), small(ctx, variantNode, startNode)}, cfg, progress); err != nil {
		return nil, fmt.Errorf("measure small requests: %w", err)
	}
	if err := r.first(ctx, count); err != nil {
		return nil, fmt.Errorf("measure first tokens: %w", err)
	}
	for n := least; n <= most; n *= 2 {
		s, err := streams(ctx, n, tokens)
		if err != nil {
			return nil, fmt.Errorf("measure streams: %w", err)
		}
		fmt.Fprintf(progress, "%d streams: 1 token in 100 later than %v\n", n, s.Late99)
		r.Streams = append(r.Streams, s)
		if !s.inTime() {
			break
		}
	}
	return r, nil
}

// first asks again and again over one connection.
func (r *Result) first(ctx context.Context, count int) (err error) {
	s, err := serve(ctx, 1, 0, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	c, err := Dial(s.addr())
	if err != nil {
		return err
	}
	defer c.Close()
	ask := request(true)
	var times stats.Float64Data
	for i := range count + count/10 { // the first tenth warms up
		began := time.Now()
		if _, err := c.Send(ask); err != nil {
			return err
		}
		more, err := c.Next()
		took := time.Since(began)
		for err == nil && more {
			more, err = c.Next()
		}
		if err != nil {
			return err
		}
		if i >= count/10 {
			times = append(times, float64(took))
		}
	}
	p50, err := stats.Percentile(times, 50)
	if err != nil {
		return err
	}
	p99, err := stats.Percentile(times, 99)
	r.First = First{Requests: count, P50: time.Duration(p50), P99: time.Duration(p99)}
	return err
}
