package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"omx/node/api"
	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/decide/journal"
	"omx/node/events"
	"omx/node/policy"
	"omx/policies/abi"
	"omx/wasm"
)

// openPolicies makes the policy host, the decider and what keeps its policies.
func (n *Node) openPolicies() (err error) {
	load := decide.Loader(nil)
	if n.cfg.Lab != nil {
		load = n.cfg.Lab.Load
	}
	if load == nil {
		if load, err = n.openHost(); err != nil {
			return err
		}
	}
	n.record = &decide.Record{}
	var recorder decide.Journal
	if n.cfg.Record {
		if n.recorder, err = journal.Open(filepath.Join(n.cfg.Data, RecordDir), journal.Config{Version: n.cfg.Version}); err != nil {
			return err
		}
		recorder = n.recorder
	}
	n.decider = decide.New(decide.Config{Load: load, Record: n.record, Journal: recorder,
		Clock: func() int64 { return int64(time.Since(n.born)) }, AdmitClosed: n.cfg.AdmitClosed})
	c := policy.Config{Dir: filepath.Join(n.cfg.Data, PolicyDir), Log: n.log}
	if n.cfg.PolicyTrust != "" {
		trust, err := policy.ReadTrust(n.cfg.PolicyTrust)
		if err != nil {
			return err
		}
		c.Verify = trust.Verify
	}
	n.policies, err = policy.New(c, n.decider)
	return err
}

// openHost makes the policy host, and what loads policies into it.
func (n *Node) openHost() (load decide.Loader, err error) {
	// Machine code of earlier runs: a policy of the size that Go makes takes over a
	// second to compile.
	n.host, err = wasm.NewHost(context.Background(), wasm.Config{CacheDir: filepath.Join(n.cfg.Data, "policy-cache"), Version: n.cfg.Version})
	if err != nil {
		return nil, err
	}
	return decide.HostLoader(n.host, wasm.Limits{Large: n.cfg.PolicyLarge}, n.policyLog), nil
}

// RecordDir is the folder of recorded decisions in the data folder.
const RecordDir = "decisions"

// keepRecording writes decisions to disk until ctx ends.
func (n *Node) keepRecording(ctx context.Context) {
	if n.recorder == nil {
		return
	}
	n.wg.Go(func() {
		if err := n.recorder.Run(ctx); err != nil {
			n.log.Error("decisions are not recorded", "why", err)
		}
	})
}

// ended notes how the request of a route decision went.
func (n *Node) ended(id uint64, o decide.Outcome, took time.Duration) {
	n.record.Outcome(id, o)
	if n.recorder == nil {
		return
	}
	code := uint8(0)
	if o.Err != "" {
		code = 1
	}
	n.recorder.Outcome(journal.Outcome{ID: id, TTFT: uint64(max(o.TTFT.Microseconds(), 0)), Took: uint64(took.Microseconds()), Tokens: uint64(max(o.Tokens, 0)), Err: code})
}

// usePolicies puts the configured policies in charge.
func (n *Node) usePolicies(ctx context.Context) error {
	params := func(list []string) []byte {
		if len(list) == 0 {
			return nil
		}
		return []byte(strings.Join(list, "\n") + "\n")
	}
	return n.policies.Start(ctx, map[abi.Kind]policy.Configured{
		abi.Route:     {Ref: n.cfg.RoutePolicy, Params: params(n.cfg.RouteParams)},
		abi.Admit:     {Ref: n.cfg.AdmitPolicy, Params: params(n.cfg.AdmitParams)},
		abi.Replicate: {Ref: n.cfg.ReplicatePolicy, Params: params(n.cfg.ReplicateParams)},
	})
}

