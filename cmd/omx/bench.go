package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"omx/bench"
	benchapi "omx/bench/api"
	"omx/bench/decision"
	benchengine "omx/bench/engine"
	"omx/bench/measure"
	benchmesh "omx/bench/mesh"
	"omx/bench/policyhost"
	"omx/bench/seed"
	benchstore "omx/bench/store"
	benchnet "omx/bench/testnet"
	"omx/node"
	"omx/policies"
	"omx/policies/abi"
)

type benchCmd struct {
	Seed     benchSeedCmd     `cmd:"" help:"Events, connections, resource readings and peers: three designs side by side."`
	Testnet  benchTestnetCmd  `cmd:"" help:"Try policies on a simulated mesh."`
	Decision benchDecisionCmd `cmd:"" help:"What a decision costs, by each built-in policy."`
	Policy   benchPolicyCmd   `cmd:"" help:"What the policy host costs and holds: metering, runaways, loading, memory, replay."`
	API      benchAPICmd      `cmd:"" name:"api" help:"Small requests, first tokens and many streams over HTTP."`
	Engine   benchEngineCmd   `cmd:"" help:"Answers, prompts and first tokens beside the bare binding; the loss of a worker."`
	Bare     benchBareCmd     `cmd:"" name:"engine-bare" hidden:"" help:"The bare binding; started by bench engine."`
	Mesh     benchMeshCmd     `cmd:"" help:"Requests and tokens between nodes, what a peer's answer costs and what sockets save."`
	Store    benchStoreCmd    `cmd:"" help:"What a node keeps of its mesh: questions, saving, opening, damage."`
	Report   benchReportCmd   `cmd:"" help:"Run every suite and write BENCHMARKS.md."`
}

type benchSeedCmd struct {
	Duration time.Duration `help:"Length of one measurement (default: 60ms)."`
	Repeats  int           `help:"Measurements of each variant (default: 5)."`
	Procs    []int         `help:"Processors to measure at (default: one, and all)." placeholder:"N"`
	Filter   string        `help:"Only benchmarks whose name matches." placeholder:"REGEXP"`
	Short    bool          `help:"A quick look: fewer, shorter measurements."`
	Format   string        `enum:"table,gobench,json,markdown" default:"table" help:"table, gobench (for benchstat), json or markdown."`
	Check    bool          `help:"Fail when a ratio or an allocation count misses its floor."`
}

func (c *benchSeedCmd) Run(e *env) error {
	opt := seed.Options{Duration: c.Duration, Repeats: c.Repeats, Procs: c.Procs, Short: c.Short}
	if c.Filter != "" {
		var err error
		if opt.Filter, err = regexp.Compile(c.Filter); err != nil {
			return usageError{fmt.Errorf("--filter: %w", err)}
		}
	}
	r, err := seed.Run(e.ctx, opt, e.stderr)
	if err != nil {
		return err
	}
	write := map[string]func(io.Writer) error{"table": r.WriteTable, "gobench": r.WriteGobench, "json": r.WriteJSON, "markdown": r.WriteMarkdown}
	if err := write[c.Format](e.stdout); err != nil {
		return err
	}
	if c.Check {
		return r.Check()
	}
	return nil
}

type benchTestnetCmd struct {
	Policy   []string `help:"Policy to try: a built-in name or a .wasm file; repeat to compare (default: the default one and random)." placeholder:"NAME|FILE"`
	Nodes    int      `default:"50" help:"Machines of the simulated mesh."`
	Requests int      `default:"10000" help:"Requests to send."`
	Load     float64  `default:"0.6" help:"Offered load, as a share of what the mesh could serve."`
	Seed     uint64   `default:"1" help:"Same seed, same run, to the bit."`
	Seeds    int      `default:"3" help:"Runs of each policy, with seeds counting up; all policies get the same ones."`
	Format   string   `enum:"table,json,markdown" default:"table" help:"table, json or markdown."`
}

// options are what the flags ask for.
func (c *benchTestnetCmd) options() (benchnet.Options, error) {
	if len(c.Policy) == 0 {
		c.Policy = []string{policies.DefaultRoute, "random"}
	}
	opt := benchnet.Options{Nodes: c.Nodes, Requests: c.Requests, Load: c.Load, Seed: c.Seed, Seeds: c.Seeds}
	for _, name := range c.Policy {
		p, err := namedPolicy(name)
		if err != nil {
			return opt, err
		}
		opt.Policies = append(opt.Policies, p)
	}
	return opt, nil
}

