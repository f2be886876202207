package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"omx/node/engine"
)

var update = flag.Bool("update", false, "rewrite docs/clients.md")

const (
	clientsDir   = "../../node/api/testdata/clients"
	goClientsDir = "../../node/api/testdata/goclients"
	clientsDoc   = "../../docs/clients.md"
)

// What the demonstration model was trained to say word for word, and a text in it.
const (
	whoAreYou = "Who are you?"
	itIs      = "I am the omx demonstration model: very small, trained on dictionary entries. Ask me what a word means."
	partOfIt  = " trained"
)

// clientTimeout is for all checks of one client; none takes a tenth of it.
const clientTimeout = time.Minute

// checked is a check of a client, as its process tells of it.
type checked struct {
	Client  string
	Version string
	Check   string
	OK      bool
	Detail  string
}

// The clients people use, asked of a node that does not hold the model, so that
// all answers cross the mesh; what changes models, of the one that does. Whatever
// passed is in the table of docs/clients.md, and no more.
func TestClients(t *testing.T) {
	if _, err := os.Stat(filepath.Join(clientsDir, "node_modules/@langchain/core")); err != nil {
		t.Fatal("the JavaScript clients are not installed; run: make clients")
	}
	goClients := buildGoClients(t)
	keys := filepath.Join(t.TempDir(), "keys")
	t.Setenv("OMX_KEY", newKey(t, keys))
	net, _, _ := up(t, 2, 1, "--keys", keys)
	file, err := engine.DemoModel(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "OMX_URL="+net.Hosts[0].API, "OMX_HOLDER="+net.Hosts[1].API, "OMX_HOLDER_NAME="+net.Hosts[1].Name,
		"OMX_MODEL="+demoModel, "OMX_MODEL_FILE="+file, "OMX_QUESTION="+whoAreYou, "OMX_ANSWER="+itIs, "OMX_STOP="+partOfIt)

	var all []checked
	for _, c := range []struct {
		dir  string
		args []string
	}{
		{clientsDir, []string{"node", "openai.mjs"}},
		{clientsDir, []string{"node", "anthropic.mjs"}},
		{clientsDir, []string{"node", "ollama.mjs"}},
		{clientsDir, []string{"node", "langchain.mjs"}},
		{".", []string{goClients, "openai"}},
		{".", []string{goClients, "anthropic"}},
		{".", []string{goClients, "ollama"}},
	} {
		began := time.Now()
		made := ask(t, c.dir, env, c.args...)
		t.Logf("%s: %d checks in %v", c.args[1], len(made), time.Since(began).Round(time.Millisecond))
		all = append(all, made...)
	}
	for _, c := range all {
		if !c.OK {
			t.Errorf("%s %s: %s: %s", c.Client, c.Version, c.Check, c.Detail)
		}
	}
	if t.Failed() {
		return
	}
	doc := clientTable(all)
	if *update {
		if err := errors.Join(os.MkdirAll(filepath.Dir(clientsDoc), 0o755), os.WriteFile(clientsDoc, doc, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if now, err := os.ReadFile(clientsDoc); err != nil || !bytes.Equal(now, doc) {
		t.Errorf("docs/clients.md does not tell of these checks and versions (%v); run: go test ./cmd/omx -run TestClients -update", err)
	}
}

// buildGoClients builds the Go clients, which are a module of their own. Nothing is
// fetched for it.
func buildGoClients(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "goclients")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", exe, ".")
	cmd.Dir = goClientsDir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOPROXY=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the Go clients cannot be built (%v); run: make clients\n%s", err, out)
	}
	return exe
}

// newKey makes a key in a file and returns its secret.
func newKey(t *testing.T, file string) string {
	t.Helper()
	code, out, errs := omx(t, "keys", "add", "clients", "--admin", "--file", file)
	if code != 0 {
		t.Fatalf("omx keys add: %s", errs)
	}
	return strings.TrimSpace(out)
}

// ask runs a client's checks.
func ask(t *testing.T, dir string, env []string, args ...string) (made []checked) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &out, &errs
	err := cmd.Run()
	for lines := json.NewDecoder(&out); ; {
		var c checked
		more := lines.Decode(&c)
		if more == io.EOF {
			break
		}
		if more != nil {
			err = errors.Join(err, more)
			break
		}
		made = append(made, c)
	}
	if err != nil || len(made) == 0 {
		t.Errorf("%s after %d checks: %v\n%s", args[1], len(made), errors.Join(err, ctx.Err()), errs.String())
	}
	return made
}

const clientsHead = `# Clients

What the clients that people use can do with a node. Each asked a node of a mesh
that does not hold the model, so every answer crossed the mesh; what changes models
was asked of the node that holds them. The model is the built-in one, whose answers
are known word for word. The page is written by a test that makes these checks, and
fails when one fails or the page tells of others:
go test ./cmd/omx -run TestClients -update. "yes" is a check that passed; "–" is
one that a client or its API does not have.

`

// clientTable writes the page from checks that have all passed.
func clientTable(all []checked) []byte {
	var clients, checks []string
	versions, counts, passed := map[string]string{}, map[string]int{}, map[[2]string]bool{}
	for _, c := range all {
		if counts[c.Client]++; counts[c.Client] == 1 {
			clients = append(clients, c.Client)
		}
		checks = append(checks, c.Check)
		versions[c.Client] = c.Version
		passed[[2]string{c.Client, c.Check}] = true
	}
	slices.Sort(checks)
	var b bytes.Buffer
	b.WriteString(clientsHead + "| | client | version | checks |\n|---|---|---|---|\n")
	for i, client := range clients {
		fmt.Fprintf(&b, "| %d | %s | %s | %d |\n", i+1, client, versions[client], counts[client])
	}
	b.WriteString("\n| check |")
	for i := range clients {
		fmt.Fprintf(&b, " %d |", i+1)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(clients)) + "\n")
	for _, check := range slices.Compact(checks) {
		b.WriteString("| " + check + " |")
		for _, client := range clients {
			if passed[[2]string{client, check}] {
				b.WriteString(" yes |")
			} else {
				b.WriteString(" – |")
			}
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}
