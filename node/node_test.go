package node

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"omx/node/api"
	"omx/node/engine"
	"omx/node/mesh"
	"omx/node/nodetest"
	"omx/policies"
	"omx/policies/abi"
)

func TestMain(m *testing.M) {
	// buntdb's clean-up goroutine sees the end of its store within a second.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/tidwall/buntdb.(*DB).backgroundManager"))
}

var model = nodetest.Model

func newSim(t testing.TB, cfg engine.SimConfig) *engine.Sim {
	if cfg.Models == nil {
		cfg.Models = []engine.Status{{ID: model(t, "m")}}
	}
	s, err := engine.NewSim(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// connect starts nodes that list one another, in the order of their
// configurations, and waits until the first sees want holders of model m.
func connect(t *testing.T, want int, cfgs ...Config) []*Node {
	t.Helper()
	dir := t.TempDir()
	ids := make([]string, len(cfgs))
	for i := range cfgs {
		cfgs[i].Name = string(rune('a' + i))
		cfgs[i].Data = filepath.Join(dir, cfgs[i].Name)
		cfgs[i].Listen = "127.0.0.1:0"
		id, err := mesh.Identity(filepath.Join(cfgs[i].Data, KeyFile))
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = id.String()
	}
	var nodes []*Node
	for i, cfg := range cfgs {
		for _, n := range nodes {
			cfg.Peers = append(cfg.Peers, n.Info().Addrs...)
		}
		for _, id := range ids[i+1:] {
			cfg.Peers = append(cfg.Peers, "/p2p/"+id)
		}
		nodes = append(nodes, started(t, cfg))
	}
	eventually(t, "all holders are seen", func() bool {
		for _, n := range nodes {
			if len(n.table.Snapshot().Holders(model(t, "m"))) < want {
				return false
			}
		}
		return true
	})
	return nodes
}

// started is a node that runs until the test ends.
func started(t *testing.T, cfg Config) *Node {
	t.Helper()
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close %s: %v", n.cfg.Name, err)
		}
	})
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

var eventually = nodetest.Eventually

// reader is a client in this process.
type reader struct {
	meta   api.Meta
	begun  int
	text   strings.Builder
	tokens int
	stop   func() // called at the first token
}

func (r *reader) Begin(m api.Meta) error { r.meta = m; r.begun++; return nil }

func (r *reader) Token(t api.Token) error {
	if r.stop != nil {
		r.stop()
	}
	r.text.WriteString(t.Text)
	r.tokens += t.N
	return nil
}

func chat(t testing.TB, m string) *api.Chat {
	cold := float32(0)
	return &api.Chat{Model: model(t, m), Temperature: &cold, Messages: []api.Message{{Role: "user", Content: "hello"}}, MaxTokens: 20, Arrived: time.Now(), EstimatedPromptTokens: 5}
}

