package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"omx/node"
)

// run is all that is found, and which checks had something to say.
func run(t testing.TB, cfg Config) (all []Finding, names string) {
	t.Helper()
	if err := Run(t.Context(), cfg, func(f Finding) { all = append(all, f) }); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range all {
		list = append(list, f.Check)
	}
	return all, strings.Join(slices.Compact(list), ", ")
}

// Beside a node and after it, everything is found to be well, in the order of the
// table, and the folder is as it was.
func TestRun(t *testing.T) {
	cfg := at(filepath.Join(t.TempDir(), "data"))
	cfg.EngineDirs, cfg.Root = engineDirs(t), t.TempDir()
	store(t, cfg.Data, "m", "no model, but whole", "")
	if err := os.Chmod(cfg.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	n := started(t, node.Config{Data: cfg.Data})
	alone := cfg
	cfg.API = n.URL()
	machine := "data folder, disk, memory, open files, engine, devices, identity, keys, models, policies, clock, mesh, mesh port, UDP buffer, node"
	all, names := run(t, cfg)
	if want := machine + ", access, peers, served, decisions"; names != want {
		t.Errorf("with a node: %s\nwant: %s", names, want)
	}
	for _, f := range all {
		if f.Mark == Problem && f.Check != "served" { // m is no model
			t.Errorf("%+v", f)
		}
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}

	before := everything(t, cfg.Data)
	all, names = run(t, alone)
	if names != machine {
		t.Errorf("without a node: %s\nwant: %s", names, machine)
	}
	for _, f := range all {
		if f.Mark == Problem {
			t.Errorf("%+v", f)
		}
	}
	if after := everything(t, cfg.Data); !slices.Equal(before, after) {
		t.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

// On a machine where nothing is, nothing is made.
func TestRunWithoutAnything(t *testing.T) {
	cfg := at(filepath.Join(t.TempDir(), "none"))
	all, names := run(t, cfg)
	if want := "data folder, disk, memory, open files, engine, clock, mesh port, UDP buffer, node"; names != want {
		t.Errorf("%s\nwant: %s", names, want)
	}
	for _, f := range all {
		if f.Mark == Problem {
			t.Errorf("%+v", f)
		}
	}
	if _, err := os.Lstat(cfg.Data); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// What waits for a disk that hangs, here a pipe that nobody writes to, does not keep
// the rest from being told.
func TestHangs(t *testing.T) {
	cfg := at(t.TempDir())
	cfg.Patience = 500 * time.Millisecond
	pipe := filepath.Join(cfg.Data, node.KeysFile)
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	defer func() { // lets go what waits
		f, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}()
	all, names := run(t, cfg)
	if !strings.HasSuffix(names, "UDP buffer, node") {
		t.Errorf("not told after what hangs: %s", names)
	}
	for _, f := range all {
		if f.Check == "keys" {
			expect(t, []Finding{f}, "problem: not done within 500ms >> dmesg")
		}
	}
}

// Who does not want to wait is not told that something hangs.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var told []Finding
	err := Run(ctx, at(t.TempDir()), func(f Finding) { told = append(told, f); cancel() })
	if !errors.Is(err, context.Canceled) || len(told) != 1 {
		t.Errorf("%v after %+v", err, told)
	}
}

func TestConfig(t *testing.T) {
	for _, api := range []string{"", "127.0.0.1:11435", "ftp://x", "http://"} {
		cfg := at(t.TempDir())
		cfg.API, cfg.Mesh = api, "nonsense"
		err := Run(t.Context(), cfg, func(f Finding) { t.Errorf("looked: %+v", f) })
		if err == nil || !strings.Contains(err.Error(), "write it as http://") || !strings.Contains(err.Error(), "write it as /ip4/") {
			t.Errorf("%q: %v", api, err)
		}
	}
}

func TestBounded(t *testing.T) {
	var list []Finding
	for range maxFindings {
		list = append(list, ok(nil, "x"))
	}
	if got := bounded(list); len(got) != maxFindings {
		t.Errorf("%d lines of %d", len(got), maxFindings)
	}
	list = append(list, ok(nil, "x"), advice("a", nil, "x"), problem("p", nil, "x"), advice("b", nil, "x"))
	got := bounded(list)
	expect(t, got[maxFindings:], "problem: and 4 more like these >> p")
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"/a/b-c.d": "/a/b-c.d", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "-x": "'-x'", "$HOME": "'$HOME'", "a;b": "'a;b'"} {
		if got := quote(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
