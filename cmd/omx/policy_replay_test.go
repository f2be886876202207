package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"omx/node/decide"
	"omx/node/decide/journal"
	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

// recordDecisions has a built-in policy decide as often, and returns the journal.
func recordDecisions(t *testing.T, name string, kind abi.Kind, decisions int) string {
	t.Helper()
	code, ok := policies.Builtin(name)
	if !ok {
		t.Fatalf("no policy %s", name)
	}
	dir := t.TempDir()
	w, err := journal.Open(dir, journal.Config{})
	if err != nil {
		t.Fatal(err)
	}
	host, err := wasm.NewHost(t.Context(), wasm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close(context.Background())
	g, err := host.Load(t.Context(), name, code, wasm.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(code)
	w.Fresh(kind, digest, nil, 1)
	rows := 5
	if kind == abi.Admit {
		rows = 1
	}
	v, err := newBenchView(g, kind, rows)
	if err != nil {
		t.Fatal(err)
	}
	for n := range decisions {
		v.header.Request = uint64(n)
		v.rows[n%rows].Queued = uint32(n % 7)
		if err := v.decide(); err != nil { // writes the view, and asks once
			t.Fatal(err)
		}
		b, err := g.View(kind, v.shape.Size())
		if err != nil {
			t.Fatal(err)
		}
		d := decide.Taken{Kind: kind, ID: uint64(n), View: bytes.Clone(b), Digest: digest}
		if d.Answer, d.Fuel, err = g.Call(kind, len(b), rows); err != nil {
			t.Fatal(err)
		}
		if b, err = g.View(kind, len(b)); err != nil {
			t.Fatal(err)
		}
		d.Status, d.Result = d.Answer.Status(), v.shape.Results(b)
		w.Decision(&d)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return dir
}

// replayCommand runs the command as a command line gives it.
func replayCommand(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var c policyReplayCmd
	parser, err := kong.New(&c, kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	var out, talk writer
	err = c.Run(&env{ctx: t.Context(), stdout: &out, stderr: &talk})
	return string(out), string(talk), err
}

func TestReplay(t *testing.T) {
	route := recordDecisions(t, "least-loaded", abi.Route, 100)
	admit := recordDecisions(t, "bounded-queue", abi.Admit, 50)

	// The policies that decided give the same, from the folder and from the file.
	seen, err := filepath.Glob(filepath.Join(route, "*.log"))
	if err != nil || len(seen) != 1 {
		t.Fatal(seen, err)
	}
	for _, log := range []string{route, seen[0]} {
		out, talk, err := replayCommand(t, "--log", log, "--fail-on-diff")
		if err != nil || !strings.Contains(out, "route: 100 decisions, 0 differ") || !strings.Contains(talk, "a second") {
			t.Errorf("%s: %v\n%s%s", log, err, out, talk)
		}
	}
	// Another one does not, and it can be told where.
	out, _, err := replayCommand(t, "--log", route, "--policy", "builtin:nearest")
	if err != nil || !strings.Contains(out, "another node first") || !strings.Contains(out, "; was row") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, _, err = replayCommand(t, "--log", route, "--policy", "builtin:nearest", "--fail-on-diff"); err == nil || !strings.Contains(err.Error(), "of 100 decisions differ") {
		t.Errorf("--fail-on-diff: %v", err)
	}
	// A file of a module, figures for a program, and a limit.
	module := filepath.Join(t.TempDir(), "mine.wasm")
	code, _ := policies.Builtin("allow")
	if err := os.WriteFile(module, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err = replayCommand(t, "--log", admit, "--policy", module, "--limit", "20", "--json")
	var report journal.Report
	if err == nil {
		err = json.Unmarshal([]byte(out), &report)
	}
	if err != nil || report.Decisions() != 20 || report.Kinds[0].Kind != "admit" || report.Kinds[0].Before.Median == 0 || report.Took == 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestReplayErrors(t *testing.T) {
	route := recordDecisions(t, "least-loaded", abi.Route, 10)
	damaged := filepath.Join(t.TempDir(), "damaged.log")
	if err := os.WriteFile(damaged, bytes.Repeat([]byte("no journal"), 50), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		want string
	}{
		{"--log " + t.TempDir() + "/none", "there is no such file or folder"},
		{"--log " + t.TempDir(), "no decision was recorded there"},
		{"--log " + damaged, "does not begin as a journal does"},
		{"--log " + route + " --kind admit", "holds no admit decisions"},
		{"--log " + route + " --policy builtin:allow", "of a kind that builtin:allow takes"},
		{"--log " + route + " --policy builtin:allow --kind route", "it decides admit"},
		{"--log " + route + " --policy builtin:none", "omx policy list"},
		{"--log " + route + " --policy " + damaged, "damaged.log"},
		{"--log " + route + " --param a=b", "--param goes with --policy"},
	} {
		out, _, err := replayCommand(t, strings.Fields(c.args)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || out != "" {
			t.Errorf("%s: %v, want %q\n%s", c.args, err, c.want, out)
		}
	}
}

// Policies that came with no version of omx are found among the kept ones.
func TestReplayKept(t *testing.T) {
	dir := t.TempDir()
	code, _ := policies.Builtin("nearest")
	code = wasm.AppendMetadata(code, []byte(`{"name": "mine"}`))
	digest := sha256.Sum256(code)
	w, err := journal.Open(dir, journal.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := abi.Shape{Kind: abi.Route, Stride: abi.RowSize}
	view := make([]byte, s.Size())
	abi.Begin(view, &s)
	w.Decision(&decide.Taken{Kind: abi.Route, View: view, Digest: digest, Answer: abi.Pack(abi.NoCandidate, 0), Status: abi.NoCandidate})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if _, _, err := replayCommand(t, "--log", dir); err == nil || !strings.Contains(err.Error(), "give their folder with --modules") {
		t.Errorf("without the module: %v", err)
	}
	modules := t.TempDir()
	file := filepath.Join(modules, hex.EncodeToString(digest[:])+".wasm")
	if err := os.WriteFile(file, code, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, err := replayCommand(t, "--log", dir, "--modules", modules); err != nil || !strings.Contains(out, "route: 1 decisions") {
		t.Errorf("with the module: %v\n%s", err, out)
	}
	if err := os.WriteFile(file, code[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := replayCommand(t, "--log", dir, "--modules", modules); err == nil || !strings.Contains(err.Error(), "it was changed") {
		t.Errorf("with another module: %v", err)
	}
}
