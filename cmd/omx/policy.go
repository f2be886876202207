package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"omx/policies"
	"omx/wasm"
)

type policyCmd struct {
	List     policyListCmd     `cmd:"" help:"List the built-in policies."`
	Compile  policyCompileCmd  `cmd:"" help:"Turn rules (.toml) into a policy, without any compiler."`
	New      policyNewCmd      `cmd:"" help:"Begin a policy: a small project that builds as it is."`
	Build    policyBuildCmd    `cmd:"" help:"Build a policy with its language's compiler, and check it."`
	Check    policyCheckCmd    `cmd:"" help:"Load a policy module as a node would, try it, and say what it costs."`
	Inspect  policyInspectCmd  `cmd:"" help:"Show what is in a policy module, also in one that a node refuses."`
	Test     policyTestCmd     `cmd:"" help:"Try a policy on samples of decisions."`
	Status   policyStatusCmd   `cmd:"" help:"Show what decides at a running node, and how it does."`
	Activate policyActivateCmd `cmd:"" help:"Put a policy in charge at a running node; the one before it stays warm."`
	Shadow   policyShadowCmd   `cmd:"" help:"Try a policy beside the one in charge: it is asked, and not obeyed."`
	Promote  policyPromoteCmd  `cmd:"" help:"Put the shadow in charge."`
	Rollback policyRollbackCmd `cmd:"" help:"Put the policy that decided before back in charge, at once."`
	Keygen   policyKeygenCmd   `cmd:"" help:"Make a key to sign policies with."`
	Sign     policySignCmd     `cmd:"" help:"Sign a policy; the signature goes beside it."`
	Verify   policyVerifyCmd   `cmd:"" help:"Say who signed a policy."`
	Replay   policyReplayCmd   `cmd:"" help:"Tell what another policy would have decided, from recorded decisions."`
	Bench    policyBenchCmd    `cmd:"" help:"Measure a policy's decisions: time, fuel, allocations."`
}

type policyCheckCmd struct {
	File        string `arg:"" help:"Policy module (.wasm), or the name of a built-in one."`
	PolicyLarge bool   `help:"Allow the size of modules that Go makes: 8 MiB of code, 16 MiB of memory."`
	JSON        bool   `help:"Print JSON."`
}

func (c *policyCheckCmd) Run(e *env) error {
	code, err := readPolicy(c.File)
	if err != nil {
		return err
	}
	began := time.Now()
	report, err := wasm.Check(e.ctx, code, wasm.Limits{Large: c.PolicyLarge}, func() time.Duration { return time.Since(began) })
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if c.JSON {
		return writeJSON(e, report)
	}
	fmt.Fprintf(e.stdout, "%s: ok\n  decides  %s\n  sha256   %s\n  size     %d bytes, %d with metering\n  memory   %d KiB, may grow to %d KiB\n  abi      omx%d.%d\n",
		c.File, join(report.Kinds), report.Digest, report.Bytes, report.Metered, report.Pages*64, report.MaxPages*64, report.ABI[0], report.ABI[1])
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "decision\trows\tanswer\tfuel\tof\ttime\t")
	for _, s := range report.Samples {
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%d\t%v\t\n", s.Kind, s.Rows, s.Status, s.Fuel, s.Budget, s.Time)
	}
	return w.Flush()
}

type policyListCmd struct{}

func (policyListCmd) Run(e *env) error {
	var errs []error
	for _, p := range policies.List() {
		_, err := fmt.Fprintf(e.stdout, "%-20s %-7s %s\n", p.Name, p.Kind, p.Text)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
