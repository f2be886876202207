package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/montanaflynn/stats"

	"omx/bench/measure"
)

// What the rows are called, after their model.
const (
	rowOne, rowMany, rowPrefill = "decode/1", "decode/4", "prefill"
)

// answerLetters is the prompt of an answer whose decoding is measured, short so
// that reading it is no part of that.
const answerLetters = 8

// work is what is done in each way.
type work struct {
	row     string
	floor   float64
	streams int
	letters int
	tokens  int
}

func (n counts) works() []work {
	return []work{
		{rowOne, floorOne, 1, answerLetters, n.tokens},
		{rowMany, floorMany, slots, answerLetters, n.tokens},
		{rowPrefill, floorPrefill, 1, n.letters, 1},
	}
}

// speed measures the rates of answers and of reading a prompt, by turns in each way.
func (r *rig) speed(ctx context.Context, model string, n counts, progress io.Writer) ([]measure.Series, error) {
	var failed error
	texts := newPrompts(1)
	var cases []measure.Case
	for _, w := range n.works() {
		for _, by := range r.ways {
			cases = append(cases, measure.Case{Name: model + "/" + w.row, Variant: by.name, Workers: 1, Start: func(int) (*measure.Run, error) {
				list := texts.list(w.streams, w.letters)
				return &measure.Run{Once: func(timer *measure.Timer) {
					timer.Start()
					t, err := by.ask(ctx, list, w.tokens)
					ops, wall := w.streams*w.tokens, t.whole
					if w.tokens == 1 { // a long prompt
						ops, wall = t.prompt, t.first
						if t.cached > t.prompt/20 {
							err = errors.Join(err, fmt.Errorf("%d of %d tokens of a new prompt were not read", t.cached, t.prompt))
						}
					}
					timer.StopAt(int64(ops), wall)
					if err != nil {
						failed = errors.Join(failed, fmt.Errorf("%s by %s: %w", w.row, by.name, err))
					}
				}}, nil
			}})
		}
	}
	if _, err := r.warmUp(ctx, texts); err != nil {
		return nil, err
	}
	all, err := measure.Cases(ctx, cases, measure.Config{Repeats: n.repeats}, progress)
	return all, errors.Join(failed, err)
}

// warmUp asks once in each way.
func (r *rig) warmUp(ctx context.Context, texts *prompts) (t took, err error) {
	for _, by := range r.ways {
		if t, err = by.ask(ctx, texts.list(slots, answerLetters), 8); err != nil {
			return t, fmt.Errorf("%s: %w", by.name, err)
		}
	}
	return t, nil
}

// share is a variant's rate to that of the bare binding: the median over the
// turns, each of which did the same in each way in the same second or two, so
// that what else the machine did hit all of them.
func (r *Result) share(name, variant string) float64 {
	bare, other := r.series(name, variantBare).Samples, r.series(name, variant).Samples
	var shares stats.Float64Data
	for i := range min(len(bare), len(other)) {
		if other[i].Wall > 0 {
			shares = append(shares, bare[i].Wall/other[i].Wall)
		}
	}
	median, err := stats.Median(shares)
	if err != nil { // none
		return 0
	}
	return median
}

func (r *Result) series(name, variant string) *measure.Series {
	for i := range r.Speed {
		if s := &r.Speed[i]; s.Name == name && s.Variant == variant {
			return s
		}
	}
	return &measure.Series{}
}
