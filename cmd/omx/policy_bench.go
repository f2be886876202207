package main

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"omx/policies/abi"
	"omx/wasm"
)

type policyBenchCmd struct {
	policyFile
	Rounds  int  `default:"11" help:"Rounds; medians and spread are over them."`
	JSON    bool `xor:"form" help:"Print JSON."`
	Gobench bool `xor:"form" help:"Print as go test -bench does, a line a round, for benchstat."`
}

// policyFigures are those of one kind and number of rows.
type policyFigures struct {
	Kind   string  `json:"kind"`
	Rows   int     `json:"rows"`
	Whole  figure  `json:"encode_and_call"`
	Call   figure  `json:"call"`
	Fuel   uint64  `json:"fuel"`
	Allocs float64 `json:"allocs_per_decision"`
	Bytes  int     `json:"view_bytes"`
	Fault  string  `json:"fault,omitempty"` // why there are no figures
}

// figure is ns per decision.
type figure struct {
	Median float64 `json:"median_ns"`
	Low    float64 `json:"low_ns"`  // of the fastest round
	High   float64 `json:"high_ns"` // of the slowest round
	rounds []float64
	n      int // decisions of a round
}

// Run measures decisions on views such as a fleet of so many nodes gives.
func (c *policyBenchCmd) Run(e *env) error {
	if c.Rounds < 3 || c.Rounds > 1000 {
		return usageError{fmt.Errorf("%d rounds: from 3 to 1000 are possible", c.Rounds)}
	}
	p, err := c.open(e)
	if err != nil {
		return err
	}
	defer p.close()
	var all []policyFigures
	var faults []error
	for _, k := range p.Info().Kinds {
		for _, rows := range benchRows(k, abi.MaxRows) {
			f, err := c.measure(e, p, k, rows)
			if err != nil && e.ctx.Err() != nil {
				return err
			}
			if err != nil {
				f.Fault = err.Error()
				faults = append(faults, fmt.Errorf("%s, %d rows: %w", k, rows, err))
			}
			all = append(all, f)
		}
	}
	switch {
	case c.JSON:
		err = writeJSON(e, all)
	case c.Gobench:
		c.writeGobench(e, all)
	default:
		err = c.writeTable(e, all)
	}
	return errors.Join(append(faults, err)...)
}

