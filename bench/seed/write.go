package seed

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"omx/bench/measure"
)

const width = 80

// WriteTable writes what a person reads: at most 80 columns.
func (r *Result) WriteTable(w io.Writer) error {
	var b strings.Builder
	b.WriteString(measure.Wrap(r.Machine.String(), "", width))
	b.WriteString(measure.Wrap(r.conditions(), "", width))
	b.WriteString("\n" + measure.Wrap(about, "", width))
	t := measure.Table{Head: []string{"", "ns/op", "±", "cpu", "B/op", "allocs", "p50", "p99", "ratio", "goal"}}
	last := ""
	for _, f := range r.found() {
		if f.section.name != last {
			last = f.section.name
			for line := range strings.Lines("\n" + measure.Wrap(f.section.heading(), "", width) + measure.Wrap("For a user: "+f.section.meaning, "  ", width)) {
				t.Rows = append(t.Rows, []string{strings.TrimRight(line, "\n")})
			}
		}
		t.Rows = append(t.Rows, []string{" " + f.row.title + f.at()})
		for _, s := range []*measure.Series{f.naive, f.report, f.omx} {
			t.Rows = append(t.Rows, append([]string{" " + s.Variant}, f.cells(s)...))
			if s.Note != "" {
				t.Rows = append(t.Rows, []string{"         " + s.Note})
			}
		}
	}
	b.WriteString("\n")
	if err := t.WriteText(&b); err != nil {
		return err
	}
	if err := r.writeEnd(&b, (*measure.Table).WriteText, func(_ int, title string) string { return title }); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Result) conditions() string {
	return fmt.Sprintf("Medians of %d repeats of %v, all variants in turns. ns/op is time over operations of all threads together, ± half its range; "+
		"cpu the process's time per operation; p50 and p99 of single calls, 0 below the clock's resolution; ratio: time per operation of report over omx's. "+
		"The goals are for more than one processor: with one, nobody contends for a lock, and to stop the program, as report's monitor does, costs next to nothing.", r.Repeats, r.Duration)
}

func (s section) heading() string {
	return fmt.Sprintf("%s. The report printed %s \"ops/sec\" at %s ns/op: truly %s/s.",
		strings.ToUpper(s.title), measure.Count(s.printedRate), trim(s.printedNs), measure.Count(measure.Rate(s.printedNs)))
}

func trim(v float64) string {
	if v != float64(int64(v)) {
		return fmt.Sprintf("%.1f", v)
	}
	return measure.Count(v)
}

// at says how many did the work, on how many processors.
func (f finding) at() string {
	threads := "1 thread"
	if f.omx.Workers != 1 {
		threads = fmt.Sprintf("%d threads", f.omx.Workers)
	}
	cores := "1 core"
	if f.omx.Procs != 1 {
		cores = fmt.Sprintf("%d cores", f.omx.Procs)
	}
	return fmt.Sprintf(" (%s, %s)", threads, cores)
}

// goal is what omx is to reach on this many processors.
func (f finding) goal() string {
	switch {
	case f.row.most > 0:
		return "≤ " + measure.Count(f.row.most) + " ns"
	case f.floor() == 0:
		return ""
	default:
		return "≥ " + measure.Count(f.row.floor) + "x"
	}
}

func (f finding) cells(s *measure.Series) []string {
	sum := s.Summary()
	ratio, goal := "", ""
	if s == f.omx {
		ratio, goal = measure.Times(f.ratio()), f.goal()
		if f.row.legacy { // omx leaves events out: only that emitting is no slower can be said
			ratio = "n/a"
		}
	}
	p50, p99 := "", ""
	if sum.P99.Median > 0 || sum.P50.Median > 0 {
		p50, p99 = measure.Nanos(sum.P50.Median), measure.Nanos(sum.P99.Median)
	}
	return []string{
		measure.Nanos(sum.Wall.Median), fmt.Sprintf("%.0f%%", 100*sum.Wall.Spread), measure.Nanos(sum.CPU.Median),
		measure.PerOp(sum.Bytes.Median), measure.PerOp(sum.Allocs.Median), p50, p99, ratio, goal,
	}
}

