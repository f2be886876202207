package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/node/api"
	"omx/node/nodetest"
	"omx/testnet/hosts"
)

// said runs a command and checks that what it says fits into 80 columns.
func said(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	code, stdout, stderr = omx(t, args...)
	for line := range strings.Lines(stdout + stderr) {
		// Data that people copy, errors and folders are as long as they are.
		free := strings.HasPrefix(line, "omx1") || strings.HasPrefix(line, "omx: ") || strings.ContainsAny(line, `"/`)
		if n := len([]rune(line)); n > 81 && !free {
			t.Errorf("omx %s: a line of %d columns: %s", strings.Join(args, " "), n-1, line)
		}
	}
	return code, stdout, stderr
}

// serving starts a node in this process and returns where its API is, and how to
// stop it.
func serving(t *testing.T, data string, args ...string) (url string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var errs writer
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, append([]string{"serve", "--json", "--data", data, "--listen", "127.0.0.1:0", "--no-mdns"}, args...), strings.NewReader(""), w, &errs, os.Getenv)
		w.Close()
	}()
	line, err := bufio.NewReader(r).ReadBytes('\n')
	var ready hosts.Ready
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		cancel()
		t.Fatalf("serve: %v, code %d, %s", err, <-done, errs)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("serve ended with %d: %s", code, errs)
		}
	}
	t.Cleanup(stop)
	return ready.API, stop
}

func TestMeshCommands(t *testing.T) {
	dir := t.TempDir()
	a, b, c := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")
	if code, _, talk := said(t, "mesh", "init", "--data", a, "--name", "alpha"); code != 0 || !strings.Contains(talk, "omx mesh invite") {
		t.Fatalf("init = %d: %s", code, talk)
	}
	if code, _, talk := said(t, "mesh", "init", "--data", a); code != 1 || !strings.Contains(talk, "already") {
		t.Errorf("init again = %d: %s", code, talk)
	}
	apiA, _ := serving(t, a, "--name", "alpha")
	code, token, talk := said(t, "mesh", "invite", "--api", apiA, "--uses", "2")
	if code != 0 || !strings.HasPrefix(token, "omx1") || !strings.Contains(talk, "this machine only") {
		t.Fatalf("invite = %d: %s%s", code, token, talk)
	}
	token = strings.TrimSpace(token)
	if code, _, talk := said(t, "mesh", "join", "--data", b, "--name", "beta", token); code != 0 || !strings.Contains(talk, "joined mesh") || !strings.Contains(talk, "omx serve") {
		t.Fatalf("join = %d: %s", code, talk)
	}
	if code, out, _ := said(t, "mesh", "join", "--data", c, "--name", "gamma", "--json", token); code != 0 || !strings.Contains(out, `"mesh":`) {
		t.Fatalf("join = %d: %s", code, out)
	}
	if code, _, talk := said(t, "mesh", "join", "--data", filepath.Join(dir, "d"), token); code != 1 || !strings.Contains(talk, "has been used") {
		t.Errorf("a third one = %d: %s", code, talk)
	}
	apiB, stopB := serving(t, b, "--name", "beta")
	apiC, _ := serving(t, c, "--name", "gamma")
	members := func(api_ string) (connected int) {
		_, out, _ := said(t, "mesh", "members", "--api", api_, "--json")
		var list []api.MemberView
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatalf("members: %v: %s", err, out)
		}
		for _, m := range list {
			if m.Connected {
				connected++
			}
		}
		return connected
	}
	nodetest.Eventually(t, "all see all", func() bool { return members(apiA) == 3 && members(apiB) == 3 && members(apiC) == 3 })
	if _, out, _ := said(t, "mesh", "members", "--api", apiA); !strings.Contains(out, "alpha *") || !strings.Contains(out, "serve, key") || !strings.Contains(out, "24 h left") {
		t.Errorf("members:\n%s", out)
	}
	if _, out, _ := said(t, "mesh", "status", "--api", apiB); !strings.Contains(out, "3 known, 2 connected") {
		t.Errorf("status:\n%s", out)
	}
	for name, args := range map[string][]string{
		"does not hold the mesh's key":    {"mesh", "invite", "--api", apiB},
		"is no member that is known here": {"mesh", "revoke", "--api", apiA, "nobody"},
		"is no invitation":                {"mesh", "join", "--data", b, "omx1x"},
		"this node is in mesh":            {"mesh", "join", "--data", b, token},
		"is no address":                   {"mesh", "invite", "--api", apiA, "--addr", "x y"},
		"a token is good for 1 to":        {"mesh", "invite", "--api", apiA, "--uses", "100000"},
		"must be one of":                  {"mesh", "invite", "--api", apiA, "--role", "king"},
		"--uses must be at least 1":       {"mesh", "invite", "--api", apiA, "--uses", "0"},
		"a node cannot remove itself":     {"mesh", "revoke", "--api", apiA, "alpha"},
		"is it running?":                  {"mesh", "status", "--api", "http://127.0.0.1:1"},
	} {
		if code, _, talk := said(t, args...); code == 0 || !strings.Contains(talk, name) || strings.Count(talk, "\n") != 1 {
			t.Errorf("omx %s = %d: %s, want one line with %q", strings.Join(args, " "), code, talk, name)
		}
	}
	if code, _, talk := said(t, "mesh", "revoke", "--api", apiA, "gamma"); code != 0 || !strings.Contains(talk, "removed gamma") {
		t.Fatalf("revoke = %d: %s", code, talk)
	}
	nodetest.Eventually(t, "gamma is out", func() bool { return members(apiA) == 2 && members(apiB) == 2 && members(apiC) == 1 })
	stopB()
	nodetest.Eventually(t, "beta has left", func() bool { return members(apiA) == 1 })
	alone, _ := serving(t, filepath.Join(dir, "e"))
	if code, _, talk := said(t, "mesh", "status", "--api", alone); code != 1 || !strings.Contains(talk, "omx mesh init") {
		t.Errorf("status without a mesh = %d: %s", code, talk)
	}
}
