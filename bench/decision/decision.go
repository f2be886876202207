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

	"omx/bench/measure"
	"omx/node/catalog"
	"omx/node/decide"
	"omx/policies"
	"omx/policies/abi"
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

// Run measures route decisions over 8 and 64 candidates by every built-in policy
// and by the rule in Go, and admissions.
func Run(ctx context.Context, cfg measure.Config, progress io.Writer) (*Result, error) {
	host, err := wasm.NewHost(ctx, wasm.Config{})
	if err != nil {
		return nil, err
	}
	defer host.Close(context.WithoutCancel(ctx))
	var cases []measure.Case
	for _, n := range []int{8, 64} {
		cases = append(cases, routeCase(host, n, ""))
		for _, p := range policies.List() {
			if p.Kind == abi.Route {
				cases = append(cases, routeCase(host, n, p.Name))
			}
		}
	}
	cases = append(cases, admitCase(host, ""), admitCase(host, policies.DefaultAdmit))
	if len(cfg.Procs) == 0 {
		cfg.Procs = []int{runtime.NumCPU()}
	}
	r := &Result{Machine: measure.Here()}
	r.Series, err = measure.Cases(ctx, cases, cfg, progress)
	return r, err
}

func routeCase(host *wasm.Host, n int, policy string) measure.Case {
	return newCase(host, abi.Route, fmt.Sprintf("route/%d", n), n, policy, func(d *decide.Decider, s *catalog.Snapshot, r *decide.Request) func(int) {
		var p decide.Picks
		return func(times int) {
			for range times {
				d.Route(now, s, r, &p)
			}
		}
	})
}

func admitCase(host *wasm.Host, policy string) measure.Case {
	return newCase(host, abi.Admit, "admit", 1, policy, func(d *decide.Decider, s *catalog.Snapshot, r *decide.Request) func(int) {
		return func(times int) {
			for range times {
				d.Admit(now, s, r)
			}
		}
	})
}

func newCase(host *wasm.Host, kind abi.Kind, name string, n int, policy string, op func(*decide.Decider, *catalog.Snapshot, *decide.Request) func(int)) measure.Case {
	c := measure.Case{Name: name, Variant: policy, Workers: 1}
	if policy == "" {
		c.Variant = decide.Builtin
	}
	c.Start = func(int) (*measure.Run, error) {
		d := decide.New(decide.Config{Load: decide.HostLoader(host, wasm.Limits{}, nil), Candidates: n})
		if code, ok := policies.Builtin(policy); ok {
			if err := d.Use(context.Background(), kind, decide.Policy{Name: policy, Code: code}); err != nil {
				return nil, err
			}
		}
		s, model, err := snapshot(n)
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		run := op(d, s, &decide.Request{Model: model, Prompt: prompt})
		return &measure.Run{Op: func(_ *measure.Worker, n int) { run(n) }, Close: func() string {
			if err := d.Close(); err != nil {
				return err.Error()
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
