package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"omx/node/nodetest"
	"omx/testnet/hosts"
)

// asOmx makes the test program behave as omx, so that tests start real
// processes of the code under test.
const asOmx = "OMX_TEST_AS_OMX"

func TestMain(m *testing.M) {
	if os.Getenv(asOmx) != "" {
		main()
		return
	}
	testscript.Main(m, map[string]func(){"omx": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"node": scriptNode},
		Setup: func(e *testscript.Env) error {
			// Scripts name the engine folder themselves, or test its absence.
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("ENGINE", nodetest.EngineDirs(t)[0])
			e.Setenv("OMX_ENGINE_DIR", "")
			return nil
		},
	})
}

// scriptNode starts a node with the demonstration model, and flags as they are given,
// for the rest of a script.
func scriptNode(ts *testscript.TestScript, _ bool, flags []string) {
	exe, err := exec.LookPath("omx")
	ts.Check(err)
	net, err := hosts.Up(context.Background(), hosts.Config{Exe: exe, Dir: ts.MkAbs("."), Nodes: 1, Holders: 1,
		Args: append([]string{"--engine-dir", ts.Getenv("ENGINE"), "--no-mdns"}, flags...)})
	ts.Check(err)
	ts.Defer(func() { ts.Check(net.Down()) })
	ts.Setenv("OMX_API", net.Hosts[0].API)
	ts.Check(awaitHolders(context.Background(), &target{API: net.Hosts[0].API}, 1))
}

// Without arguments, and for help, nothing is wrong.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"serve", "--help"}} {
		if code, out, errs := omx(t, args...); code != 0 || len(out) == 0 || len(errs) != 0 {
			t.Errorf("omx %v = %d, %d bytes of help, stderr %q", args, code, len(out), errs)
		}
	}
}

// omx runs a command and returns what it printed.
func omx(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs writer
	code = run(t.Context(), args, nil, &out, &errs, os.Getenv)
	return code, string(out), string(errs)
}

// command runs a command that has something to read, and returns what it printed; the
// code must be as wanted.
func command(t *testing.T, code int, stdin string, args ...string) (out, talk string) {
	t.Helper()
	var o, e writer
	if got := run(t.Context(), args, strings.NewReader(stdin), &o, &e, os.Getenv); got != code {
		t.Errorf("omx %s: code %d, want %d: %s", strings.Join(args, " "), got, code, e)
	}
	return string(o), string(e)
}

// writer is what was written to it.
type writer []byte

func (w *writer) Write(b []byte) (int, error) { *w = append(*w, b...); return len(b), nil }
