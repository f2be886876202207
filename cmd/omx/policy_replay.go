package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"omx/node/decide"
	"omx/node/decide/journal"
	"omx/node/files"
	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

type policyReplayCmd struct {
	Log        string   `required:"" help:"Decisions that a node recorded: its folder of them, or a file from there." placeholder:"PATH" type:"path"`
	Policy     string   `help:"Policy that is to decide, a module (.wasm) or the name of a built-in one. Default: those that decided." placeholder:"POLICY"`
	Modules    string   `help:"Folder of the modules that decided, SHA256.wasm; a node keeps one. Not needed for built-in ones." placeholder:"DIR" type:"path"`
	Kind       string   `help:"Only decisions of this kind: admit, route or replicate." enum:",admit,route,replicate" default:""`
	Param      []string `help:"Parameter of the policy, key=value; repeat it for more." placeholder:"KEY=VALUE"`
	Large      bool     `name:"policy-large" help:"Allow modules of the size that Go makes."`
	Limit      uint64   `help:"Stop after so many decisions; 0 takes all."`
	Examples   int      `default:"3" help:"Decisions of each kind to show that differ."`
	FailOnDiff bool     `help:"Fail if a decision differs."`
	JSON       bool     `help:"Print JSON."`
}

// Help explains what is compared.
func (policyReplayCmd) Help() string {
	return `With --policy it tells what that policy would have decided otherwise: it gets
the views that the policy in charge got then, and the same events. Without, the
policies that decided are asked again, and must give the same scores and use the
same fuel.`
}

// Run replays a journal.
func (c *policyReplayCmd) Run(e *env) error {
	if c.Policy == "" && len(c.Param) > 0 {
		return usageError{errors.New("--param goes with --policy: those that decided have theirs from the journal")}
	}
	kind, _ := abi.ParseKind(c.Kind) // 0 all
	r, err := journal.Read(c.Log)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: there is no such file or folder; a node records decisions if it is told to", c.Log)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	host, err := wasm.NewHost(e.ctx, wasm.Config{Version: version})
	if err != nil {
		return err
	}
	defer host.Close(context.Background())
	p := &replayPolicies{cmd: c, e: e, host: host, modules: map[[32]byte]*wasm.Module{}}
	maker := p.recorded
	if c.Policy != "" {
		if err := p.use(kind); err != nil {
			return err
		}
		maker = p.given
	}
	began := time.Now()
	report, err := journal.Replay(e.ctx, r, maker, journal.Options{Kind: kind, Limit: c.Limit, Same: c.Policy == "",
		Examples: c.Examples, Clock: func() int64 { return int64(time.Since(began)) }})
	if err != nil {
		return fmt.Errorf("replay %s: %w", c.Log, err)
	}
	if err := r.Damaged(); err != nil {
		e.say("omx: a part cannot be read, the rest was replayed: %v", err)
	}
	if err := c.none(&report, p); err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(e, report)
	} else {
		err = c.print(e, &report)
	}
	if n := report.Differ(); err == nil && c.FailOnDiff && n > 0 {
		err = fmt.Errorf("%d of %d decisions differ", n, report.Decisions())
	}
	return err
}

// none says why nothing was replayed.
func (c *policyReplayCmd) none(r *journal.Report, p *replayPolicies) error {
	switch {
	case r.Decisions() > 0:
		return nil
	case r.Skipped > 0 && c.Policy != "":
		return fmt.Errorf("%s holds no decisions of a kind that %s takes", c.Log, c.Policy)
	case r.Skipped > 0:
		return fmt.Errorf("the policies that decided are not here (%s): give their folder with --modules, or another with --policy", strings.Join(p.missing, ", "))
	case c.Kind != "":
		return fmt.Errorf("%s holds no %s decisions", c.Log, c.Kind)
	}
	return fmt.Errorf("%s holds no decisions", c.Log)
}

// maxMissing policies are named in a message.
const maxMissing = 3

// replayPolicies makes instances of the policies that a replay asks.
type replayPolicies struct {
	cmd     *policyReplayCmd
	e       *env
	host    *wasm.Host
	module  *wasm.Module // given
	modules map[[32]byte]*wasm.Module
	missing []string // policies that decided and are not found
}

// use loads the policy of the command line.
func (p *replayPolicies) use(kind abi.Kind) error {
	code, err := readPolicy(p.cmd.Policy)
	if err != nil {
		return err
	}
	if p.module, err = p.compile(p.cmd.Policy, code); err != nil {
		return err
	}
	if kinds := p.module.Info().Kinds; kind != 0 && !slices.Contains(kinds, kind) {
		return fmt.Errorf("%s does not decide %s; it decides %s", p.cmd.Policy, kind, kindNames(kinds))
	}
	return nil
}