// WriteMarkdown writes one table a section.
func (r *Result) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n\n%s\n", r.Machine, r.conditions(), about)
	found := r.found()
	for i := 0; i < len(found); {
		sec := found[i].section
		fmt.Fprintf(&b, "\n### %s\n\n%s For a user: %s\n\n", sec.title, strings.TrimPrefix(sec.heading(), strings.ToUpper(sec.title)+". "), sec.meaning)
		t := measure.Table{Head: []string{"benchmark", "variant", "time/op", "±", "ops/s", "cpu/op", "B/op", "allocs/op", "p50", "p99", "ratio", "goal"}}
		for ; i < len(found) && found[i].section.name == sec.name; i++ {
			f := found[i]
			for _, s := range []*measure.Series{f.naive, f.report, f.omx} {
				name := ""
				if s == f.naive {
					name = f.row.title + f.at()
				}
				c := f.cells(s)
				variant := s.Variant
				if s.Note != "" {
					variant += " (" + s.Note + ")"
				}
				t.Rows = append(t.Rows, []string{name, variant, c[0], c[1], measure.Count(s.Summary().Rate), c[2], c[3], c[4], c[5], c[6], c[7], c[8]})
			}
		}
		if err := t.WriteMarkdown(&b); err != nil {
			return err
		}
	}
	if err := r.writeEnd(&b, (*measure.Table).WriteMarkdown, func(level int, title string) string { return strings.Repeat("#", level) + " " + title + "\n" }); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeEnd adds facts and end to end, where they were measured.
func (r *Result) writeEnd(b *strings.Builder, write func(*measure.Table, io.Writer) error, heading func(level int, title string) string) error {
	if r.EndToEnd == nil {
		return nil
	}
	fmt.Fprintf(b, "\n%s\n", heading(3, "Right and wrong"))
	if err := write(factTable(r.Facts), b); err != nil {
		return err
	}
	fmt.Fprintf(b, "\n%s\n%s", heading(3, "End to end"), measure.Wrap("What becomes of the four things for somebody who waits for them.", "", width))
	for _, p := range r.EndToEnd.parts() {
		fmt.Fprintf(b, "\n%s\n%s\n", heading(4, p.title), measure.Wrap("For a user: "+p.meaning, "", width))
		if err := write(p.table, b); err != nil {
			return err
		}
	}
	fmt.Fprintf(b, "\n%s", measure.Wrap(notMeasured, "", width))
	return nil
}

// WriteGobench writes what benchstat reads.
func (r *Result) WriteGobench(w io.Writer) error {
	all := r.Series
	if r.EndToEnd != nil {
		all = slices.Concat(all, r.EndToEnd.Request, r.EndToEnd.Peers)
	}
	return measure.WriteGobench(w, "Seed", r.Machine, all)
}

// WriteJSON writes every sample, and per row the summary and what the report
// printed.
func (r *Result) WriteJSON(w io.Writer) error {
	type variant struct {
		measure.Series
		Summary measure.Summary `json:"summary"`
	}
	type jsonRow struct {
		Name        string    `json:"name"`
		Title       string    `json:"title"`
		Procs       int       `json:"procs"`
		Ratio       float64   `json:"report_over_omx"`
		Goal        float64   `json:"goal,omitempty"`    // of the ratio
		Most        float64   `json:"goal_ns,omitempty"` // of omx, not checked
		Legacy      bool      `json:"legacy,omitempty"`
		PrintedRate float64   `json:"report_printed_ops_per_sec"`
		PrintedNs   float64   `json:"report_printed_ns_per_op"`
		TrueRate    float64   `json:"report_true_ops_per_sec"`
		Variants    []variant `json:"variants"`
	}
	out := struct {
		Suite    string          `json:"suite"`
		Machine  measure.Machine `json:"machine"`
		Duration float64         `json:"seconds_per_measurement"`
		Repeats  int             `json:"repeats"`
		About    string          `json:"about"`
		Rows     []jsonRow       `json:"rows"`
		Facts    []Fact          `json:"facts,omitempty"`
		EndToEnd *EndToEnd       `json:"end_to_end,omitempty"`
	}{"seed", r.Machine, r.Duration.Seconds(), r.Repeats, about, nil, r.Facts, r.EndToEnd}
	for _, f := range r.found() {
		row := jsonRow{
			Name: f.row.name, Title: f.row.title, Procs: f.omx.Procs, Ratio: f.ratio(), Goal: f.floor(), Most: f.row.most, Legacy: f.row.legacy,
			PrintedRate: f.section.printedRate, PrintedNs: f.section.printedNs, TrueRate: measure.Rate(f.section.printedNs),
		}
		for _, s := range []*measure.Series{f.naive, f.report, f.omx} {
			row.Variants = append(row.Variants, variant{*s, s.Summary()})
		}
		out.Rows = append(out.Rows, row)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}
