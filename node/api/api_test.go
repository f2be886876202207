package api

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"omx/node/catalog"
	"omx/node/nodetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script answers by the last message: its words are the tokens.
type script struct {
	last chan *Chat // receives each request, if there is room
	// embedded does so for vectors.
	embedded chan *Embedding
	after    error // ends every answer
	block    bool  // after the first token, until the client is gone
	gone     chan struct{}
	// finish is how answers end; "" is "stop". Stop is the text that ended them.
	finish, stop string
	thought      string // comes first
	silent       bool   // says nothing
	calls        []Call // come last
}

// faults are the models of which no answer comes.
var faults = map[string]error{
	"no-such-model": &Error{Status: 404, Code: "model_not_found", Message: "no node has no-such-model"},
	"full":          &Error{Status: 429, Code: "overloaded", Message: "later", RetryAfter: 1500 * time.Millisecond},
	"broken":        errors.New("secret detail"),
	"busy":          &Error{Status: 503, Code: "overloaded", Message: "every node is busy"},
	"unable":        &Error{Status: 501, Code: "not_implemented", Message: "no engine here does that"},
}

func (s *script) Chat(ctx context.Context, c *Chat, reply Reply) (Result, error) {
	select {
	case s.last <- c:
	default:
	}
	if err := faults[c.Model.String()]; err != nil {
		return Result{}, err
	}
	id, err := catalog.ParseNodeID("node1")
	if err != nil {
		return Result{}, err
	}
	if err := reply.Begin(Meta{Node: id, NodeName: "one", Decision: "7", Policy: "p"}); err != nil {
		return Result{}, err
	}
	text := c.Raw
	if text == "" {
		text = c.Messages[len(c.Messages)-1].Content
	}
	if s.thought != "" {
		if err := reply.Token(Token{Text: s.thought, N: 4, Thought: true, Logprobs: likely(c, s.thought)}); err != nil {
			return Result{}, err
		}
	}
	words := strings.SplitAfter(text, " ")
	if s.silent {
		words = nil
	}
	for _, w := range words {
		if err := reply.Token(Token{Text: w, N: 1, Logprobs: likely(c, w)}); err != nil {
			return Result{}, err
		}
		if s.block {
			<-ctx.Done()
			close(s.gone)
			return Result{}, ctx.Err()
		}
	}
	return Result{PromptTokens: 3, CachedTokens: 1, OutputTokens: len(words), Finish: cmp.Or(s.finish, "stop"), Stop: s.stop, Calls: slices.Clone(s.calls), TTFT: time.Millisecond, Total: time.Second}, s.after
}

// likely says how likely a word was, if that is asked: its first byte a half, the
// rest of it less. Others might have been capitals.
func likely(c *Chat, word string) []Logprob {
	if c.Logprobs == 0 {
		return nil
	}
	list := []Logprob{{Text: []byte(word[:1]), Logprob: -0.5}, {Text: []byte(word[1:]), Logprob: -1e-6}}
	for i := range list {
		for k := range c.Logprobs - 1 {
			list[i].Top = append(list[i].Top, TopLogprob{Text: bytes.ToUpper(list[i].Text), Logprob: -float32(k) - 0.25})
		}
	}
	return list
}

// Embed makes vectors of a text's length and a half, and scores of its length.
func (s *script) Embed(_ context.Context, e *Embedding) (Vectors, error) {
	select {
	case s.embedded <- e:
	default:
	}
	if err := faults[e.Model.String()]; err != nil {
		return Vectors{}, err
	}
	v := Vectors{Meta: Meta{NodeName: "one"}, Total: time.Second}
	for _, text := range e.Input {
		if v.PromptTokens += len(text); e.Query != "" {
			v.Vectors = append(v.Vectors, []float32{float32(len(text)) / 8})
			continue
		}
		v.Vectors = append(v.Vectors, []float32{float32(len(text)), 0, -0.5})
	}
	return v, nil
}

// CountTokens counts one a word, and one a tool.
func (s *script) CountTokens(_ context.Context, c *Chat) (int, error) {
	if err := faults[c.Model.String()]; err != nil {
		return 0, err
	}
	n := len(c.Tools)
	for _, m := range c.Messages {
		n += len(strings.Fields(m.Content))
	}
	return n, nil
}