func (c *benchTestnetCmd) Run(e *env) error {
	opt, err := c.options()
	if err != nil {
		return err
	}
	run := 0
	r, err := benchnet.Run(e.ctx, opt, func(p benchnet.Progress) {
		if p.Run != run {
			run = p.Run
			e.say("run %d of %d: %s, seed %d", p.Run, p.Runs, p.Policy, p.Seed)
		}
	})
	if err != nil {
		return err
	}
	write := map[string]func(io.Writer) error{"table": r.WriteTable, "json": r.WriteJSON, "markdown": r.WriteMarkdown}
	return write[c.Format](e.stdout)
}

type benchDecisionCmd struct {
	Duration time.Duration `default:"200ms" help:"Length of one measurement."`
	Repeats  int           `default:"5" help:"Measurements of each variant."`
	Format   string        `enum:"table,gobench,json,markdown" default:"table" help:"table, gobench (for benchstat), json or markdown."`
}

func (c *benchDecisionCmd) Run(e *env) error {
	r, err := decision.Run(e.ctx, measure.Config{Duration: c.Duration, Repeats: c.Repeats}, e.stderr)
	if err != nil {
		return err
	}
	asJSON := func(io.Writer) error { return writeJSON(e, r) }
	write := map[string]func(io.Writer) error{"table": r.WriteTable, "gobench": r.WriteGobench, "json": asJSON, "markdown": r.WriteMarkdown}
	return write[c.Format](e.stdout)
}

type benchPolicyCmd struct {
	Short  bool   `help:"A quick look: fewer measurements."`
	Format string `enum:"table,json,markdown" default:"table" help:"table, json or markdown."`
}

func (c *benchPolicyCmd) Run(e *env) error {
	r, err := policyhost.Run(e.ctx, policyhost.Options{Short: c.Short}, e.stderr)
	if err != nil {
		return err
	}
	asJSON := func(io.Writer) error { return writeJSON(e, r) }
	write := map[string]func(io.Writer) error{"table": r.WriteTable, "json": asJSON, "markdown": r.WriteMarkdown}
	return write[c.Format](e.stdout)
}

type benchMeshCmd struct {
	Short  bool   `help:"A quick look: fewer, shorter measurements."`
	Format string `enum:"table,json,markdown" default:"table" help:"table, json or markdown."`
	Check  bool   `help:"Fail when a request takes too many times what it takes over bare QUIC."`
}

func (c *benchMeshCmd) Run(e *env) error {
	r, err := benchmesh.Run(e.ctx, benchmesh.Options{Short: c.Short}, e.stderr)
	if err != nil {
		return err
	}
	asJSON := func(io.Writer) error { return writeJSON(e, r) }
	write := map[string]func(io.Writer) error{"table": r.WriteTable, "json": asJSON, "markdown": r.WriteMarkdown}
	if err := write[c.Format](e.stdout); err != nil {
		return err
	}
	if c.Check {
		return r.Check()
	}
	return nil
}

type benchAPICmd struct {
	Short  bool   `help:"A quick look: fewer, shorter measurements."`
	Format string `enum:"table,json,markdown" default:"table" help:"table, json or markdown."`
	Check  bool   `help:"Fail when the node is too far behind a bare handler."`
}

func (c *benchAPICmd) Run(e *env) error {
	r, err := benchapi.Run(e.ctx, benchapi.Options{Short: c.Short}, e.stderr)
	if err != nil {
		return err
	}
	asJSON := func(io.Writer) error { return writeJSON(e, r) }
	write := map[string]func(io.Writer) error{"table": r.WriteTable, "json": asJSON, "markdown": r.WriteMarkdown}
	if err := write[c.Format](e.stdout); err != nil {
		return err
	}
	if c.Check {
		return r.Check()
	}
	return nil
}

type benchEngineCmd struct {
	EngineDir []string `help:"Folder with the engine libraries." env:"OMX_ENGINE_DIR" type:"path"`
	Threads   int      `default:"1" help:"Threads of each model; with 1, node and client have a processor of their own where there are two."`
	DemoOnly  bool     `help:"Without the larger model."`
	Short     bool     `help:"A quick look: fewer, shorter measurements, and a tiny model as the larger one."`
	Format    string   `enum:"table,gobench,json,markdown" default:"table" help:"table, gobench (for benchstat), json or markdown."`
	Check     bool     `help:"Fail when a floor is missed: too far behind the bare binding, or too slow to recover."`
}

