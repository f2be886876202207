// Package decision measures what admission and routing cost a request: the whole
// decision as the node takes it, from snapshot to picks, with the policy's module
// and with the built-in rule. Package bench and the command line may import it.
package decision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"omx/bench/measure"
	"omx/node/catalog"
	"omx/node/decide"
	"omx/policies"
	"omx/policies/abi"
	"omx/policies/rules"
	"omx/wasm"
)

// Result is one run of the suite.
type Result struct {
	Machine measure.Machine  `json:"machine"`
	Series  []measure.Series `json:"series"`
}

const (
	now    = catalog.Micros(1_000_000_000)
	prompt = 200 // tokens
)

// guest is a policy to measure.
type guest struct {
	name string
	code []byte // nil: the rule in Go
}

// weights is the rule that BENCHMARKS.md calls rules: what most operators want.
const weights = `
kind = "route"
name = "rules"
[[drop]]
when = "draining or suspect or not loaded"
[[score]]
value = "rtt"
[[score]]
value  = "(queued + running + sentSince) * 1000 / max(slots, 1)"
weight = 3
`

// guests are the policies of one kind: the rule in Go, the built-in ones, and
// plain rules from other languages.
func guests(kind abi.Kind) ([]guest, error) {
	list := []guest{{name: decide.Builtin}}
	for _, p := range policies.List() {
		if code, ok := policies.Builtin(p.Name); ok && p.Kind == kind {
			list = append(list, guest{p.Name, code})
		}
	}
	if kind != abi.Route {
		return list, nil
	}
	r, err := rules.Compile([]byte(weights))
	if err != nil {
		return nil, err
	}
	list = append(list, guest{"rules", r.Module})
	for _, language := range []string{"c", "rust"} {
		if code, ok := policies.Example(language); ok {
			list = append(list, guest{language, code})
		}
	}
	return list, nil
}

// Run measures route decisions over 8 and 64 candidates by every built-in policy,
// by the rule in Go, by rules and by policies in C and Rust; over more candidates
// by some of them; with a shadow; and admissions.
func Run(ctx context.Context, cfg measure.Config, progress io.Writer) (*Result, error) {
	host, err := wasm.NewHost(ctx, wasm.Config{})
	if err != nil {
		return nil, err
	}
	defer host.Close(context.WithoutCancel(ctx))
	routes, err := guests(abi.Route)
	if err != nil {
		return nil, err
	}
	admits, err := guests(abi.Admit)
	if err != nil {
		return nil, err
	}
	var cases []measure.Case
	for _, n := range []int{8, 64, 512, 4096} {
		for _, g := range routes {
			if n <= 64 || slices.Contains([]string{decide.Builtin, policies.DefaultRoute, "rules", "c", "rust"}, g.name) {
				cases = append(cases, newCase(host, abi.Route, n, g, false))
			}
		}
	}
	for _, g := range routes {
		if g.name == "rules" || g.name == policies.DefaultRoute {
			cases = append(cases, newCase(host, abi.Route, 64, g, true))
		}
	}
	for _, g := range admits {
		cases = append(cases, newCase(host, abi.Admit, 1, g, false))
	}
	if len(cfg.Procs) == 0 {
		cfg.Procs = []int{runtime.NumCPU()}
	}
	r := &Result{Machine: measure.Here()}
	r.Series, err = measure.Cases(ctx, cases, cfg, progress)
	return r, err
}

// newCase is one policy on one mesh of n nodes, with itself as a shadow or
// without one.
func newCase(host *wasm.Host, kind abi.Kind, n int, g guest, shadow bool) measure.Case {
	c := measure.Case{Name: kind.String(), Variant: g.name, Workers: 1}
	if kind == abi.Route {
		c.Name = fmt.Sprintf("route/%d", n)
	}
	if shadow {
		c.Name += "/shadow"
	}
	c.Start = func(int) (*measure.Run, error) {
		d := decide.New(decide.Config{Load: decide.HostLoader(host, wasm.Limits{}, nil), Candidates: n})
		ctx, p := context.Background(), decide.Policy{Name: g.name, Code: g.code}
		if g.code != nil {
			err := d.Use(ctx, kind, p)
			if err == nil && shadow {
				err = d.Shadow(ctx, kind, p)
			}
			if err != nil {
				return nil, errors.Join(err, d.Close())
			}
		}
		s, model, err := snapshot(n)
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		r := &decide.Request{Model: model, Prompt: prompt}
		var picks decide.Picks
		op := func(_ *measure.Worker, times int) {
			for range times {
				d.Route(now, s, r, &picks)
			}
		}
		if kind == abi.Admit {
			op = func(_ *measure.Worker, times int) {
				for range times {
					d.Admit(now, s, r)
				}
			}
		}
		return &measure.Run{Op: op, Close: func() string {
			faults := d.Active(kind).Active.Faults
			if err := d.Close(); err != nil {
				return err.Error()
			}
			if faults > 0 {
				return fmt.Sprintf("%d decisions failed", faults)
			}
			return ""
		}}, nil
	}
	return c
}

// snapshot is n nodes that hold one model, each with figures of its own.
func snapshot(n int) (*catalog.Snapshot, catalog.ModelID, error) {
	model, err := catalog.ParseModelID("model")
	if err != nil {
		return nil, model, err
	}
	var t *catalog.Table
	for i := range n {
		id, err := catalog.ParseNodeID(fmt.Sprintf("node%d", i))
		if err != nil {
			return nil, model, err
		}
		load := catalog.Load{Queued: uint32(i % 5), Running: uint32(i % 4), Slots: 4, At: now - catalog.Micros(1000*i)}
		speed := catalog.Speed{PrefillNS: uint32(200_000 + 10_000*i), DecodeUS: uint32(10_000 + 500*i), At: now - 1_000_000}
		info := catalog.NodeInfo{ID: id, Seq: 1, At: now, MemFreeMiB: 4096,
			Placements: []catalog.Placement{{Model: model, State: catalog.Loaded, Load: load, Speed: speed}}}
		if i == 0 {
			if t, err = catalog.NewTable(info); err != nil {
				return nil, model, err
			}
			continue
		}
		if err := t.PutRecord(info); err != nil {
			return nil, model, err
		}
		t.SetRTT(id, uint32(1000*i), now)
		t.SetUp(id, true)
	}
	return t.Publish(), model, nil
}

func (r *Result) table() *measure.Table {
	t := &measure.Table{Head: []string{"decision", "by", "time", "±", "B/op", "allocs/op", "p50", "p99"}}
	last := ""
	for i := range r.Series {
		s, sum := &r.Series[i], r.Series[i].Summary()
		name := s.Name
		if name == last {
			name = ""
		}
		last = s.Name
		t.Rows = append(t.Rows, []string{name, s.Variant, measure.Nanos(sum.Wall.Median), fmt.Sprintf("%.0f%%", 100*sum.Wall.Spread),
			measure.PerOp(sum.Bytes.Median), measure.PerOp(sum.Allocs.Median), measure.Nanos(sum.P50.Median), measure.Nanos(sum.P99.Median)})
	}
	return t
}

// WriteTable writes what a terminal shows.
func (r *Result) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s\n\n", r.Machine)
	return r.table().WriteText(w)
}

// WriteMarkdown writes a table for a document.
func (r *Result) WriteMarkdown(w io.Writer) error { return r.table().WriteMarkdown(w) }

// WriteGobench writes what benchstat reads.
func (r *Result) WriteGobench(w io.Writer) error {
	return measure.WriteGobench(w, "Decision", r.Machine, r.Series)
}