// policyFile is a file of a built-in policy.
func policyFile(t testing.TB, name string) string {
	t.Helper()
	code, ok := policies.Builtin(name)
	if !ok {
		t.Fatalf("no built-in policy %s", name)
	}
	file := filepath.Join(t.TempDir(), name+".wasm")
	if err := os.WriteFile(file, code, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The same request gives the same answer wherever it is asked.
func TestAnswerIsTheSameFromAnywhere(t *testing.T) {
	nodes := connect(t, 1, Config{}, Config{Engine: newSim(t, engine.SimConfig{})})
	var answers []string
	for _, n := range nodes {
		var r reader
		res, err := n.Chat(t.Context(), chat(t, "m"), &r)
		if err != nil {
			t.Fatal(err)
		}
		if r.begun != 1 || r.meta.NodeName != "b" || r.meta.Node != nodes[1].id || res.OutputTokens != r.tokens || res.OutputTokens == 0 || res.TTFT <= 0 {
			t.Errorf("asked at %s: %+v, %d tokens, result %+v", n.cfg.Name, r.meta, r.tokens, res)
		}
		d, ok := n.Decision(1)
		if !ok || len(d.Candidates) != 1 || d.Candidates[0].Pick != 1 || d.Node != nodes[1].id.String() || d.Tokens != r.tokens {
			t.Errorf("decision = %+v", d)
		}
		answers = append(answers, r.text.String())
	}
	if answers[0] != answers[1] {
		t.Errorf("%q here, %q there", answers[0], answers[1])
	}
}

// gone is an engine that loses each request before its first token.
type gone struct{ *engine.Sim }

func (gone) Generate(context.Context, *engine.Prompt, func(engine.Token) error) (engine.Usage, error) {
	return engine.Usage{}, engine.ErrLost
}

func TestNextPickAnswers(t *testing.T) {
	file := policyFile(t, "random")
	nodes := connect(t, 2, Config{RoutePolicy: file}, Config{Engine: gone{newSim(t, engine.SimConfig{})}}, Config{Engine: newSim(t, engine.SimConfig{})})
	eventually(t, "the failing node was tried first", func() bool {
		var r reader
		if _, err := nodes[0].Chat(t.Context(), chat(t, "m"), &r); err != nil {
			t.Fatal(err)
		}
		if r.begun != 1 || r.meta.NodeName != "c" {
			t.Fatalf("answered by %q, begun %d times", r.meta.NodeName, r.begun)
		}
		d, ok := nodes[0].Decision(nodes[0].record.Last())
		return ok && d.Tries == 2
	})
}

func TestErrorsForClients(t *testing.T) {
	nodes := connect(t, 1, Config{}, Config{Engine: newSim(t, engine.SimConfig{ContextTokens: 10})})
	long := chat(t, "m")
	long.Messages[0].Content = strings.Repeat("many words ", 100)
	for _, n := range nodes {
		for name, tc := range map[string]struct {
			c    *api.Chat
			code string
		}{"unknown model": {chat(t, "x"), "model_not_found"}, "too long": {long, "context_length_exceeded"}} {
			var e *api.Error
			if _, err := n.Chat(t.Context(), tc.c, &reader{}); !errors.As(err, &e) || e.Code != tc.code {
				t.Errorf("%s at %s: %v, want %s", name, n.cfg.Name, err, tc.code)
			}
		}
	}
}

// A client that leaves frees the slot, here and on another node.
func TestClientGoneFreesSlot(t *testing.T) {
	sim := newSim(t, engine.SimConfig{Slots: 1, Decode: 5 * time.Millisecond, Output: 2000})
	nodes := connect(t, 1, Config{}, Config{Engine: sim})
	for _, n := range nodes {
		ctx, cancel := context.WithCancel(t.Context())
		var left time.Time
		c := chat(t, "m")
		c.MaxTokens = 2000
		_, err := n.Chat(ctx, c, &reader{stop: sync.OnceFunc(func() { left = time.Now(); cancel() })})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("chat at %s = %v, want canceled", n.cfg.Name, err)
		}
		eventually(t, "the slot is free", func() bool { return sim.Models()[0].Load.Running == 0 })
		t.Logf("asked at %s: slot free after %v", n.cfg.Name, time.Since(left).Round(time.Microsecond))
	}
}

// Overload is refused in order: a wait is named, nothing hangs, nothing is lost.
func TestOverload(t *testing.T) {
	sim := newSim(t, engine.SimConfig{Slots: 1, QueueLimit: 4, Decode: 20 * time.Millisecond, Output: 5})
	nodes := connect(t, 1, Config{}, Config{Engine: sim})
	var mu sync.Mutex
	served, refused := 0, 0
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			_, err := nodes[0].Chat(t.Context(), chat(t, "m"), &reader{})
			var e *api.Error
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				served++
			case errors.As(err, &e) && e.Code == "overloaded" && e.RetryAfter > 0:
				refused++
			default:
				t.Errorf("chat = %v", err)
			}
		})
	}
	wg.Wait()
	if served < 3 || refused == 0 || served+refused != 30 {
		t.Errorf("%d served, %d refused of 30", served, refused)
	}
}

func TestOneNodePerFolder(t *testing.T) {
	dir := t.TempDir()
	n, err := New(Config{Data: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if second, err := New(Config{Data: dir, Listen: "127.0.0.1:0"}); err == nil {
		second.Close()
		t.Error("two nodes share a folder")
	}
}

func TestConfigFaultsAreListedTogether(t *testing.T) {
	_, err := Config{Slots: 65, ContextTokens: 1, Models: []string{"../x=y"}}.WithDefaults()
	for _, want := range []string{"slots", "context", "--model NAME=PATH"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

func TestBuiltinPoliciesDecide(t *testing.T) {
	n := connect(t, 1, Config{Engine: newSim(t, engine.SimConfig{})})[0]
	for kind, want := range map[abi.Kind]string{abi.Route: policies.DefaultRoute, abi.Admit: policies.DefaultAdmit} {
		if a := n.decider.Active(kind).Active; a.Name != want || a.Digest == [32]byte{} {
			t.Errorf("%v is decided by %+v, want the module %s", kind, a, want)
		}
	}
}

// A request whose answer does not begin by its deadline is given up, and no
// other node is troubled with it.
func TestDeadline(t *testing.T) {
	slow := Config{Engine: newSim(t, engine.SimConfig{Prefill: time.Minute})}
	slower := Config{Engine: newSim(t, engine.SimConfig{Prefill: time.Minute})}
	nodes := connect(t, 2, slow, slower, Config{Engine: newSim(t, engine.SimConfig{Models: []engine.Status{}})})
	for _, n := range nodes {
		c := chat(t, "m")
		c.Deadline = 30 * time.Millisecond
		var known *api.Error
		if _, err := n.Chat(t.Context(), c, &reader{}); !errors.As(err, &known) || known.Status != http.StatusGatewayTimeout || known.Code != "deadline_exceeded" {
			t.Errorf("%s: %v", n.cfg.Name, err)
		}
	}
}