type views struct{}

func (views) Nodes() []NodeView {
	return []NodeView{{ID: "node1", Name: "one", Self: true, State: "up"}}
}
func (views) Models() []ModelView {
	return []ModelView{{ID: "omx-demo", Digest: "abc", Bytes: 5, Holders: []HolderView{{Node: "node1", State: "loaded"}}}}
}
func (views) Policies() []PolicyView {
	return []PolicyView{{Kind: "route", Active: PolicyStat{Name: "p"}}}
}
func (views) OrderPolicy(_ context.Context, o PolicyOrder) error {
	if o.Kind != "route" || o.Action != "activate" || string(o.Code) != "wasm" {
		return errors.New("it is no module: build it again")
	}
	return nil
}
func (views) Metrics(w io.Writer) error {
	_, err := io.WriteString(w, "omx_policy_generation 1\n")
	return err
}
func (views) Decision(id uint64) (DecisionView, bool) { return DecisionView{ID: "7"}, id == 7 }

func start(t testing.TB, s *script) (*Server, string) {
	t.Helper()
	return startWith(t, Config{Name: "test", Version: "v0", AllowedHosts: []string{"omx.example"}}, s)
}

func startWith(t testing.TB, cfg Config, s Chatter) (*Server, string) {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	srv, err := New(cfg, s, views{}, views{})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start(func(err error) { t.Error(err) })
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := srv.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return srv, "http://" + srv.Addr()
}

var do = nodetest.Do

const good = `{"model":"omx-demo","messages":[{"role":"user","content":"one two"}]`

func TestRoutes(t *testing.T) {
	_, url := start(t, &script{})
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		want                     string // part of the body
	}{
		{"root", "GET", "/", "", 200, "omx is running"},
		{"root head", "HEAD", "/", "", 200, ""},
		{"health", "GET", "/healthz", "", 200, `"status":"ok"`},
		{"models", "GET", "/v1/models", "", 200, `"id":"omx-demo"`},
		{"model", "GET", "/v1/models/omx-demo", "", 200, `"object":"model"`},
		{"unknown model", "GET", "/v1/models/x", "", 404, "model_not_found"},
		{"tags", "GET", "/api/tags", "", 200, `"digest":"abc"`},
		{"version", "GET", "/api/version", "", 200, `{"version":"v0"}`},
		{"nodes", "GET", "/omx/v1/nodes", "", 200, `"self":true`},
		{"decision", "GET", "/omx/v1/decisions/7", "", 200, `"id":"7"`},
		{"decision gone", "GET", "/omx/v1/decisions/8", "", 404, "not kept"},
		{"decision not a number", "GET", "/omx/v1/decisions/x", "", 400, "number"},
		{"models not managed", "POST", "/omx/v1/models/load", `{"model":"omx-demo"}`, 501, `"code":"not_implemented"`},
		{"unknown path", "GET", "/v2/models", "", 404, "not_found"},
		{"unknown ollama path", "POST", "/api/frob", "{}", 404, `{"error":"`},
		{"wrong method", "GET", "/v1/chat/completions", "", 405, "use POST"},
		{"chat", "POST", "/v1/chat/completions", good + `}`, 200, `"content":"one two"`},
		{"parts", "POST", "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}`, 200, `"content":"ab"`},
		{"unknown field", "POST", "/v1/chat/completions", good + `,"frob":1}`, 200, "one two"},
		{"overloaded", "POST", "/v1/chat/completions", strings.Replace(good, "omx-demo", "full", 1) + `}`, 429, "rate_limit_error"},
		{"internal", "POST", "/v1/chat/completions", strings.Replace(good, "omx-demo", "broken", 1) + `}`, 500, "its log says more"},
		{"bad model name", "POST", "/v1/chat/completions", strings.Replace(good, "omx-demo", "../etc", 1) + `}`, 404, "model_not_found"},
		{"ollama chat", "POST", "/api/chat", good + `,"stream":false}`, 200, `"done":true`},
		{"ollama latest", "POST", "/api/chat", strings.Replace(good, "omx-demo", "omx-demo:latest", 1) + `,"stream":false}`, 200, `"one two"`},
		{"ollama stream", "POST", "/api/chat", good + `}`, 200, `"two"},"done":false}`},
		{"ollama error", "POST", "/api/chat", `{"model":"m"}`, 404, `{"error":"model 'm' not found`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, header, body := do(t, tc.method, url+tc.path, tc.body)
			if status != tc.status || !strings.Contains(body, tc.want) {
				t.Errorf("%d %s\nwant %d with %s", status, body, tc.status, tc.want)
			}
			if strings.Contains(body, "secret") {
				t.Error("an internal error reached the client")
			}
			if tc.status == 429 && header.Get("Retry-After") != "2" {
				t.Errorf("Retry-After = %q, want 2", header.Get("Retry-After"))
			}
		})
	}
}

