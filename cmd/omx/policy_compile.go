package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"omx/node/files"
	"omx/policies/rules"
	"omx/wasm"
)

// maxRules bounds the rules before they are read: what comes of more would be
// refused.
const maxRules = 1 << 20

type policyCompileCmd struct {
	File string `arg:"" help:"Rules (.toml); policies/RULES.md explains them." type:"path"`
	Out  string `short:"o" help:"Where to write the module, - for standard output (default: FILE with .wasm for .toml)." placeholder:"FILE"`
}

func (c *policyCompileCmd) Run(e *env) error {
	text, err := files.ReadBounded(c.File, maxRules)
	if err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	p, err := rules.Compile(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	// What a node would refuse is not written.
	if _, err := wasm.Check(e.ctx, p.Module, wasm.Limits{}, nil); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if c.Out == "-" {
		_, err := e.stdout.Write(p.Module)
		return err
	}
	out := c.Out
	if out == "" {
		out = strings.TrimSuffix(c.File, filepath.Ext(c.File)) + ".wasm"
	}
	if err := os.WriteFile(out, p.Module, 0o644); err != nil {
		return fmt.Errorf("write policy: %w", err)
	}
	fmt.Fprintf(e.stdout, "%s: %s policy %s, %d bytes, sha256 %x\n", out, p.Kind, p.Name, len(p.Module), sha256.Sum256(p.Module))
	return nil
}
