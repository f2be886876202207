package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"omx/node/nodetest"
	"omx/policies"
	"omx/testnet/hosts"
)

// up starts a mesh of real processes and returns a client for its first node, which
// has the key of the environment, if there is one.
func up(t *testing.T, nodes, holding int, args ...string) (*hosts.Net, *env, *target) {
	t.Helper()
	mark := fmt.Sprintf("OMX_TEST_MESH=%d-%d", os.Getpid(), time.Now().UnixNano())
	name, value, _ := strings.Cut(mark, "=")
	t.Setenv(asOmx, "1")
	t.Setenv(name, value)
	dir := t.TempDir()
	net, err := hosts.Up(t.Context(), hosts.Config{Exe: os.Args[0], Dir: dir, Nodes: nodes, Holders: holding,
		Args: append([]string{"--engine-dir", nodetest.EngineDirs(t)[0]}, args...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := net.Down(); err != nil {
			t.Error(err)
		}
		awaitNoProcess(t, mark)
		if left, _ := filepath.Glob(filepath.Join(dir, "*", "catalog", "*lock*")); len(left) > 0 && !t.Failed() {
			for _, f := range left {
				if !killed[filepath.Base(filepath.Dir(filepath.Dir(f)))] {
					t.Errorf("left behind: %s", f)
				}
			}
		}
		clear(killed)
	})
	e := &env{ctx: t.Context(), stdout: &writer{}, stderr: &writer{}, getenv: os.Getenv}
	first := &target{API: net.Hosts[0].API, Key: os.Getenv("OMX_KEY")}
	if err := awaitHolders(t.Context(), first, holding); err != nil {
		t.Fatal(err)
	}
	return net, e, first
}

// killed are the nodes a test ended by force, which may leave their lock file.
var killed = map[string]bool{}

// awaitNoProcess checks that nothing started with the mark in its environment
// still runs: no node, no worker.
func awaitNoProcess(t *testing.T, mark string) {
	deadline := time.Now().Add(time.Minute)
	for {
		var left []string
		environs, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, f := range environs {
			if b, err := os.ReadFile(f); err == nil && bytes.Contains(b, []byte(mark)) && !strings.Contains(f, fmt.Sprintf("/%d/", os.Getpid())) {
				left = append(left, f)
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("processes left behind: %v", left)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Three processes, the model on two of them, asked through the third.
func TestMeshAnswers(t *testing.T) {
	net, e, first := up(t, 3, 2)
	saw := &question{Model: demoModel, Prompt: whoAreYou, MaxTokens: 64}
	if err := saw.ask(e, first, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if saw.Node != "node-2" && saw.Node != "node-3" {
		t.Errorf("%q answered, which does not hold the model", saw.Node)
	}
	if !strings.HasPrefix(saw.Policy, policies.DefaultRoute+"@") {
		t.Errorf("policy = %q, want the default's module", saw.Policy)
	}
	if saw.Answer != itIs {
		t.Errorf("the model does not know who it is: %q", saw.Answer)
	}

	// What the command line shows of it.
	for _, h := range net.Hosts {
		code, _, talk := omx(t, "run", "--api", h.API, "--explain", demoModel, "Who are you?")
		if code != 0 || !strings.Contains(talk, "first token") || !strings.Contains(talk, policies.DefaultRoute+"@") {
			t.Fatalf("omx run at %s: code %d, %s", h.Name, code, talk)
		}
	}
	if code, out, talk := omx(t, "nodes", "--api", first.API); code != 0 || strings.Count(out, "up") < 3 || !strings.Contains(out, "node-1 *") {
		t.Errorf("omx nodes: code %d, %s%s", code, out, talk)
	}

	// What an operator does before stopping one.
	for _, order := range []struct {
		args []string
		code int
		want string // in what it prints
	}{
		{[]string{"ping", "--count", "1", "node-2"}, 0, "1 answers: least "},
		{[]string{"ping", "node-9"}, 1, "see: omx nodes"},
		{[]string{"ping", "--count", "0", "node-2"}, 2, "--count must be"},
		{[]string{"drain"}, 0, "can be stopped"},
		{[]string{"drain", "--off", "--json"}, 0, `"draining": false`},
	} {
		code, out, talk := omx(t, append([]string{order.args[0], "--api", first.API}, order.args[1:]...)...)
		if got := out + talk; code != order.code || !strings.Contains(got, order.want) {
			t.Errorf("omx %s: %d, %s", strings.Join(order.args, " "), code, got)
		}
	}
}

// The node that is serving is frozen, then killed, before its first token: the
// next pick answers, and the client sees one whole answer.
func TestServingNodeDiesBeforeItsFirstToken(t *testing.T) {
	net, e, first := up(t, 3, 2, "--peer-timeout", "1500ms")
	q := &question{Model: demoModel, Prompt: "Who are you?", MaxTokens: 64}
	if err := q.ask(e, first, func(string) {}); err != nil {
		t.Fatal(err)
	}
	want := q.Answer
	var victim *hosts.Host
	for _, h := range net.Hosts {
		if h.Name == q.Node {
			victim = h
		}
	}
	if victim == nil {
		t.Fatalf("%q answered, which is no node of the mesh", q.Node)
	}
	killed[victim.Name] = true
	if err := victim.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// The same question takes the same way, unless the policy sees the silence first.
	answered := make(chan error, 1)
	again := &question{Model: demoModel, Prompt: "Who are you?", MaxTokens: 64}
	began := time.Now()
	go func() { answered <- again.ask(e, first, func(string) {}) }()
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if again.Answer != want || again.Node == victim.Name {
		t.Errorf("%s answered %q, want another node and %q", again.Node, again.Answer, want)
	}
	t.Logf("answered %v after the question", time.Since(began).Round(time.Millisecond))
	awaitDown(t, first, victim.Name)
}

// Replacing the policy file swaps the policy; requests under way and after it
// are all answered, and a broken file changes nothing.
func TestPolicySwapLosesNoRequest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "route.wasm")
	replace := func(code []byte) {
		t.Helper()
		if err := os.WriteFile(file+".new", code, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	builtin := func(name string) []byte {
		code, ok := policies.Builtin(name)
		if !ok {
			t.Fatalf("no policy %s", name)
		}
		return code
	}
	replace(builtin("nearest"))
	_, e, first := up(t, 2, 1, "--route-policy", file)

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var asked atomic.Int64
	seen := sync.Map{}
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				q := &question{Model: demoModel, Prompt: "Hello", MaxTokens: 8}
				if err := q.ask(e, first, func(string) {}); err != nil {
					t.Errorf("request %d: %v", asked.Load(), err)
					return
				}
				asked.Add(1)
				seen.Store(q.Policy, true)
			}
		})
	}
	policy := func() string {
		q := &question{Model: demoModel, Prompt: "Hello", MaxTokens: 1}
		if err := q.ask(e, first, func(string) {}); err != nil {
			t.Error(err)
		}
		return q.Policy
	}
	before := policy()
	for _, next := range []string{"least-loaded", "random", "nearest"} {
		replace(builtin(next))
		nodetest.Eventually(t, next+" comes into use", func() bool { return policy() != before })
		before = policy()
	}
	replace([]byte("this is no policy"))
	kept := asked.Load()
	for asked.Load() < kept+50 && !t.Failed() {
		if now := policy(); now != before {
			t.Fatalf("a broken file changed the policy to %s", now)
		}
	}
	stop()
	wg.Wait()
	n := 0
	seen.Range(func(any, any) bool { n++; return true })
	t.Logf("%d requests over %d policies, none lost", asked.Load(), n)
	if n < 2 {
		t.Errorf("the requests saw %d policies", n)
	}
}

// A node ended by force leaves no worker behind.
func TestKilledNodeLeavesNoWorker(t *testing.T) {
	net, _, _ := up(t, 1, 1)
	killed[net.Hosts[0].Name] = true
	if err := net.Hosts[0].Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	// The cleanup of up waits for every process with this test's mark.
}
