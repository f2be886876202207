package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"text/tabwriter"

	"omx/node/api"
)

// The commands of this file talk to a running node on this machine.

type policyStatusCmd struct {
	target
	JSON bool `help:"Print JSON."`
}

func (c *policyStatusCmd) Run(e *env) error {
	var views []api.PolicyView
	if err := c.get(e.ctx, "/omx/v1/policies", &views); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(e, views)
	}
	return showPolicies(e, views)
}

func showPolicies(e *env, views []api.PolicyView) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tROLE\tPOLICY\tSHA256\tDECISIONS\tFAULTS\tFUEL\tTIME")
	for _, v := range views {
		for _, r := range []struct {
			role string
			stat *api.PolicyStat
		}{{"active", &v.Active}, {"shadow", v.Shadow}, {"last good", v.LastGood}} {
			if r.stat == nil {
				continue
			}
			digest, time := "-", "-"
			if r.stat.Digest != "" {
				digest = r.stat.Digest[:12]
			}
			if r.stat.TimeMeanNS > 0 {
				time = fmt.Sprintf("%.1f µs", float64(r.stat.TimeMeanNS)/1000)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", v.Kind, r.role, clip(r.stat.Name, 24), digest, r.stat.Decisions, r.stat.Faults, r.stat.FuelMean, time)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, v := range views {
		if v.Shadow != nil {
			fmt.Fprintf(e.stdout, "%s: the shadow agrees on %d decisions and differs on %d\n", v.Kind, v.Agreed, v.Differed)
		}
		if v.SetAside != "" {
			fmt.Fprintf(e.stdout, "%s: %s failed too often and was set aside\n", v.Kind, v.SetAside)
		}
		if v.Builtin > 0 {
			fmt.Fprintf(e.stdout, "%s: the built-in rule took %d decisions\n", v.Kind, v.Builtin)
		}
	}
	return nil
}

// clip keeps the end of a long name, which tells more than its beginning.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return "…" + string(r[len(r)-n+1:])
	}
	return s
}

// policyRef are the flags of commands that hand a policy to a node.
type policyRef struct {
	target
	Kind  string   `arg:"" enum:"route,admit,replicate" help:"route, admit or replicate."`
	Param []string `help:"Parameter of the policy." placeholder:"KEY=VALUE"`
}

// order has the node do something, and shows what decides then.
func (c *policyRef) order(e *env, action, ref string) error {
	o := api.PolicyOrder{}
	if len(c.Param) > 0 {
		o.Params = strings.Join(c.Param, "\n") + "\n"
	}
	// A file is read here: the node may not be allowed to, or see another folder.
	code, sig, err := readSigned(ref)
	switch {
	case ref == "":
	case err == nil:
		o.Name, o.Code, o.Signature = ref, code, sig
	case errors.Is(err, fs.ErrNotExist) && !strings.HasSuffix(ref, ".wasm"):
		o.Ref = ref
	default:
		return err
	}
	resp, err := c.post(e.ctx, "/omx/v1/policies/"+c.Kind+"/"+action, o)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var views []api.PolicyView
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(&views); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	return showPolicies(e, views)
}

type policyActivateCmd struct {
	policyRef
	Ref string `arg:"" help:"Module (.wasm), name of a built-in policy, or sha256:DIGEST of one used before."`
}

func (c *policyActivateCmd) Run(e *env) error { return c.order(e, "activate", c.Ref) }

type policyShadowCmd struct {
	policyRef
	Ref string `arg:"" optional:"" help:"Policy to try beside the one in charge, as for activate; none: stop trying."`
}

func (c *policyShadowCmd) Run(e *env) error { return c.order(e, "shadow", c.Ref) }

type policyPromoteCmd struct{ policyRef }

func (c *policyPromoteCmd) Run(e *env) error { return c.order(e, "promote", "") }

type policyRollbackCmd struct{ policyRef }

func (c *policyRollbackCmd) Run(e *env) error { return c.order(e, "rollback", "") }
