package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"omx/bench/measure"
	"omx/node"
	"omx/node/engine"
)

// Options of a run. The zero value, but for EngineDirs, is the full run: about
// three minutes.
type Options struct {
	EngineDirs []string // searched in order for the engine libraries
	Threads    int      // of each model; 0 is 1, which leaves a processor to node and client where there are two
	DemoOnly   bool     // without the larger model
	Short      bool     // a few seconds, with a tiny model as the larger one: for tests of the suite itself
}

// Result is what a run found.
type Result struct {
	Machine  measure.Machine  `json:"machine"`
	Threads  int              `json:"threads"`
	Speed    []measure.Series `json:"speed"`
	Models   []*Model         `json:"models"`
	Recovery *Recovery        `json:"recovery,omitempty"` // nil where processes cannot be looked at
}

// Model is what is measured of one model beside its speed.
type Model struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	First  First  `json:"first"`
	Prefix Prefix `json:"prefix"`
}

// counts is how much is measured.
type counts struct {
	repeats  int
	tokens   int // of an answer
	letters  int // of a long prompt; a model's tokens are about as many
	requests int // for first tokens
	prefixes int
	kills    int
	window   time.Duration // before a kill, and after
}

var (
	fullCounts  = counts{repeats: 7, tokens: 768, letters: 1200, requests: 400, prefixes: 5, kills: 3, window: time.Second}
	largeCounts = counts{repeats: 7, tokens: 192, letters: 1200, requests: 100, prefixes: 5}
	shortCounts = counts{repeats: 1, tokens: 24, letters: 200, requests: 5, prefixes: 1, kills: 1, window: 50 * time.Millisecond}
)

// Floors that Check holds.
const (
	floorOne, floorMany, floorPrefill = 0.97, 0.95, 0.97 // of the bare binding's rate

	mostOwn50, mostOwn99 = 300 * time.Microsecond, time.Millisecond // of the time to first token

	leastCached = 0.95 // of a prefix
	mostSecond  = 0.2  // of the time to first token that the first prompt with it took

	mostBack = 2 * time.Second // from the loss of a worker to its model's next token
)

// Run measures the demonstration model, a larger one, and the loss of a worker,
// one after the other.
func Run(ctx context.Context, opt Options, progress io.Writer) (r *Result, err error) {
	if opt.Threads == 0 {
		opt.Threads = 1
	}
	defer node.EaseGC()() // as in a node's process
	if _, err := engine.Find(opt.EngineDirs...); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "omx-bench-models-")
	if err != nil {
		return nil, fmt.Errorf("create folder for models: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	demo, err := endless(dir)
	if err != nil {
		return nil, err
	}
	r = &Result{Machine: measure.Here(), Threads: opt.Threads}
	few, many, large := fullCounts, largeCounts, largeShape
	if opt.Short {
		few, many, large = shortCounts, shortCounts, tinyShape
	}
	if err := r.model(ctx, opt, "demo", demo, few, progress); err != nil {
		return nil, err
	}
	if !opt.DemoOnly {
		path := filepath.Join(dir, "random.gguf")
		if err := large.random(path); err != nil {
			return nil, err
		}
		if err := r.model(ctx, opt, "random", path, many, progress); err != nil {
			return nil, err
		}
	}
	if r.Recovery, err = recoveries(ctx, opt, demo, few, progress); err != nil {
		return nil, fmt.Errorf("measure the loss of a worker: %w", err)
	}
	return r, nil
}

// model measures all of one model.
func (r *Result) model(ctx context.Context, opt Options, name, path string, n counts, progress io.Writer) (err error) {
	rig, err := newRig(ctx, opt, path, progress)
	if err != nil {
		return fmt.Errorf("load model %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, rig.close()) }()
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	m := &Model{Name: name, Bytes: st.Size()}
	fmt.Fprintf(progress, "model %s: speed\n", name)
	speed, err := rig.speed(ctx, name, n, progress)
	if err != nil {
		return fmt.Errorf("measure the speed of model %s: %w", name, err)
	}
	fmt.Fprintf(progress, "model %s: first tokens\n", name)
	if m.First, err = rig.firstTokens(ctx, n.requests); err != nil {
		return fmt.Errorf("measure first tokens of model %s: %w", name, err)
	}
	if m.Prefix, err = rig.prefixes(ctx, n); err != nil {
		return fmt.Errorf("measure prefixes of model %s: %w", name, err)
	}
	r.Speed, r.Models = append(r.Speed, speed...), append(r.Models, m)
	return nil
}
