package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/node"
	"omx/policies/rules"
)

// What the commands do at a running node shows, and survives a restart.
func TestPolicyCommandsAtANode(t *testing.T) {
	data := t.TempDir()
	start := func() *node.Node {
		n, err := node.New(node.Config{Data: data, Listen: "127.0.0.1:0", Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := start()
	stop := func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	defer func() { stop() }()
	policy := func(args ...string) (string, int) {
		t.Helper()
		code, out, talk := omx(t, append([]string{"policy"}, append(args, "--api", n.URL())...)...)
		return out + talk, code
	}
	// shows checks the lines of the table, by their first words.
	shows := func(out string, want ...string) {
		t.Helper()
		text := strings.Join(strings.Fields(out), " ")
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("want %q in:\n%s", w, out)
			}
		}
		for _, line := range strings.Split(out, "\n") {
			if len([]rune(line)) > 100 {
				t.Errorf("a line of %d characters: %s", len([]rune(line)), line)
			}
		}
	}
	must := func(args ...string) string {
		t.Helper()
		out, code := policy(args...)
		if code != 0 {
			t.Fatalf("omx policy %v: %s", args, out)
		}
		return out
	}

	file := filepath.Join(t.TempDir(), "mine.wasm")
	p, err := rules.Compile([]byte("kind = \"route\"\n[[score]]\nvalue = \"rtt\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, p.Module, 0o600); err != nil {
		t.Fatal(err)
	}
	shows(must("status"), "route active prefix-affinity", "admit active free-slot")
	shows(must("activate", "route", file), "route active …", "mine.wasm", "route last good prefix-affinity")
	shows(must("shadow", "route", "random"), "route shadow random", "the shadow agrees on 0 decisions")
	shows(must("activate", "admit", "token-bucket", "--param", "rate=50", "--param", "burst=500"), "admit active token-bucket")
	shows(must("status"), "replicate active none")
	shows(must("activate", "replicate", "keep-n", "--param", "n=3"), "replicate active keep-n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"activate", "admit", "token-bucket", "--param", "rte=50"}, "refuses its parameters"},
		{[]string{"activate", "route", "nearest", "--param", "a=1"}, "takes no parameters"},
		{[]string{"activate", "route", "allow"}, `does not decide "route"`},
		{[]string{"activate", "route", "nothing"}, "no such file, and no built-in policy of that name"},
		{[]string{"activate", "route", "gone.wasm"}, "no such file"},
		{[]string{"promote", "admit"}, "there is no shadow"},
		{[]string{"activate", "replicate", "random"}, `does not decide "replicate"`},
		{[]string{"activate", "load", "keep-n"}, "must be one of"},
	} {
		if out, code := policy(c.args...); code == 0 || !strings.Contains(out, c.want) {
			t.Errorf("omx policy %v: code %d, %s; want %q", c.args, code, out, c.want)
		}
	}

	stop()
	n = start()
	shows(must("status"), "route active …", "mine.wasm", "route shadow random", "route last good prefix-affinity", "admit active token-bucket", "replicate active none")
	shows(must("rollback", "route"), "route active prefix-affinity")
	shows(must("promote", "route"), "route active random", "route last good prefix-affinity")
	if out := must("shadow", "route"); strings.Contains(out, "shadow") {
		t.Errorf("the shadow was not removed:\n%s", out)
	}
}
