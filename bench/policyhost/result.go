package policyhost

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"omx/bench/measure"
)

// Figure is one measured thing and what it is to be held against.
type Figure struct {
	What  string  `json:"what"`
	By    string  `json:"by,omitempty"`
	Value float64 `json:"value"` // median
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Unit  string  `json:"unit"`
	Floor float64 `json:"floor"` // 0 none
	Least bool    `json:"least"` // the floor is from below
	Note  string  `json:"note,omitempty"`
}

// Held tells whether the figure keeps its floor.
func (f *Figure) Held() bool {
	return f.Floor == 0 || f.Least && f.Value >= f.Floor || !f.Least && f.Value <= f.Floor
}

// Result is one run of the suite.
type Result struct {
	Machine measure.Machine `json:"machine"`
	Figures []Figure        `json:"figures"`
}

// Options say how much is measured.
type Options struct {
	Short bool // a quick look, for tests
}

func (o *Options) rounds() int {
	if o.Short {
		return 3
	}
	return 11
}

// Run measures everything, one after the other.
func Run(ctx context.Context, o Options, progress io.Writer) (*Result, error) {
	r := &Result{Machine: measure.Here()}
	for _, part := range []struct {
		name string
		run  func(context.Context, *Options) ([]Figure, error)
	}{{"metering", metering}, {"runaways", runaways}, {"loading", loading}, {"memory", memory}, {"reloads", reloads}, {"replay", replay}} {
		fmt.Fprintf(progress, "  %s\n", part.name)
		figures, err := part.run(ctx, &o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		r.Figures = append(r.Figures, figures...)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// over is a figure of several rounds: their median, and how far they lie apart.
func over(what, by, unit string, floor float64, rounds []float64) Figure {
	slices.Sort(rounds)
	return Figure{What: what, By: by, Value: rounds[len(rounds)/2], Low: rounds[0], High: rounds[len(rounds)-1], Unit: unit, Floor: floor}
}

// timed is how long f takes, in µs.
func timed(f func() error) (float64, error) {
	began := time.Now()
	err := f()
	return float64(time.Since(began)) / 1e3, err
}

func (r *Result) table() *measure.Table {
	t := &measure.Table{Head: []string{"what", "by", "median", "low", "high", "reach", "held"}}
	last := ""
	for _, f := range r.Figures {
		what := f.What
		if what == last {
			what = ""
		}
		last = f.What
		reach, held := "", ""
		if f.Floor != 0 {
			sign := "≤"
			if f.Least {
				sign = "≥"
			}
			reach, held = sign+" "+number(f.Floor, f.Unit), "yes"
			if !f.Held() {
				held = "no"
			}
		}
		t.Rows = append(t.Rows, []string{what, f.By, number(f.Value, f.Unit), number(f.Low, f.Unit), number(f.High, f.Unit), reach, held})
	}
	return t
}

func number(v float64, unit string) string {
	switch {
	case unit == "M/s" || unit == "×":
		return fmt.Sprintf("%.2f %s", v, unit)
	case v != 0 && v < 10 && v > -10:
		return fmt.Sprintf("%.2f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

// WriteTable writes what a terminal shows.
func (r *Result) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s\n\n", r.Machine)
	return r.table().WriteText(w)
}

// WriteMarkdown writes a table for a document.
func (r *Result) WriteMarkdown(w io.Writer) error { return r.table().WriteMarkdown(w) }
