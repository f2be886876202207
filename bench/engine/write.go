package engine

import (
	"errors"
	"fmt"
	"io"
	"time"

	"omx/bench/measure"
)

// missed lists the floors that were missed, each by its name.
func (r *Result) missed() (errs []error) {
	miss := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, m := range r.Models {
		for _, w := range fullCounts.works() {
			name := m.Name + "/" + w.row
			for _, by := range []string{variantEngine, variantHTTP} {
				if share := r.share(name, by); share < w.floor {
					miss("%s by %s: %.1f %% of the bare binding's rate, the goal is %.0f %%", name, by, 100*share, 100*w.floor)
				}
			}
		}
		if m.Prefix.Cached < leastCached {
			miss("%s/prefix: %.1f %% was not read again, the goal is %.0f %%", m.Name, 100*m.Prefix.Cached, 100*leastCached)
		}
		if ratio := m.Prefix.ratio(); ratio > mostSecond {
			miss("%s/prefix: the second first token takes %s of the first's time, the goal is %s", m.Name, measure.Times(ratio), measure.Times(mostSecond))
		}
	}
	if len(r.Models) > 0 {
		m := r.Models[0] // where the model itself takes least
		if own := m.First.Own; own.P50 > mostOwn50 || own.P99 > mostOwn99 {
			miss("%s/first token: omx's own part is %s, 1 in 100 over %s, the goals are %v and %v", m.Name, nanos(own.P50), nanos(own.P99), mostOwn50, mostOwn99)
		}
	}
	if l := r.Recovery; l != nil {
		if l.Back > mostBack {
			miss("recovery: a killed model answers again after %s, the goal is %v", nanos(l.Back), mostBack)
		}
		if !l.Up {
			miss("recovery: the node did not answer after a worker was killed")
		}
		if l.Broken > 0 {
			miss("recovery: %d answers of the other model broke off", l.Broken)
		}
	}
	return errs
}

// Check returns an error that names every floor that was missed.
func (r *Result) Check() error {
	errs := r.missed()
	if len(errs) > 0 && r.Machine.Busy() {
		errs = append(errs, fmt.Errorf("the machine was busy with other work (load %s): measure again when it is quiet", r.Machine.Load))
	}
	return errors.Join(errs...)
}

func nanos(d time.Duration) string { return measure.Nanos(float64(d)) }

func percent(v float64) string { return fmt.Sprintf("%.1f%%", 100*v) }

func (r *Result) tables() []*measure.Table {
	all := []*measure.Table{}
	for _, m := range r.Models {
		all = append(all, r.speedTable(m), m.First.table(m.Name), m.Prefix.table(m.Name))
	}
	if r.Recovery != nil {
		all = append(all, r.Recovery.table())
	}
	return all
}

func (r *Result) speedTable(m *Model) *measure.Table {
	t := &measure.Table{Head: []string{fmt.Sprintf("%s, %.1f MB", m.Name, float64(m.Bytes)/1e6), "tokens/s", "±", "omx cpu/token", "of bare", "goal"}}
	titles := map[string]string{rowOne: "one answer", rowMany: fmt.Sprintf("%d answers", slots), rowPrefill: "prompt"}
	for _, w := range fullCounts.works() {
		name := m.Name + "/" + w.row
		for _, by := range []string{variantBare, variantEngine, variantHTTP} {
			s := r.series(name, by).Summary()
			row := []string{titles[w.row] + ", " + by, measure.Count(s.Rate), fmt.Sprintf("%.0f%%", 100*s.Wall.Spread), "", "", ""}
			if by != variantBare {
				row[3], row[4], row[5] = measure.Nanos(s.CPU.Median), percent(r.share(name, by)), fmt.Sprintf("%.0f%%", 100*w.floor)
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

func (f *First) table(model string) *measure.Table {
	return &measure.Table{Head: []string{fmt.Sprintf("%s: first token after %d", model, f.Prompt), "p50", "p99"}, Rows: [][]string{
		{variantBare, nanos(f.Bare.P50), nanos(f.Bare.P99)},
		{"asking its process beside", nanos(f.Hop.P50), nanos(f.Hop.P99)},
		{"asking a plain HTTP server beside", nanos(f.Plain.P50), nanos(f.Plain.P99)},
		{variantEngine, nanos(f.Engine.P50), nanos(f.Engine.P99)},
		{variantHTTP, nanos(f.HTTP.P50), nanos(f.HTTP.P99)},
		{"of each, outside of the model: omx's own part", nanos(f.Own.P50), nanos(f.Own.P99)},
	}}
}

func (p *Prefix) table(model string) *measure.Table {
	return &measure.Table{Head: []string{fmt.Sprintf("%s: prompts that begin the same", model), "not read", "first token", "to the first"}, Rows: [][]string{
		{fmt.Sprintf("the first, %d tokens and some", p.Tokens), "", nanos(p.First), ""},
		{"the second", percent(p.Cached), nanos(p.Second), measure.Times(p.ratio())},
	}}
}

func (l *Recovery) table() *measure.Table {
	yes := map[bool]string{true: "yes", false: "no"}
	return &measure.Table{Head: []string{fmt.Sprintf("a worker is killed, %d times", l.Kills), "longest"}, Rows: [][]string{
		{"until its model's next token", nanos(l.Back)},
		{"between two tokens of another model, before", nanos(l.GapBefore)},
		{"and as long after", nanos(l.GapAfter)},
		{"answers of that model that broke off", fmt.Sprint(l.Broken)},
		{"the node answers", yes[l.Up]},
	}}
}

func (r *Result) howMade() string {
	threads := fmt.Sprintf("%d threads", r.Threads)
	if r.Threads == 1 {
		threads = "one thread"
	}
	text := "Each model runs on " + threads + ", " + howMade
	if r.Machine.Busy() {
		text += fmt.Sprintf(" The machine was busy with other work (load %s): times are too long, and shares that are far from 100 %% come of waiting for a processor.", r.Machine.Load)
	}
	return measure.Wrap(text, "", 80)
}

const howMade = `in the bare binding's process and in a
worker of a node in this one, with the same library and settings; the other lies
idle. A rate is that of whole answers, from asking to the last token, and of
prompts, to the first. Shares are medians over turns: in each, every way does the
same once. omx's processor time is that of node and client together, without the
worker's. The weights of "random" are random: true for speed, nothing else.
The bare binding's clock runs in its process, from the text to the first token;
over HTTP it runs in the client, from before the request is written. omx's own
part is, of each answer, all but what the worker's clock says of the same: from
the text to the first token. Of it, asking another process over pipes is what no
engine in a process of its own does without, and what a plain HTTP server takes,
that sleeps where the model works, no server over HTTP.`

// WriteTable writes what a terminal shows.
func (r *Result) WriteTable(w io.Writer) error {
	return measure.WriteText(w, r.Machine, r.howMade(), r.tables())
}

// WriteMarkdown writes tables for a document.
func (r *Result) WriteMarkdown(w io.Writer) error {
	return measure.WriteMarkdown(w, r.howMade(), r.tables())
}

// WriteGobench writes the rates as go test -bench does, for benchstat.
func (r *Result) WriteGobench(w io.Writer) error {
	return measure.WriteGobench(w, "Engine", r.Machine, r.Speed)
}
