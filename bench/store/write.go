package store

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"omx/bench/measure"
)

// ratio is how many times as quick the snapshot is as the store.
func (r *Result) ratio(name string) float64 {
	var store, snapshot float64
	for i := range r.Series {
		if s := &r.Series[i]; s.Name == name {
			if wall := s.Summary().Wall.Median; s.Variant == variantStore {
				store = wall
			} else {
				snapshot = wall
			}
		}
	}
	if snapshot <= 0 {
		return 0
	}
	return store / snapshot
}

// Check returns an error where a damaged file was served or refused, where a
// question to the snapshot allocates, or where it is not far quicker than the
// store in the same run. Times are the machine's and not checked.
func (r *Result) Check() error {
	var errs []error
	for i := range r.Series {
		s := &r.Series[i]
		kind, _, _ := strings.Cut(s.Name, "/")
		floor := floors[kind]
		switch ratio := r.ratio(s.Name); {
		case s.Note != "":
			errs = append(errs, fmt.Errorf("%s by %s: %s", s.Name, s.Variant, s.Note))
		case floor == 0 || s.Variant != variantSnapshot:
		case s.Summary().Allocs.Median >= 0.01:
			errs = append(errs, fmt.Errorf("%s: the snapshot allocates %.2f times per question, the goal is 0", s.Name, s.Summary().Allocs.Median))
		case ratio < floor:
			errs = append(errs, fmt.Errorf("%s: the snapshot is %s as quick as the store, the goal is %s", s.Name, measure.Times(ratio), measure.Times(floor)))
		}
	}
	for _, d := range r.Damage {
		if d.Wrong > 0 || d.Refused > 0 {
			errs = append(errs, fmt.Errorf("%s: of %d files %d were served wrong and %d refused", d.What, d.Files, d.Wrong, d.Refused))
		}
	}
	return errors.Join(errs...)
}

func (r *Result) tables() []*measure.Table {
	questions := &measure.Table{Head: []string{"at so many nodes", "by", "time", "±", "B/op", "allocs", "store to snapshot"}}
	for i := range r.Series {
		s := &r.Series[i]
		sum, ratio := s.Summary(), ""
		if s.Variant == variantSnapshot {
			ratio = measure.Times(r.ratio(s.Name))
		}
		questions.Rows = append(questions.Rows, []string{s.Name, s.Variant, measure.Nanos(sum.Wall.Median), fmt.Sprintf("%.0f%%", 100*sum.Wall.Spread),
			measure.PerOp(sum.Bytes.Median), measure.PerOp(sum.Allocs.Median), ratio})
	}
	wholes := &measure.Table{Head: []string{"nodes", "save", "open", "disk/node", "heap/node"}}
	for _, w := range r.Whole {
		wholes.Rows = append(wholes.Rows, []string{measure.Count(float64(w.Nodes)), measure.Nanos(float64(w.Save)), measure.Nanos(float64(w.Open)),
			fmt.Sprintf("%d B", w.DiskBytes), fmt.Sprintf("%d B", w.HeapBytes)})
	}
	damaged := &measure.Table{Head: []string{"damage", "files", "whole", "empty", "wrong", "refused"}}
	for _, d := range r.Damage {
		damaged.Rows = append(damaged.Rows, []string{d.What, fmt.Sprint(d.Files), fmt.Sprint(d.Whole), fmt.Sprint(d.Empty), fmt.Sprint(d.Wrong), fmt.Sprint(d.Refused)})
	}
	return []*measure.Table{questions, wholes, damaged}
}

const howMade = `near: the ten nearest nodes; holders: who has a model; change: one record
replaced, in the table with a new snapshot published. The snapshot is kept in the
order of distance, which a change pays for. A damaged store begins empty: what it
holds can be learned again. Not measured: power that fails while a disk writes.`

// WriteTable writes what a terminal shows.
func (r *Result) WriteTable(w io.Writer) error {
	return measure.WriteText(w, r.Machine, howMade, r.tables())
}

// WriteMarkdown writes tables for a document.
func (r *Result) WriteMarkdown(w io.Writer) error {
	return measure.WriteMarkdown(w, howMade, r.tables())
}
