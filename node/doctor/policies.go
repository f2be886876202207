package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"omx/node"
	"omx/node/policy"
	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

// keptPolicies looks whether what decided, and what to go back to, can be loaded again.
func keptPolicies(ctx context.Context, p *patient) (all []Finding) {
	if p.folder != nil {
		return nil
	}
	list, err := policy.ReadKept(p.file(node.PolicyDir))
	if err != nil {
		return []Finding{problem(p.atNode("omx policy status"), nil, "%v: after a restart the default policies decide", err)}
	}
	host, err := wasm.NewHost(ctx, wasm.Config{Version: p.Version})
	if err != nil {
		return []Finding{problem("omx policy list", nil, "%v", err)}
	}
	defer host.Close(context.WithoutCancel(ctx))
	var active []string
	left := maxTried
	for i := range list {
		k := &list[i]
		err := k.Err
		if err == nil && len(k.Module.Code) <= left {
			left -= len(k.Module.Code)
			err = loads(ctx, host, k.Module)
		}
		if err != nil {
			all = append(all, p.broken(k, err))
		} else if k.Role == "active" {
			active = append(active, k.Kind.String()+" "+filepath.Base(k.Name))
		}
	}
	switch {
	case len(list) == 0:
		return []Finding{ok(nil, "none kept; the default ones decide")}
	case len(active) > 0:
		all = append(all, ok(map[string]any{"active": active, "kept": len(list)}, "%s; %d kept", strings.Join(active, ", "), len(list)))
	}
	return all
}

// loads has the policy host do all that it does when a node starts.
func loads(ctx context.Context, host *wasm.Host, m *policy.Module) error {
	module, err := host.Compile(ctx, m.Name, m.Code, wasm.Limits{Large: true})
	if err != nil {
		return err
	}
	_, err = module.New(ctx, wasm.InstanceConfig{Params: m.Params})
	return errors.Join(err, module.Close())
}

// broken is a problem if the policy decides; of the others it is good to know.
func (p *patient) broken(k *policy.Kept, err error) Finding {
	facts := map[string]any{"kind": k.Kind.String(), "role": k.Role, "policy": k.Name}
	text := fmt.Sprintf("%s, %s %s: %v", k.Kind, k.Role, filepath.Base(k.Name), err)
	if k.Role == "shadow" {
		return advice(p.atNode("omx policy shadow "+k.Kind.String()), facts, "%s", text)
	}
	ref := map[abi.Kind]string{abi.Admit: policies.DefaultAdmit, abi.Route: policies.DefaultRoute}[k.Kind]
	if st, err := os.Stat(k.Name); err == nil && st.Mode().IsRegular() {
		ref = k.Name
	}
	next := p.atNode(fmt.Sprintf("omx policy activate %s %s", k.Kind, quote(ref)))
	if k.Role == "active" {
		return problem(next, facts, "%s", text)
	}
	return advice(next, facts, "%s", text)
}
