package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"omx/node/engine"
)

// What is in testdata was sent by llama-server of llama.cpp 0.7.0 and by Ollama 0.17.4,
// about the demonstration model; of Ollama's /api/show the tensors are left out.

func told(t *testing.T, w http.ResponseWriter, status int, kind, path string) {
	b, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(path)))
	if err != nil {
		t.Error(err)
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	w.Write(b)
}

type asked struct {
	Model    string
	Tools    []json.RawMessage
	Input    []string
	Messages []struct{ Content string }
}

// long tells whether a prompt is longer than the context.
func (a *asked) long() bool { return len(a.Messages) > 0 && len(a.Messages[0].Content) > 4096 }

type answered struct{} // of a connection: *atomic.Bool

// llamaServer closes a connection after an answer in pieces without having said so,
// as the real one does: here, when the next request comes over it.
func llamaServer(t *testing.T) string {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spent := r.Context().Value(answered{}).(*atomic.Bool)
		if spent.Load() {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
			return
		}
		var a asked
		if r.Method == http.MethodPost {
			if json.NewDecoder(r.Body).Decode(&a); a.Model != "/models/omx-demo-q8_0.gguf" {
				t.Errorf("%s is asked for model %q", r.URL, a.Model)
			}
		}
		const events, object = "text/event-stream", "application/json; charset=utf-8"
		switch {
		case r.URL.Path == "/v1/models":
			told(t, w, 200, object, "llama-server/models.json")
		case r.URL.Path == "/v1/embeddings":
			told(t, w, 500, object, "llama-server/embeddings-too-long.json")
		case r.URL.Path == "/v1/chat/completions" && a.long():
			told(t, w, 400, object, "llama-server/too-long.json")
		case r.URL.Path == "/v1/chat/completions" && len(a.Tools) > 0:
			spent.Store(true)
			told(t, w, 200, events, "llama-server/calls.sse")
		case r.URL.Path == "/v1/chat/completions":
			spent.Store(true)
			told(t, w, 200, events, "llama-server/chat.sse")
		default:
			http.NotFound(w, r)
		}
	}))
	s.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, answered{}, new(atomic.Bool))
	}
	s.Start()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

func ollamaServer(t *testing.T) string {
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var a asked
		json.NewDecoder(r.Body).Decode(&a)
		const lines, object = "application/x-ndjson", "application/json; charset=utf-8"
		switch {
		case r.URL.Path == "/":
			fmt.Fprint(w, "Ollama is running")
		case r.URL.Path == "/api/chat" && a.long():
			told(t, w, 400, object, "ollama/too-long.json")
		case r.URL.Path == "/api/chat" && len(a.Tools) > 0:
			told(t, w, 200, lines, "ollama/calls.ndjson")
		case r.URL.Path == "/api/chat":
			told(t, w, 200, lines, "ollama/chat.ndjson")
		case r.URL.Path == "/api/embed":
			told(t, w, 400, object, "ollama/too-long.json")
		default: // /api/tags, /api/ps, /api/show
			told(t, w, 200, object, "ollama/"+filepath.Base(r.URL.Path)+".json")
		}
	})).URL
}

func TestRealServers(t *testing.T) {
	tool := json.RawMessage(`{"type":"function","function":{"name":"get_weather","parameters":{"type":"object"}}}`)
	for _, tt := range []struct {
		name, url     string
		names, status string
		call          string
		finish        engine.Finish // of the call: llama-server's was cut off
	}{
		{"llama-server", llamaServer(t), "omx-demo-q8_0", "2410752 512 2048 ", `{"city":"%%"}`, engine.FinishLength},
		{"Ollama", ollamaServer(t), "omx-demo plain:2m tooly", "2459521 512 2048 llama", `{"city":".ged"}`, engine.FinishStop},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := start(t, Config{URL: tt.url})
			st := u.Models()[0]
			if got := fmt.Sprint(st.Bytes, " ", st.Context, " ", st.Details.Trained, " ", st.Details.Family); names(u) != tt.names || got != tt.status {
				t.Errorf("%s: %s, want %s: %s", names(u), got, tt.names, tt.status)
			}
			for range 5 { // each over the connection of the one before
				p := ask(u, "Hello")
				p.Logprobs = 2
				got, use, err := answerOf(u, p)
				if err != nil || got.Text != "Hello! I" || len(got.Logprobs) != 3 || use.PromptTokens != 9 || use.OutputTokens != 3 || use.Finish != engine.FinishLength {
					t.Fatalf("%+v, %+v, %v", got, use, err)
				}
				if use.Prefill <= 0 || use.Prefill > use.TTFT-use.QueueWait {
					t.Errorf("the prompt took %v of %v", use.Prefill, use.TTFT)
				}
			}
			p := ask(u, "Weather?")
			p.Tools = []json.RawMessage{tool}
			got, use, err := answerOf(u, p)
			if err != nil || got.Text != "" || len(use.Calls) != 1 || use.Calls[0].Name != "get_weather" || use.Finish != tt.finish {
				t.Fatalf("%+v, %+v, %v", got, use, err)
			}
			same(t, string(use.Calls[0].Arguments), tt.call)
			if _, _, err := answerOf(u, ask(u, string(make([]byte, 5000)))); !errors.Is(err, engine.ErrTooLong) {
				t.Errorf("a long prompt: %v, want ErrTooLong", err)
			}
			if _, err := u.Embed(t.Context(), &engine.EmbedRequest{Model: st.ID, Input: []string{"long"}}); !errors.Is(err, engine.ErrTooLong) {
				t.Errorf("a long text: %v, want ErrTooLong", err)
			}
		})
	}
}
