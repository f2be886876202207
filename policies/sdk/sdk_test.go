// Package sdk_test builds the projects that authors begin with, in every
// language whose compiler is there, and has them decide as plain Go does.
package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

var update = flag.Bool("update", false, "rewrite the modules in testdata")

// kept are the languages whose modules are checked in, so that they are tried
// where their compilers are not.
var kept = map[string]bool{"c": true, "rust": true}

// The SDK of each language reads views and answers as the host does.
func TestDecisions(t *testing.T) {
	for _, l := range policies.Languages {
		for _, k := range abi.Kinds {
			t.Run(l.Name+"/"+k.String(), func(t *testing.T) {
				if testing.Short() && l.Name == "go" {
					t.Skip("it takes seconds to compile")
				}
				code := module(t, l, k)
				p := load(t, code, l.Name == "go")
				try(t, p, k)
			})
		}
	}
}

// module is the checked-in module, or one that is built.
func module(t *testing.T, l policies.Language, k abi.Kind) []byte {
	t.Helper()
	if kept[l.Name] && !*update {
		code, err := os.ReadFile(fixture(l, k))
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	code, _ := build(t, l, k)
	return code
}

func fixture(l policies.Language, k abi.Kind) string {
	return filepath.Join(l.Name, "testdata", k.String()+".wasm")
}

// The checked-in modules are what their compilers make of the projects.
func TestFixtures(t *testing.T) {
	for _, l := range policies.Languages {
		if !kept[l.Name] {
			continue
		}
		t.Run(l.Name, func(t *testing.T) {
			record := filepath.Join(l.Name, "testdata", "compiler.txt")
			for _, k := range abi.Kinds {
				code, compiler := build(t, l, k)
				if *update {
					if err := errors.Join(os.WriteFile(fixture(l, k), code, 0o644), os.WriteFile(record, []byte(compiler+"\n"), 0o644)); err != nil {
						t.Fatal(err)
					}
				}
				recorded, err := os.ReadFile(record)
				if err != nil {
					t.Fatal(err)
				}
				if was := strings.TrimSpace(string(recorded)); was != compiler {
					t.Skipf("built by %q, here is %q", was, compiler)
				}
				want, err := os.ReadFile(fixture(l, k))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(code, want) {
					t.Errorf("%s is stale: run go test ./policies/sdk -update", fixture(l, k))
				}
			}
		})
	}
}

// build makes the module of a project, and tells by which compiler.
func build(t *testing.T, l policies.Language, k abi.Kind) (code []byte, compiler string) {
	t.Helper()
	return buildWith(t, l, k, nil)
}

// buildWith builds a project with another source, unless it is nil.
func buildWith(t *testing.T, l policies.Language, k abi.Kind, other []byte) (code []byte, compiler string) {
	t.Helper()
	files, err := policies.Project("sample", l.Name, k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, b := range files {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	source := "sample" + l.Ext
	if other != nil {
		if err := os.WriteFile(filepath.Join(dir, source), other, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range l.Builders {
		// What npm installed for the built-in policies will do.
		program, err := exec.LookPath(b.Program)
		if local, here := filepath.Abs(filepath.Join("..", "node_modules", ".bin", b.Program)); here == nil && err != nil {
			program, err = exec.LookPath(local)
		}
		if err != nil || l.Name == "rust" && !hasTarget(t.Context(), program) {
			continue
		}
		cmd := exec.CommandContext(t.Context(), program, b.Fill(source, "sample.wasm")...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), b.Env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, out)
		}
		if code, err = os.ReadFile(filepath.Join(dir, "sample.wasm")); err != nil {
			t.Fatal(err)
		}
		return code, version(t, program)
	}
	t.Skipf("no compiler for %s here: %s", l.Name, l.Hint)
	return nil, ""
}

// version is the first line that a compiler says of itself.
func version(t *testing.T, program string) string {
	t.Helper()
	arg := "--version"
	if filepath.Base(program) == "go" {
		arg = "version"
	}
	out, err := exec.CommandContext(t.Context(), program, arg).Output()
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

func hasTarget(ctx context.Context, rustc string) bool {
	out, err := exec.CommandContext(ctx, rustc, "--print", "target-libdir", "--target", "wasm32-unknown-unknown").Output()
	if err != nil {
		return false
	}
	_, err = os.Stat(strings.TrimSpace(string(out)))
	return err == nil
}

func load(t *testing.T, code []byte, large bool) *wasm.Instance {
	t.Helper()
	h, err := wasm.NewHost(t.Context(), wasm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	lim := wasm.Limits{Large: large}
	if large {
		lim.FuelBase, lim.FuelPerRow = 20_000_000, 4000 // Go's code pays for its own way of jumping
	}
	i, err := h.Load(t.Context(), "sample", code, lim)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// try compares a policy with plain Go on views of every size, on one instance, so
// that its area grows under it.
func try(t *testing.T, i *wasm.Instance, k abi.Kind) {
	f := fleet{rand.New(rand.NewPCG(1, uint64(k)))}
	sizes := []int{1, 8, 64, 512, abi.MaxRows}
	switch k {
	case abi.Admit:
		sizes = sizes[:1]
	case abi.Replicate:
		sizes[4] = abi.MaxNodes
	}
	for _, n := range sizes {
		rounds := max(20, 512/n)
		before := uint64(0)
		for round := range rounds {
			h, rows := f.header(), f.rows(n)
			s := abi.Shape{Kind: k, Rows: n}
			s.Stride, _ = i.Wants(k)
			var models []abi.Model
			var copies []abi.Copy
			if k == abi.Replicate {
				models, copies = f.models(1+f.IntN(64), n)
				s.Models, s.Copies = len(models), len(copies)
			}
			v, a := decide(t, i, &s, &h, rows, models, copies)
			if err := compare(v, a, &h, rows, models, copies); err != nil {
				t.Fatalf("%d rows, view %d: %v", n, round, err)
			}
			if round == 0 {
				before = i.MemoryBytes()
			} else if m := i.MemoryBytes(); m != before {
				t.Fatalf("%d rows, view %d: memory grew from %d to %d bytes", n, round, before, m)
			}
		}
	}
}

// decide writes a view and has the policy decide.
func decide(t *testing.T, i *wasm.Instance, s *abi.Shape, h *abi.Header, rows []abi.Row, models []abi.Model, copies []abi.Copy) (abi.View, abi.Answer) {
	t.Helper()
	b, err := i.View(s.Kind, s.Size())
	if err != nil {
		t.Fatal(err)
	}
	to := abi.Begin(b, s)
	to.Prompt, to.ExpectOut, to.Priority, to.Clock = h.Prompt, h.ExpectOut, h.Priority, h.Clock
	for n := range rows {
		abi.PutRow(b, s.Stride, n, &rows[n])
	}
	for n := range models {
		abi.PutModel(b, to, n, &models[n])
	}
	for n := range copies {
		abi.PutCopy(b, to, n, &copies[n])
	}
	a, _, err := i.Call(s.Kind, len(b), s.Rows)
	if err != nil {
		t.Fatal(err)
	}
	v, err := abi.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	return v, a
}

func compare(v abi.View, a abi.Answer, h *abi.Header, rows []abi.Row, models []abi.Model, copies []abi.Copy) error {
	switch abi.Kind(v.Kind) {
	case abi.Admit:
		if want := admit(h, &rows[0]); a != want {
			return fmt.Errorf("answer %#x, want %#x", a, want)
		}
	case abi.Route:
		want, scores := route(h, rows)
		for n, got := range v.ScoreList() {
			if got != scores[n] {
				return fmt.Errorf("row %d: score %d, want %d: %+v", n, got, scores[n], rows[n])
			}
		}
		if a != want {
			return fmt.Errorf("answer %#x, want %#x", a, want)
		}
	case abi.Replicate:
		want, step := replicate(rows, models, copies)
		if a != want || *v.Step(0) != step {
			return fmt.Errorf("answer %#x, %+v, want %#x, %+v", a, *v.Step(0), want, step)
		}
	}
	return nil
}
