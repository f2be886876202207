package api

import (
	"errors"
	"fmt"
	"io"

	"omx/bench/measure"
)

func (r *Result) series(variant string) *measure.Series {
	for i := range r.Small {
		if r.Small[i].Variant == variant {
			return &r.Small[i]
		}
	}
	return &measure.Series{}
}

// share is the node's rate of small requests to that of the bare handler.
func (r *Result) share() float64 {
	bare := r.series(variantBare).Summary().Rate
	if bare <= 0 {
		return 0
	}
	return r.series(variantNode).Summary().Rate / bare
}

// extra is the allocations of a request above those of the bare handler.
func (r *Result) extra() float64 {
	return r.series(variantNode).Summary().Allocs.Median - r.series(variantBare).Summary().Allocs.Median
}

// Check returns an error where a request failed, or the node is too far behind a
// bare handler in the same run. Times are the machine's and not checked.
func (r *Result) Check() error {
	var errs []error
	for i := range r.Small {
		if s := &r.Small[i]; s.Note != "" {
			errs = append(errs, fmt.Errorf("%s by %s: %s", s.Name, s.Variant, s.Note))
		}
	}
	if s := r.share(); s < shareOfBare {
		errs = append(errs, fmt.Errorf("the node answers %.0f %% as many small requests as a bare handler, the goal is %.0f %%", 100*s, 100*shareOfBare))
	}
	if n := r.extra(); n > overBare {
		errs = append(errs, fmt.Errorf("a small request allocates %.0f times more than in a bare handler, the goal is %d", n, overBare))
	}
	if len(errs) > 0 && r.Machine.Busy() {
		errs = append(errs, fmt.Errorf("the machine was busy with other work (load %s): measure again when it is quiet", r.Machine.Load))
	}
	return errors.Join(errs...)
}

func (r *Result) tables() []*measure.Table {
	requests := &measure.Table{Head: []string{fmt.Sprintf("small requests, %d clients", clients), "requests/s", "p50", "p99", "cpu", "allocs/op", "to bare"}}
	for _, v := range []string{variantBare, variantNode} {
		s, share := r.series(v).Summary(), ""
		if v == variantNode {
			share = fmt.Sprintf("%.0f%%, %+.0f allocs", 100*r.share(), r.extra())
		}
		requests.Rows = append(requests.Rows, []string{v, measure.Count(s.Rate), measure.Nanos(s.P50.Median), measure.Nanos(s.P99.Median), measure.Nanos(s.CPU.Median), measure.PerOp(s.Allocs.Median), share})
	}
	first := &measure.Table{Head: []string{"time to first token, the engine takes none", "p50", "p99"},
		Rows: [][]string{{"from sending the request, over HTTP", measure.Nanos(float64(r.First.P50)), measure.Nanos(float64(r.First.P99))}}}
	many := &measure.Table{Head: []string{"streams of 40 tokens/s", "late p50", "late p99", "latest", "first token p99", "resident"}}
	for _, s := range r.Streams {
		many.Rows = append(many.Rows, []string{fmt.Sprint(s.Streams), measure.Nanos(float64(s.Late50)), measure.Nanos(float64(s.Late99)), measure.Nanos(float64(s.Worst)),
			measure.Nanos(float64(s.First99)), fmt.Sprintf("%.0f MiB", s.MiB)})
	}
	return []*measure.Table{requests, first, many}
}

const howMade = `The engine is simulated and answers at once, admission and routing by the default
policies. Clients and node are one process on the same processors, and allocations
and memory are those of both. A token is late against the clock that the first one
of its stream started; streams are doubled until 1 token in 100 is late by more
than 100 ms.`

// WriteTable writes what a terminal shows.
func (r *Result) WriteTable(w io.Writer) error {
	return measure.WriteText(w, r.Machine, howMade, r.tables())
}

// WriteMarkdown writes tables for a document.
func (r *Result) WriteMarkdown(w io.Writer) error {
	return measure.WriteMarkdown(w, howMade, r.tables())
}
