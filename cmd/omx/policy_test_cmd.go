package main

import (
	"fmt"
	"strings"

	"omx/policies/abi"
	"omx/wasm"
)

type policyTestCmd struct {
	policyFile
	Views string `help:"Samples to try it on, a .json file or a folder of them, beside those the module carries." placeholder:"PATH" type:"path"`
}

// Help explains samples.
func (policyTestCmd) Help() string {
	return `A file of samples is a JSON list. Each has a name, a kind, the fields of the
view by the names of the interface's reference, and what is expected:

  {"name": "the nearest of equals", "kind": "route",
   "header": {"clock": 60000, "prompt": 200},
   "rows": [{"node": 1, "flags": ["loaded"], "rtt": 9000, "rttAt": 59000},
            {"node": 2, "flags": ["loaded"], "rtt": 2000, "rttAt": 59000}],
   "expect": {"row": 1}}

Expected can be a status (ok if left out); of route row, notRow, never and scores;
of admit action, reason and wait; of replicate steps. "events" are heard before.`
}

// Run tries every sample on an instance of its own, and fails if one is answered
// otherwise.
func (c *policyTestCmd) Run(e *env) error {
	var cases []policyCase
	if c.Views != "" {
		var err error
		if cases, err = loadCases(c.Views); err != nil {
			return err
		}
	}
	p, err := c.open(e) // which has it answer the samples that it carries
	if err != nil {
		return err
	}
	defer p.close()
	carried, err := wasm.Samples(p.code)
	if err != nil {
		return err
	}
	if len(cases)+len(carried) == 0 {
		return fmt.Errorf("%s carries no samples: give some with --views", c.File)
	}
	if len(carried) > 0 {
		fmt.Fprintf(e.stdout, "ok    %d samples that the module carries\n", len(carried))
	}
	failed := 0
	for i := range cases {
		fuel, err := tryCase(e, p, &cases[i])
		if err == nil {
			fmt.Fprintf(e.stdout, "ok    %s (%d fuel)\n", cases[i].name, fuel)
			continue
		}
		failed++
		fmt.Fprintf(e.stdout, "FAIL  %s\n      %s\n", cases[i].name, strings.ReplaceAll(err.Error(), "\n", "\n      "))
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d samples fail", failed, len(cases)+len(carried))
	}
	return nil
}

// tryCase has a fresh instance decide, so that samples do not depend on their
// order.
func tryCase(e *env, p *openPolicy, c *policyCase) (uint64, error) {
	i, err := p.instance(e.ctx)
	if err != nil {
		return 0, err
	}
	defer i.Close()
	if !i.Has(c.shape.Kind) {
		return 0, fmt.Errorf("the policy does not decide %s", c.shape.Kind)
	}
	v, a, fuel, err := tryView(i, c)
	if err != nil {
		return fuel, err
	}
	return fuel, c.expect.compare(v, a)
}

// asSample is the case as a module carries it, with the answer that the policy
// gives to it.
func asSample(e *env, p *openPolicy, c *policyCase) (wasm.Sample, error) {
	i, err := p.instance(e.ctx)
	if err != nil {
		return wasm.Sample{}, err
	}
	defer i.Close()
	stride, tags := i.Wants(c.shape.Kind)
	s := c.as(stride, tags)
	view := make([]byte, s.Size())
	c.write(view, s, tags)
	v, a, _, err := tryView(i, c)
	if err == nil {
		err = c.expect.compare(v, a)
	}
	return wasm.Sample{Kind: abi.Kind(s.Kind), View: view, Answer: a}, err
}