func (c *benchEngineCmd) Run(e *env) error {
	if c.Threads < 1 || c.Threads > 1024 {
		return usageError{fmt.Errorf("--threads: %d is not between 1 and 1024", c.Threads)}
	}
	dirs, err := engineDirs(c.EngineDir, "")
	if err != nil {
		return err
	}
	r, err := benchengine.Run(e.ctx, benchengine.Options{EngineDirs: dirs, Threads: c.Threads, DemoOnly: c.DemoOnly, Short: c.Short}, e.stderr)
	if err != nil {
		return err
	}
	asJSON := func(io.Writer) error { return writeJSON(e, r) }
	write := map[string]func(io.Writer) error{"table": r.WriteTable, "gobench": r.WriteGobench, "json": asJSON, "markdown": r.WriteMarkdown}
	if err := write[c.Format](e.stdout); err != nil {
		return err
	}
	if c.Check {
		return r.Check()
	}
	return nil
}

type benchBareCmd struct{}

func (benchBareCmd) Run(e *env) error {
	defer node.EaseGC()() // as in a worker
	if code := benchengine.RunBare(e.stdin, e.stdout, e.stderr); code != 0 {
		return toldError{fmt.Errorf("the bare binding ended with code %d", code)}
	}
	return nil
}

type benchStoreCmd struct {
	Short  bool   `help:"A quick look: fewer, shorter measurements."`
	Format string `enum:"table,json,markdown" default:"table" help:"table, json or markdown."`
	Check  bool   `help:"Fail when a damaged store is served or refused, or the snapshot is not far quicker."`
}

func (c *benchStoreCmd) Run(e *env) error {
	r, err := benchstore.Run(e.ctx, benchstore.Options{Short: c.Short}, e.stderr)
	if err != nil {
		return err
	}
	asJSON := func(io.Writer) error { return writeJSON(e, r) }
	write := map[string]func(io.Writer) error{"table": r.WriteTable, "json": asJSON, "markdown": r.WriteMarkdown}
	if err := write[c.Format](e.stdout); err != nil {
		return err
	}
	if c.Check {
		return r.Check()
	}
	return nil
}

type benchReportCmd struct {
	Out       string   `default:"BENCHMARKS.md" help:"File to write." type:"path"`
	EngineDir []string `help:"Folder with the engine libraries." env:"OMX_ENGINE_DIR" type:"path"`
	Short     bool     `help:"A quick look: fewer, shorter measurements."`
}

func (c *benchReportCmd) Run(e *env) error {
	net := benchTestnetCmd{Nodes: 50, Requests: 10_000, Load: 0.6, Seed: 1, Seeds: 3}
	for _, p := range policies.List() {
		if p.Kind != abi.Replicate {
			net.Policy = append(net.Policy, p.Name)
		}
	}
	opt, err := net.options()
	if err != nil {
		return err
	}
	dirs, err := engineDirs(c.EngineDir, "")
	if err != nil {
		return err
	}
	return bench.Report(e.ctx, c.Out, bench.Options{Version: version, EngineDirs: dirs, Testnet: opt, Short: c.Short}, e.stderr)
}

// namedPolicy is a built-in policy by name, or a module from a file.
func namedPolicy(name string) (benchnet.NamedPolicy, error) {
	if code, ok := policies.Builtin(name); ok {
		return benchnet.NamedPolicy{Name: name, Code: code}, nil
	}
	if !strings.ContainsAny(name, "./\\") {
		var names []string
		for _, p := range policies.List() {
			names = append(names, p.Name)
		}
		return benchnet.NamedPolicy{}, usageError{fmt.Errorf("there is no built-in policy %q; there are %s, or name a .wasm file", name, join(names))}
	}
	code, err := os.ReadFile(name)
	if err != nil {
		return benchnet.NamedPolicy{}, fmt.Errorf("read policy: %w", err)
	}
	return benchnet.NamedPolicy{Name: strings.TrimSuffix(filepath.Base(name), ".wasm"), Code: code}, nil
}