// policyEvent tells what happened to a policy.
func (n *Node) policyEvent(e policy.Event) {
	if e.Err != nil {
		n.log.Error("policy", "kind", e.Kind, "why", e.Err)
		n.emit(events.PolicyFault, catalog.NodeID{}, catalog.ModelID{}, uint64(e.Kind), 0)
		return
	}
	n.log.Warn("policy changed", "kind", e.Kind, "policy", e.Name, "sha256", fmt.Sprintf("%x", e.Digest))
	n.emit(events.PolicySwap, catalog.NodeID{}, catalog.ModelID{}, uint64(e.Kind), 0)
}

// policyLog takes what a policy logs into the node's log.
func (n *Node) policyLog(policy string, level int, line string) {
	levels := [...]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	n.log.Log(context.Background(), levels[min(max(level, 0), len(levels)-1)], line, "policy", policy)
}

// Policies tells what decides each kind; it implements api.Operator.
func (n *Node) Policies() []api.PolicyView {
	var views []api.PolicyView
	for _, st := range n.policies.Status() {
		if st.Kind == abi.Replicate && st.Active.Digest == [32]byte{} {
			st.Active.Name = "none" // there is no built-in rule
		}
		views = append(views, api.PolicyView{Kind: st.Kind.String(), Generation: st.Generation, Active: *policyStat(&st.Active),
			LastGood: policyStat(st.LastGood), Shadow: policyStat(st.Shadow), SetAside: st.SetAside, Builtin: st.Builtin,
			Agreed: st.Agreed, Differed: st.Differed})
	}
	return views
}

func policyStat(l *decide.Loaded) *api.PolicyStat {
	if l == nil {
		return nil
	}
	s := &api.PolicyStat{Name: l.Name, Decisions: l.Decisions, Faults: l.Faults, Statuses: map[string]uint64{}, MemoryBytes: l.Bytes}
	if l.Digest != [32]byte{} {
		s.Digest = fmt.Sprintf("%x", l.Digest)
	}
	for status, v := range l.Statuses {
		if v > 0 {
			s.Statuses[abi.Status(status).String()] = v
		}
	}
	if l.Fuel.Count > 0 {
		s.FuelMean = l.Fuel.Sum / l.Fuel.Count
	}
	if l.Time.Count > 0 {
		s.TimeMeanNS = l.Time.Sum / l.Time.Count
	}
	return s
}

// OrderPolicy changes what decides a kind; it implements api.Operator.
func (n *Node) OrderPolicy(ctx context.Context, o api.PolicyOrder) error {
	kind, ok := abi.ParseKind(o.Kind)
	if !ok || !slices.Contains(policy.Kinds, kind) {
		return fmt.Errorf("kind %q is not decided by a node: use route, admit or replicate", o.Kind)
	}
	var m *policy.Module
	switch {
	case len(o.Code) > 0:
		m = &policy.Module{Name: o.Name, Code: o.Code, Signature: o.Signature, Params: []byte(o.Params)}
	case o.Ref != "":
		var err error
		if m, err = n.policies.Find(o.Ref, kind); err != nil {
			return err
		}
		m.Params = []byte(o.Params)
	}
	if m != nil && len(m.Params) == 0 {
		m.Params = nil
	}
	var err error
	switch o.Action {
	case "activate":
		if m == nil {
			return errors.New("activate which policy? give a file or a name")
		}
		err = n.policies.Activate(ctx, kind, m)
	case "shadow":
		err = n.policies.Shadow(ctx, kind, m)
	case "promote":
		err = n.policies.Promote(ctx, kind)
	case "rollback":
		err = n.policies.Rollback(kind)
	default:
		return fmt.Errorf("policies can be told to activate, shadow, promote or rollback, not to %q", o.Action)
	}
	if err == nil {
		a := n.decider.Active(kind).Active
		n.log.Warn("policies changed by order", "kind", kind, "order", o.Action, "decides", a.Name, "sha256", fmt.Sprintf("%x", a.Digest))
		n.emit(events.PolicySwap, catalog.NodeID{}, catalog.ModelID{}, uint64(kind), 0)
	}
	return err
}