func (p *replayPolicies) compile(name string, code []byte) (*wasm.Module, error) {
	m, err := p.host.Compile(p.e.ctx, name, code, wasm.Limits{Large: p.cmd.Large})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// given makes the policy of the command line.
func (p *replayPolicies) given(kind abi.Kind, _ [32]byte, _ []byte) (decide.Guest, error) {
	if !slices.Contains(p.module.Info().Kinds, kind) {
		return nil, nil
	}
	var params []byte
	if len(p.cmd.Param) > 0 {
		params = []byte(strings.Join(p.cmd.Param, "\n") + "\n")
	}
	return p.instance(p.module, params)
}

// recorded makes a policy that decided.
func (p *replayPolicies) recorded(_ abi.Kind, digest [32]byte, params []byte) (decide.Guest, error) {
	m, known := p.modules[digest]
	if !known {
		name := hex.EncodeToString(digest[:])
		code, err := p.find(name, digest)
		if err != nil {
			return nil, err
		}
		if code != nil {
			if m, err = p.compile(name, code); err != nil {
				return nil, err
			}
		} else if len(p.missing) < maxMissing {
			p.missing = append(p.missing, name)
		}
		p.modules[digest] = m
	}
	if m == nil {
		return nil, nil
	}
	return p.instance(m, params)
}

func (p *replayPolicies) instance(m *wasm.Module, params []byte) (decide.Guest, error) {
	i, err := m.New(p.e.ctx, wasm.InstanceConfig{Params: params})
	if err != nil {
		return nil, err
	}
	return i, nil
}

// find is the module of a digest among the kept and the built-in ones, nil if it
// is in neither.
func (p *replayPolicies) find(name string, digest [32]byte) ([]byte, error) {
	for _, b := range policies.List() {
		if code, ok := policies.Builtin(b.Name); ok && sha256.Sum256(code) == digest {
			return code, nil
		}
	}
	if p.cmd.Modules == "" {
		return nil, nil
	}
	file := filepath.Join(p.cmd.Modules, name+".wasm")
	code, err := files.ReadBounded(file, largestModule)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read policy: %w", err)
	case sha256.Sum256(code) != digest:
		return nil, fmt.Errorf("%s is not the module that its name says: it was changed", file)
	}
	return code, nil
}

func (c *policyReplayCmd) print(e *env, r *journal.Report) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for i := range r.Kinds {
		k := &r.Kinds[i]
		fmt.Fprintf(w, "%s: %d decisions, %d differ (%.3g %%)\n", k.Kind, k.Decisions, k.Differ, 100*float64(k.Differ)/float64(k.Decisions))
		for _, reason := range k.Reasons {
			fmt.Fprintf(w, "  %s\t%d\n", reason.Reason, reason.Count)
		}
		fmt.Fprintf(w, "  fuel, median\t%d, was %d\n  fuel, 99 of 100\t%d, was %d\n", k.After.Median, k.Before.Median, k.After.P99, k.Before.P99)
		fmt.Fprintf(w, "  time of a call\t%v, 99 of 100 %v\n", time.Duration(k.Call.Median), time.Duration(k.Call.P99))
		if k.Lacked > 0 {
			fmt.Fprintf(w, "  %d lacked figures that the policy reads: the one that decided did not\n", k.Lacked)
		}
		if k.Unsure > 0 {
			fmt.Fprintf(w, "  %d may rest on a state that was another then: records before them are missing\n", k.Unsure)
		}
		for j := range k.Examples {
			printExample(w, &k.Examples[j])
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if r.Skipped > 0 {
		e.say("%d decisions were passed over: there was no policy for them", r.Skipped)
	}
	if r.Gaps > 0 {
		e.say("%d gaps in the journal, of %d records as far as it is known", r.Gaps, r.Lost)
	}
	e.say("%d decisions in %v, %.0f a second", r.Decisions(), time.Duration(r.Took).Round(time.Millisecond), float64(r.Decisions())/time.Duration(r.Took).Seconds())
	return nil
}

func printExample(w *tabwriter.Writer, x *journal.Example) {
	fmt.Fprintf(w, "  request %016x: %s; was %s (%s)\n", x.Request, x.After, x.Before, x.Reason)
	for _, n := range x.Candidates {
		fmt.Fprintf(w, "    row %d, node %016x: %d running, %d queued, %d sent since, %d slots, %d µs away, %d tokens cached; score %s, was %s\n",
			n.Row, n.Node, n.Running, n.Queued, n.Sent, n.Slots, n.RTT, n.Prefix, score(n.After), score(n.Before))
	}
}

func score(s uint32) string {
	if s == abi.Never {
		return "none"
	}
	return fmt.Sprint(s)
}