func TestBadBodies(t *testing.T) {
	_, url := start(t, &script{})
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	for _, tc := range []struct{ name, body, want string }{
		{"empty", "", "JSON"},
		{"not json", "{", "JSON"},
		{"array", "[]", "JSON"},
		{"deep", `{"x":` + deep + `}`, "nested"},
		{"no model", `{"messages":[{"role":"user","content":"x"}]}`, "model"},
		{"no messages", `{"model":"m"}`, "messages"},
		{"role", `{"model":"m","messages":[{"role":"tool","content":"x"}]}`, "role"},
		{"image", `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url"}]}]}`, "image_url"},
		{"temperature", good + `,"temperature":-1}`, "temperature"},
		{"temperature large", good + `,"temperature":1e308}`, "temperature"},
		{"temperature overflow", good + `,"temperature":1e999}`, "temperature"},
		{"top_p", good + `,"top_p":0}`, "top_p"},
		{"max_tokens", good + `,"max_tokens":0}`, "max_tokens"},
		{"max_tokens 2^63", good + `,"max_tokens":9223372036854775808}`, "max_tokens"},
		{"max_tokens fraction", good + `,"max_tokens":1.5}`, "max_tokens"},
		{"seed", good + `,"seed":4294967296}`, "seed"},
		{"stop", good + `,"stop":["a","b","c","d","e"]}`, "stop"},
		{"stop type", good + `,"stop":1}`, "stop"},
		{"n", good + `,"n":2}`, "n: "},
		{"tools", good + `,"tools":[{"type":"function"}]}`, "tools[0].function.name"},
		{"wrong type", good + `,"stream":"yes"}`, "stream"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, _, body := do(t, "POST", url+"/v1/chat/completions", tc.body)
			if status != 400 || !strings.Contains(body, tc.want) || !strings.Contains(body, `"type":"invalid_request_error"`) {
				t.Errorf("%d %s\nwant 400 that names %q", status, body, tc.want)
			}
		})
	}
	if status, _, body := do(t, "POST", url+"/v1/chat/completions", strings.Repeat(" ", maxBody+1)); status != 413 {
		t.Errorf("large body: %d %s", status, body)
	}
	for kind, want := range map[string]int{"text/plain": 415, "multipart/form-data; boundary=x": 415, "application/json; charset=utf-8": 200, "application/x-www-form-urlencoded": 200} {
		if status, _, _ := do(t, "POST", url+"/v1/chat/completions", good+"}", "Content-Type", kind); status != want {
			t.Errorf("%s: %d, want %d", kind, status, want)
		}
	}
}

func TestHostAndOriginGuard(t *testing.T) {
	_, url := start(t, &script{})
	for _, tc := range []struct {
		header, value string
		status        int
	}{
		{"Host", "localhost:1", 200}, {"Host", "192.0.2.1", 200}, {"Host", "[::1]:5", 200}, {"Host", "omx.example", 200},
		{"Host", "evil.example", 403},
		{"Origin", "http://localhost:3000", 200}, {"Origin", "http://127.0.0.1", 200}, {"Origin", "https://omx.example", 200},
		{"Origin", "https://evil.example", 403}, {"Origin", "http://192.0.2.1", 403}, {"Origin", "null", 403},
	} {
		if status, _, body := do(t, "GET", url+"/v1/models", "", tc.header, tc.value); status != tc.status {
			t.Errorf("%s: %s = %d %s, want %d", tc.header, tc.value, status, body, tc.status)
		}
	}
}

