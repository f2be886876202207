package node

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"omx/node/api"
	"omx/node/engine"
	"omx/node/engine/upstream"
)

// A node answers by another node's HTTP API, asked as OpenAI's and as Ollama's,
// as that one answers itself.
func TestUpstreamIsAnotherNode(t *testing.T) {
	sim := newSim(t, engine.SimConfig{Decode: time.Millisecond, Models: []engine.Status{{ID: model(t, "m")}, {ID: model(t, "qwen/qwen3-8b")}}})
	server := connect(t, 1, Config{Engine: sim})[0]
	for _, kind := range []upstream.Kind{upstream.Auto, upstream.OpenAI, upstream.Ollama} {
		t.Run("kind "+string(kind), func(t *testing.T) {
			up, err := upstream.New(upstream.Config{URL: server.URL(), Kind: kind, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			if err != nil {
				t.Fatal(err)
			}
			if err := up.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the upstream answers", func() bool { return len(up.Models()) == 2 })
			n := connect(t, 1, Config{Engine: engine.NewGroup(newSim(t, engine.SimConfig{Models: []engine.Status{}}), up)})[0]
			for _, name := range []string{"m", "qwen/qwen3-8b"} {
				eventually(t, "the node has it", func() bool { return len(n.table.Snapshot().Holders(model(t, name))) == 1 })
				var direct, through reader
				if _, err := server.Chat(t.Context(), chat(t, name), &direct); err != nil {
					t.Fatal(err)
				}
				res, err := n.Chat(t.Context(), chat(t, name), &through)
				if err != nil || through.text.String() != direct.text.String() || through.text.Len() == 0 || res.PromptTokens != 6 || res.Finish == "" {
					t.Errorf("%q, want %q, %+v, %v", through.text.String(), direct.text.String(), res, err)
				}
			}

			c := chat(t, "m")
			c.Messages, c.Raw, c.Format = nil, "Once upon", []byte(`{"type":"object","properties":{"a":{"type":"string"}}}`)
			if _, err := n.Chat(t.Context(), c, &reader{}); err != nil {
				t.Errorf("bare text, with a schema: %v", err)
			}
			c = chat(t, "m")
			c.Messages[0].Content = strings.Repeat("a river ", 4000)
			var known *api.Error
			if _, err := n.Chat(t.Context(), c, &reader{}); !errors.As(err, &known) || known.Status != http.StatusBadRequest {
				t.Errorf("too long: %v", err)
			}

			// A client that goes away frees the slot of the node behind.
			ctx, cancel := context.WithCancel(t.Context())
			c = chat(t, "m")
			c.MaxTokens = 2000
			_, err = n.Chat(ctx, c, &reader{stop: cancel})
			cancel()
			if !errors.Is(err, context.Canceled) {
				t.Errorf("chat = %v, want canceled", err)
			}
			eventually(t, "the slot is free", func() bool { return sim.Models()[0].Load.Running == 0 })
		})
	}
}

// How long a model stays loaded is told to the server that has it; one with OpenAI's
// API has no ear for it, and is asked all the same.
func TestKeepAliveOfUpstreams(t *testing.T) {
	said := make(chan string, 1)
	ollama := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			io.WriteString(w, "Ollama is running")
		case "/api/tags":
			io.WriteString(w, `{"models":[{"name":"theirs:latest"}]}`)
		case "/api/chat", "/api/embed":
			var in struct {
				Keep string `json:"keep_alive"`
			}
			json.NewDecoder(r.Body).Decode(&in)
			said <- in.Keep
			w.Header().Set("Content-Type", "application/x-ndjson")
			io.WriteString(w, `{"message":{"content":"a"},"done":true,"done_reason":"stop","embeddings":[[1]]}`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(ollama.Close)
	other := connect(t, 1, Config{Engine: newSim(t, engine.SimConfig{})})[0]
	n := started(t, Config{Name: "a", Data: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:0", Exe: os.Args[0], EngineDirs: []string{t.TempDir()},
		Upstreams: []upstream.Config{{URL: ollama.URL}, {URL: other.URL()}}})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	for _, name := range []string{"theirs", "m"} {
		eventually(t, "the node has "+name, func() bool { return len(n.table.Snapshot().Holders(model(t, name))) == 1 })
	}
	for _, c := range []struct {
		path   string
		body   body
		status int
		says   string
		keep   string
	}{
		{"/api/chat", body{"model": "theirs", "keep_alive": "90m"}, 200, `"content":"a"`, "1h30m0s"},
		{"/api/chat", body{"model": "theirs"}, 200, `"content":"a"`, ""},
		{"/api/embed", body{"model": "theirs", "input": "a", "keep_alive": -1}, 200, `[[1]]`, "-1ns"},
		{"/api/chat", body{"model": "m", "keep_alive": "90m"}, 200, `"done":true`, "none"},
		{"/api/generate", body{"model": "theirs", "keep_alive": 0}, 501, "another server's", "none"},
	} {
		c.body["stream"] = false
		if c.path == "/api/chat" {
			c.body["messages"] = []body{{"role": "user", "content": "hello"}}
		}
		status, text := call(t, n, "POST", c.path, c.body)
		keep := "none"
		if len(said) > 0 {
			keep = <-said
		}
		if status != c.status || !strings.Contains(text, c.says) || keep != c.keep {
			t.Errorf("%s %v: %d %s, keep %q; want %d, %q", c.path, c.body, status, text, keep, c.status, c.keep)
		}
	}
}

// A client's seed 0 is a seed: the same answer each time.
func TestSeedZero(t *testing.T) {
	c := chat(t, "m")
	first, err := prompt(c)
	if err != nil || first.Seed == 0 {
		t.Fatalf("seed %d, %v: all that may answer must draw alike", first.Seed, err)
	}
	c.Seed = new(uint32)
	for range 3 {
		if p, err := prompt(c); err != nil || p.Seed != seedZero {
			t.Errorf("seed %d, %v", p.Seed, err)
		}
	}
}

// How long a busy engine asks to wait, a client is told.
func TestBusyEngineSaysHowLong(t *testing.T) {
	busy := &engine.BusyError{Wait: 7 * time.Second, Why: "it loads"}
	var known *api.Error
	if !errors.As(apiError(t.Context(), busy), &known) || known.Status != http.StatusServiceUnavailable || known.RetryAfter != 7*time.Second {
		t.Errorf("%+v", known)
	}
	if wait, is := isBusy(engine.ErrBusy); !is || wait != time.Second {
		t.Errorf("without a word: %v, %v", wait, is)
	}
}

// A schema reaches the engine beside the grammar made of it.
func TestPromptHasSchema(t *testing.T) {
	for _, format := range []string{`"json"`, `{"type":"object"}`, ""} {
		c := chat(t, "m")
		c.Format = []byte(format)
		p, err := prompt(c)
		if err != nil || string(p.Schema) != format || (p.Grammar == "") != (format == "") {
			t.Errorf("%s: schema %s, grammar of %d bytes, %v", format, p.Schema, len(p.Grammar), err)
		}
	}
}
