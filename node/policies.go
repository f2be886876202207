package node

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/events"
	"omx/node/policy"
	"omx/policies/abi"
	"omx/policies/sign"
	"omx/wasm"
)

// openPolicies makes the policy host, the decider and what keeps its policies.
func (n *Node) openPolicies() (err error) {
	// Machine code of earlier runs: a policy of the size that Go makes takes over a
	// second to compile.
	n.host, err = wasm.NewHost(context.Background(), wasm.Config{CacheDir: filepath.Join(n.cfg.Data, "policy-cache"), Version: n.cfg.Version})
	if err != nil {
		return err
	}
	n.record = &decide.Record{}
	n.decider = decide.New(decide.Config{
		Load: decide.HostLoader(n.host, wasm.Limits{Large: n.cfg.PolicyLarge}, n.policyLog), Record: n.record,
		Clock: func() int64 { return int64(time.Since(n.born)) }, AdmitClosed: n.cfg.AdmitClosed})
	c := policy.Config{Dir: filepath.Join(n.cfg.Data, "policies"), Log: n.log}
	if n.cfg.PolicyTrust != "" {
		b, err := os.ReadFile(n.cfg.PolicyTrust)
		if err != nil {
			return fmt.Errorf("read trust file: %w", err)
		}
		trust, err := sign.ParseTrust(b)
		if err != nil {
			return fmt.Errorf("trust file %s: %w", n.cfg.PolicyTrust, err)
		}
		c.Verify = trust.Verify
	}
	n.policies, err = policy.New(c, n.decider)
	return err
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
		abi.Route: {Ref: n.cfg.RoutePolicy, Params: params(n.cfg.RouteParams)},
		abi.Admit: {Ref: n.cfg.AdmitPolicy, Params: params(n.cfg.AdmitParams)},
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