func TestRequestID(t *testing.T) {
	_, url := start(t, &script{})
	if _, h, _ := do(t, "GET", url+"/healthz", "", "X-Request-Id", "mine-1"); h.Get("X-Request-Id") != "mine-1" {
		t.Errorf("request id = %q, want the client's", h.Get("X-Request-Id"))
	}
	for _, bad := range []string{"a\"b", strings.Repeat("x", 200)} {
		if _, h, _ := do(t, "GET", url+"/healthz", "", "X-Request-Id", bad); len(h.Get("X-Request-Id")) != 24 {
			t.Errorf("request id %q became %q, want one of ours", bad, h.Get("X-Request-Id"))
		}
	}
}

func TestClientGoneCancels(t *testing.T) {
	s := &script{block: true, gone: make(chan struct{})}
	_, url := start(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	resp := nodetest.Open(ctx, t, "POST", url+"/v1/chat/completions", good+`,"stream":true}`)
	if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	left := time.Now()
	cancel()
	select {
	case <-s.gone:
		t.Logf("the backend knew after %v", time.Since(left))
	case <-time.After(30 * time.Second):
		t.Fatal("the backend was never told")
	}
}

func TestPortInUse(t *testing.T) {
	srv, _ := start(t, &script{})
	if _, err := New(Config{Listen: srv.Addr()}, &script{}, views{}, views{}); err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("a used port = %v", err)
	}
	if _, err := New(Config{Listen: "nonsense"}, &script{}, views{}, views{}); err == nil {
		t.Error("a bad address was accepted")
	}
}

func TestParameters(t *testing.T) {
	s := &script{last: make(chan *Chat, 1)}
	_, url := start(t, s)
	do(t, "POST", url+"/v1/chat/completions", good+`,"temperature":0.5,"top_p":0.9,"seed":-1,"stop":"END","max_tokens":7}`)
	c := <-s.last
	if *c.Temperature != 0.5 || *c.TopP != 0.9 || *c.Seed != 1<<32-1 || fmt.Sprint(c.Stop) != "[END]" || c.MaxTokens != 7 || c.EstimatedPromptTokens < 2 {
		t.Errorf("openai: %+v", c)
	}
	do(t, "POST", url+"/api/chat", good+`,"options":{"temperature":0,"top_k":3,"num_predict":-1,"stop":["A","B"]}}`)
	c = <-s.last
	if *c.Temperature != 0 || *c.TopK != 3 || c.MaxTokens != 0 || len(c.Stop) != 2 || !c.Stream {
		t.Errorf("ollama: %+v", c)
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a\"b\\c\n\t\x00", "ü€𝄞", "\u2028\u2029", "\xff\xfe", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got, want string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", appendString(nil, s), err)
		}
		b, _ := json.Marshal(s)
		_ = json.Unmarshal(b, &want)
		if got != want {
			t.Fatalf("%q became %q, want %q", s, got, want)
		}
	})
}

func TestTokensDoNotAllocate(t *testing.T) {
	for _, f := range []format{
		&openAIFormat{id: "id", model: "m"}, &completionFormat{openAIFormat: openAIFormat{id: "id", model: "m"}}, &anthropicFormat{id: "id", model: "m"},
		&responseFormat{id: "id", text: make([]byte, 0, 4096)}, &ollamaFormat{model: "m"}, &ollamaFormat{model: "m", generate: true},
	} {
		b := make([]byte, 0, 1024)
		for _, thought := range []bool{true, false} {
			said := Token{Text: "token \"x\"\n", N: 1, Thought: thought}
			if n := testing.AllocsPerRun(100, func() { b = f.token(b[:0], said) }); n != 0 {
				t.Errorf("%T allocates %v times a token (a thought: %v)", f, n, thought)
			}
		}
	}
}
