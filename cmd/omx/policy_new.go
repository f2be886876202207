package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"omx/policies"
	"omx/policies/abi"
)

type policyNewCmd struct {
	Name string `arg:"" help:"Name of the policy: lower-case letters, digits and dashes."`
	Lang string `help:"Language: ${enum}." enum:"assemblyscript,c,go,rust,wat" required:""`
	Kind string `help:"What it decides: ${enum}." enum:"route,admit,replicate" default:"route"`
	Dir  string `help:"Where to make its folder." default:"." type:"path"`
}

// Run writes the project into a new folder of the policy's name.
func (c *policyNewCmd) Run(e *env) error {
	kind, _ := abi.ParseKind(c.Kind)
	files, err := policies.Project(c.Name, c.Lang, kind)
	if err != nil {
		return usageError{err}
	}
	dir := filepath.Join(c.Dir, c.Name)
	if err := os.Mkdir(dir, 0o755); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already: choose another name, or remove it", dir)
	} else if err != nil {
		return fmt.Errorf("make project: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := writeProjectFile(filepath.Join(dir, filepath.FromSlash(name)), files[name]); err != nil {
			return fmt.Errorf("make project: %w", err)
		}
		fmt.Fprintln(e.stdout, filepath.Join(dir, filepath.FromSlash(name)))
	}
	e.say("next: omx policy build %s", dir)
	return nil
}

func writeProjectFile(file string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if filepath.Ext(file) == ".sh" {
		mode = 0o755
	}
	return os.WriteFile(file, b, mode)
}