func (c *policyBenchCmd) writeTable(e *env, all []policyFigures) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "decision\trows\tns\tspread\tcall only, ns\tspread\tfuel\tallocs\t")
	for _, f := range all {
		if f.Fault != "" {
			continue // it is told at the end
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%d\t%g\t\n", f.Kind, f.Rows, short(f.Whole.Median), f.Whole.spread(), short(f.Call.Median), f.Call.spread(), f.Fuel, f.Allocs)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	e.say("ns: writing the view and the call, median of %d rounds; spread: of the rounds, from the median", c.Rounds)
	return nil
}

// benchRows are the sizes of views that are looked at.
func benchRows(k abi.Kind, most int) []int {
	switch k {
	case abi.Admit:
		most = 1
	case abi.Replicate:
		most = min(most, abi.MaxNodes)
	}
	rows := []int{1, 8, 64, 512, 4096}
	return rows[:slices.IndexFunc(append(rows, most+1), func(n int) bool { return n > most })]
}

const roundTime = 10 * time.Millisecond

// countedRuns is how many decisions allocations are counted over: far more than the
// runtime makes by itself meanwhile.
const countedRuns = 512

func (c *policyBenchCmd) measure(e *env, p *openPolicy, k abi.Kind, rows int) (policyFigures, error) {
	f := policyFigures{Kind: k.String(), Rows: rows}
	i, err := p.instance(e.ctx)
	if err != nil {
		return f, err
	}
	defer i.Close()
	v, err := newBenchView(i, k, rows)
	if err != nil {
		return f, err
	}
	f.Bytes = v.shape.Size()
	if f.Fuel, err = v.call(); err != nil {
		return f, err
	}
	if _, err := f.Whole.measure(e, c.Rounds, v.decide); err != nil {
		return f, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range countedRuns {
		if err := v.decide(); err != nil {
			return f, err
		}
	}
	runtime.ReadMemStats(&after)
	f.Allocs = math.Floor(float64(after.Mallocs-before.Mallocs) / countedRuns)
	_, err = f.Call.measure(e, c.Rounds, func() error { _, err := v.call(); return err })
	return f, err
}

// measure runs rounds of do and returns how often it was run.
func (f *figure) measure(e *env, rounds int, do func() error) (runs int, err error) {
	f.n = 1
	f.rounds = make([]float64, 0, rounds)
	for len(f.rounds) < rounds {
		if err := e.ctx.Err(); err != nil {
			return runs, err
		}
		start := time.Now()
		for range f.n {
			if err := do(); err != nil {
				return runs, err
			}
		}
		took := time.Since(start)
		runs += f.n
		if len(f.rounds) == 0 && took < roundTime/2 {
			f.n *= 2 // not a round yet
			continue
		}
		f.rounds = append(f.rounds, float64(took.Nanoseconds())/float64(f.n))
	}
	sorted := slices.Sorted(slices.Values(f.rounds))
	f.Median, f.Low, f.High = sorted[len(sorted)/2], sorted[0], sorted[len(sorted)-1]
	return runs, nil
}

// spread is how far the fastest and the slowest round are from the median.
func (f *figure) spread() string {
	return fmt.Sprintf("-%.0f/+%.0f %%", 100*(1-f.Low/f.Median), 100*(f.High/f.Median-1))
}

// short is a time with as many digits as mean something.
func short(ns float64) string {
	if ns < 100 {
		return fmt.Sprintf("%.1f", ns)
	}
	return fmt.Sprintf("%.0f", ns)
}

func (c *policyBenchCmd) writeGobench(e *env, all []policyFigures) {
	name := strings.TrimSuffix(filepath.Base(c.File), ".wasm")
	fmt.Fprintf(e.stdout, "goos: %s\ngoarch: %s\npkg: omx/policy\n", runtime.GOOS, runtime.GOARCH)
	for _, f := range all {
		for r := range min(len(f.Whole.rounds), len(f.Call.rounds)) {
			fmt.Fprintf(e.stdout, "BenchmarkPolicy/%s/%s/%d/whole \t%d\t%.2f ns/op\t%d fuel/op\t%g allocs/op\n", name, f.Kind, f.Rows, f.Whole.n, f.Whole.rounds[r], f.Fuel, f.Allocs)
			fmt.Fprintf(e.stdout, "BenchmarkPolicy/%s/%s/%d/call \t%d\t%.2f ns/op\n", name, f.Kind, f.Rows, f.Call.n, f.Call.rounds[r])
		}
	}
}

// benchView is a view such as a fleet gives: nodes at growing distance,
// differently busy.
type benchView struct {
	i      *wasm.Instance
	shape  abi.Shape
	header abi.Header
	rows   []abi.Row
	models []abi.Model
	copies []abi.Copy
}

// benchModels is how many models a fleet has, each with two copies.
const benchModels = 16

func newBenchView(i *wasm.Instance, k abi.Kind, rows int) (*benchView, error) {
	stride, _ := i.Wants(k)
	v := &benchView{i: i, shape: abi.Shape{Kind: k, Rows: rows, Stride: stride}}
	const clock = 3_600_000
	v.header = abi.Header{Now: clock * 1000, Clock: clock, ViewAt: clock - 20, Seed: 1, Request: 1, Model: 1, Tenant: 1,
		Prompt: 512, MaxOut: 256, ExpectOut: 128, Nodes: uint32(rows), NodesUp: uint32(rows)}
	for n := range rows {
		u := uint32(n)
		r := abi.Row{}
		r.Node, r.Flags, r.Slots, r.Queued, r.Running, r.LoadAt = uint64(n)+1, abi.Loaded, 4, u%3, u%5, clock-100
		r.Prefill, r.Decode, r.SpeedAt = 200_000+1000*(u%64), 20_000+100*(u%64), clock-1000
		r.RTT, r.RTTAt, r.Zone = 500+200*(u%100), clock-10, u%3
		r.SentSince, r.InFlight, r.UsedAt, r.First, r.FirstPeak, r.FirstAt = u%2, u%2, clock-50, 90_000, 120_000, clock-50
		r.Prefix, r.PrefixAt, r.RIF, r.RIFAt = 64*(u%4), clock-30, u%5, clock-100
		r.MemFree, r.MemTotal, r.DiskFree, r.MachineAt = 4096, 16384, 50_000+u, clock-500
		if n == 0 {
			r.Flags |= abi.Self
		}
		v.rows = append(v.rows, r)
	}
	if k == abi.Replicate {
		v.shape.Models, v.shape.Copies = benchModels, 2*benchModels
		for m := range benchModels {
			v.models = append(v.models, abi.Model{Model: uint64(m) + 1, Bytes: 5 << 30, Copies: 2, Zones: 2, Least: 2 + uint32(m%2), Demand1h: uint32(100 * m)})
			for n := range 2 {
				v.copies = append(v.copies, abi.Copy{Model: uint16(m), Node: uint16((m + n) % rows), State: uint32(abi.StateOnDisk), Part: 1000})
			}
		}
	}
	return v, v.decide()
}

// decide writes the view and has the policy decide.
func (v *benchView) decide() error {
	b, err := v.i.View(v.shape.Kind, v.shape.Size())
	if err != nil {
		return err
	}
	h := abi.Begin(b, &v.shape)
	h.Now, h.Clock, h.ViewAt, h.Seed = v.header.Now, v.header.Clock, v.header.ViewAt, v.header.Seed
	h.Request, h.Model, h.Tenant = v.header.Request, v.header.Model, v.header.Tenant
	h.Prompt, h.MaxOut, h.ExpectOut = v.header.Prompt, v.header.MaxOut, v.header.ExpectOut
	h.Nodes, h.NodesUp = v.header.Nodes, v.header.NodesUp
	for n := range v.rows {
		abi.PutRow(b, v.shape.Stride, n, &v.rows[n])
	}
	for n := range v.models {
		abi.PutModel(b, h, n, &v.models[n])
	}
	for n := range v.copies {
		abi.PutCopy(b, h, n, &v.copies[n])
	}
	_, err = v.call()
	return err
}

// call has the policy decide on the view as it is.
func (v *benchView) call() (fuel uint64, err error) {
	a, fuel, err := v.i.Call(v.shape.Kind, v.shape.Size(), v.shape.Rows)
	if err == nil && a.Status() == abi.BadAnswer {
		err = fmt.Errorf("answer %#x has no known status", uint64(a))
	}
	return fuel, err
}

func kindNames(kinds []abi.Kind) string {
	var list []string
	for _, k := range kinds {
		list = append(list, k.String())
	}
	return strings.Join(list, ", ")
}
