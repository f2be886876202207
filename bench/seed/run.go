package seed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"time"

	"omx/bench/measure"
)

// Options of a run. The zero value is the full run: about a minute and a half.
type Options struct {
	Duration time.Duration  // of one measurement; 0 means 60 ms, or 15 ms if Short
	Repeats  int            // of each; 0 means 5, or 3 if Short
	Procs    []int          // GOMAXPROCS to measure at; empty means one processor and all of them
	Filter   *regexp.Regexp // rows by name ("pool/use/100"); nil means all, with facts and end to end
	Short    bool           // under 15 s: for tests of the suite itself
}

func (o Options) config() measure.Config {
	c := measure.Config{Duration: 60 * time.Millisecond, Repeats: 5, Procs: o.Procs}
	if len(c.Procs) == 0 {
		c.Procs = slices.Compact([]int{1, runtime.NumCPU()})
	}
	if o.Short {
		c.Duration, c.Repeats = 15*time.Millisecond, 3
	}
	if o.Duration != 0 {
		c.Duration = o.Duration
	}
	if o.Repeats != 0 {
		c.Repeats = o.Repeats
	}
	return c
}

// Result is what a run found.
type Result struct {
	Machine  measure.Machine
	Duration time.Duration
	Repeats  int
	Series   []measure.Series
	Facts    []Fact    // what each design gets right and wrong; nil with a filter
	EndToEnd *EndToEnd // likewise
}

// Run measures all rows in turns. progress gets a line per repeat. Errors:
// options out of range, a filter that matches no row, a variant that answers
// wrongly, the context's end.
func Run(ctx context.Context, opt Options, progress io.Writer) (*Result, error) {
	var cases []measure.Case
	for _, s := range sections() {
		for _, r := range s.rows {
			if opt.Filter == nil || opt.Filter.MatchString(r.name) {
				cases = append(cases, r.cases()...)
			}
		}
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("run seed suite: no benchmark matches %q; names begin with events/, pool/, monitor/ and peers/", opt.Filter)
	}
	cfg := opt.config()
	res := &Result{Machine: measure.Here(), Duration: cfg.Duration, Repeats: cfg.Repeats}
	var err error
	if res.Series, err = strictly(ctx, cases, cfg, progress, func(note string) bool { return note == errWrong.Error() }); err != nil {
		return nil, fmt.Errorf("run seed suite: %w", err)
	}
	if opt.Filter != nil {
		return res, nil
	}
	fmt.Fprintln(progress, "facts, then end to end")
	if res.Facts, err = facts(ctx, opt.Short); err != nil {
		return nil, fmt.Errorf("run seed suite: %w", err)
	}
	if res.EndToEnd, err = endToEnd(ctx, opt.Short, progress); err != nil {
		return nil, fmt.Errorf("run seed suite: %w", err)
	}
	return res, nil
}

// maxAllocs is below one allocation in a hundred operations: what the measuring
// itself allocates, spread over them.
const maxAllocs = 0.01

// Check returns an error for every goal missed: the ratio of report to omx where
// a row has one, no allocations in omx, and what it must get right. Only figures
// of one run are compared with one another, so it means the same on any machine
// with two processors or more that are not busy otherwise. With one there are no
// ratios to check: nobody contends for a lock, and stopping the program, which the
// report's monitor does, costs next to nothing.
func (r *Result) Check() error {
	var errs []error
	for _, f := range r.found() {
		if f.ratio() < f.floor() {
			errs = append(errs, fmt.Errorf("%s: omx is %s as quick as report, the goal is %s", f.label(), measure.Times(f.ratio()), measure.Times(f.floor())))
		}
		if a := f.omx.Summary().Allocs.Median; a > maxAllocs && !f.row.mayAllocate && !f.row.legacy {
			errs = append(errs, fmt.Errorf("%s: omx allocates %.2f times per operation, the goal is 0", f.label(), a))
		}
	}
	errs = append(errs, checkFacts(r.Facts)...)
	if r.EndToEnd != nil {
		errs = append(errs, r.EndToEnd.check()...)
	}
	if len(errs) > 0 && r.Machine.Busy() {
		errs = append(errs, fmt.Errorf("the machine was busy with other work (load %s): measure again when it is quiet", r.Machine.Load))
	}
	return errors.Join(errs...)
}

// finding is one row at one number of processors.
type finding struct {
	section            section
	row                row
	naive, report, omx *measure.Series
}

// ratio is how many times as quick as report omx is.
func (f finding) ratio() float64 {
	omx := f.omx.Summary().Wall.Median
	if omx <= 0 {
		return 0
	}
	return f.report.Summary().Wall.Median / omx
}

// floor is what the ratio is to be on so many processors; 0 if anything will do.
func (f finding) floor() float64 {
	if f.omx.Procs < 2 {
		return 0
	}
	return f.row.floor
}

func (f finding) label() string { return fmt.Sprintf("%s-%d", f.row.name, f.omx.Procs) }

func (r *Result) found() []finding {
	type key struct {
		name, variant string
		procs         int
	}
	index := map[key]*measure.Series{}
	var procs []int
	for i := range r.Series {
		s := &r.Series[i]
		index[key{s.Name, s.Variant, s.Procs}] = s
		if len(procs) == 0 || procs[len(procs)-1] != s.Procs {
			procs = append(procs, s.Procs)
		}
	}
	var all []finding
	for _, sec := range sections() {
		for _, row := range sec.rows {
			for _, p := range procs {
				f := finding{sec, row, index[key{row.name, variantNaive, p}], index[key{row.name, variantReport, p}], index[key{row.name, variantOmx, p}]}
				if f.naive != nil && f.report != nil && f.omx != nil {
					all = append(all, f)
				}
			}
		}
	}
	return all
}
