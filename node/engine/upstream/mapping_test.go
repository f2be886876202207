package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"omx/node/engine"
)

// full is a prompt with everything in it.
func full(t *testing.T) *engine.Prompt {
	yes := true
	return &engine.Prompt{Model: id(t, "m"), Messages: []engine.Message{
		{Role: "system", Content: "Be brief."},
		{Role: "user", Content: "Weather?"},
		{Role: "assistant", Thinking: "hm", Calls: []engine.Call{{Name: "sun", Arguments: json.RawMessage(`{"at":"noon"}`)}, {ID: "r1", Name: "rain"}}},
		{Role: "tool", CallID: "r1", Content: "none"},
		{Role: "tool", Name: "sun", Content: "much"},
	}, MaxTokens: 9, Temperature: 0.5, TopP: 0.9, TopK: 40, MinP: 0.1, PresencePenalty: 0.25, FrequencyPenalty: 0.75, RepeatPenalty: 1.5, RepeatLast: 32,
		Schema: json.RawMessage(`{"type":"object"}`), Grammar: "root ::= object", Tools: []json.RawMessage{json.RawMessage(`{"type":"function","function":{"name":"sun"}}`)},
		OneCall: true, Think: &yes, Logprobs: 3, Seed: 7, Stop: []string{"a", "b", "c", "d", "e"}, Scope: 255}
}

// sent is what the server is sent for a prompt, as JSON.
func sent(t *testing.T, kind Kind, p *engine.Prompt) (path, body string) {
	t.Helper()
	s := serve(t, faulty(kind, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		path, body = r.URL.Path, string(b)
		w.WriteHeader(500)
	}))
	u := start(t, Config{URL: s.URL})
	if _, _, err := answerOf(u, p); !errors.Is(err, engine.ErrLost) {
		t.Fatal(err)
	}
	return path, body
}

func same(t *testing.T, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if json.Unmarshal([]byte(got), &a) != nil || !reflect.DeepEqual(a, b) {
		var line bytes.Buffer
		json.Compact(&line, []byte(want))
		t.Errorf("sent\n%s\nwant\n%s", got, &line)
	}
}

func TestOpenAIRequests(t *testing.T) {
	path, body := sent(t, OpenAI, full(t))
	if path != "/v1/chat/completions" {
		t.Error(path)
	}
	same(t, body, `{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Weather?"},
		{"role":"assistant","content":"","reasoning_content":"hm","tool_calls":[
			{"id":"call_1","type":"function","function":{"name":"sun","arguments":"{\"at\":\"noon\"}"}},
			{"id":"r1","type":"function","function":{"name":"rain","arguments":"{}"}}]},
		{"role":"tool","content":"none","tool_call_id":"r1","name":"rain"},{"role":"tool","content":"much","tool_call_id":"call_1","name":"sun"}],
		"stream":true,"stream_options":{"include_usage":true},"max_tokens":9,"temperature":0.5,"top_p":0.9,"presence_penalty":0.25,"frequency_penalty":0.75,
		"seed":7,"stop":["a","b","c","d","e"],"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object"},"strict":true}},
		"tools":[{"type":"function","function":{"name":"sun"}}],"parallel_tool_calls":false,"logprobs":true,"top_logprobs":2,
		"top_k":40,"min_p":0.1,"repeat_penalty":1.5,"repetition_penalty":1.5,"repeat_last_n":32,"chat_template_kwargs":{"enable_thinking":true},"cache_salt":"ff"}`)

	p := &engine.Prompt{Model: id(t, "m"), Raw: "Once", Schema: json.RawMessage(`"json"`), Logprobs: 1}
	path, body = sent(t, OpenAI, p)
	if path != "/v1/completions" {
		t.Error(path)
	}
	same(t, body, `{"model":"m","prompt":"Once","stream":true,"stream_options":{"include_usage":true},"max_tokens":2048,"temperature":0,"top_p":1,
		"logprobs":1,"response_format":{"type":"json_object"},"json_schema":{"type":"object"}}`)
	p = &engine.Prompt{Model: id(t, "m"), Raw: "Once", Temperature: 1, Schema: json.RawMessage(`{"type":"integer"}`)}
	_, body = sent(t, OpenAI, p)
	same(t, body, `{"model":"m","prompt":"Once","stream":true,"stream_options":{"include_usage":true},"max_tokens":2048,"temperature":1,"top_p":1,"top_k":0,"min_p":0,
		"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"integer"},"strict":true}},"json_schema":{"type":"integer"}}`)

	rain := json.RawMessage(`{"type":"function","function":{"name":"rain"}}`)
	for choice, want := range map[engine.Choice]string{engine.ChoiceRequired: `["required",2]`, engine.ChoiceNone: `["none",2]`, "=rain": `["required",1]`} {
		p := full(t)
		p.Choice, p.Tools = choice, append(p.Tools, rain)
		_, body := sent(t, OpenAI, p)
		var r struct {
			Choice string            `json:"tool_choice"`
			Tools  []json.RawMessage `json:"tools"`
		}
		json.Unmarshal([]byte(body), &r)
		same(t, fmt.Sprintf("[%q,%d]", r.Choice, len(r.Tools)), want)
		same(t, string(r.Tools[len(r.Tools)-1]), string(rain))
		if len(p.Tools) != 2 || string(p.Tools[1]) != string(rain) {
			t.Errorf("%s has changed the prompt's tools: %s", choice, p.Tools)
		}
	}
}

func TestOllamaRequests(t *testing.T) {
	path, body := sent(t, Ollama, full(t))
	if path != "/api/chat" {
		t.Error(path)
	}
	same(t, body, `{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Weather?"},
		{"role":"assistant","content":"","thinking":"hm","tool_calls":[
			{"id":"call_1","function":{"name":"sun","arguments":{"at":"noon"}}},{"id":"r1","function":{"name":"rain","arguments":{}}}]},
		{"role":"tool","content":"none","tool_call_id":"r1","tool_name":"rain"},{"role":"tool","content":"much","tool_call_id":"call_1","tool_name":"sun"}],
		"stream":true,"truncate":false,"shift":false,"format":{"type":"object"},"tools":[{"type":"function","function":{"name":"sun"}}],"think":true,"logprobs":true,"top_logprobs":2,
		"options":{"temperature":0.5,"top_k":40,"top_p":0.9,"min_p":0.1,"presence_penalty":0.25,"frequency_penalty":0.75,"repeat_penalty":1.5,"repeat_last_n":32,
			"seed":7,"stop":["a","b","c","d","e"],"num_predict":9}}`)

	path, body = sent(t, Ollama, &engine.Prompt{Model: id(t, "m"), Raw: "Once"})
	if path != "/api/generate" {
		t.Error(path)
	}
	same(t, body, `{"model":"m","prompt":"Once","raw":true,"stream":true,"truncate":false,"shift":false,
		"options":{"temperature":0,"top_k":0,"top_p":1,"min_p":0,"presence_penalty":0,"frequency_penalty":0,"repeat_penalty":1}}`)

	for keep, want := range map[time.Duration]string{90 * time.Second: `"keep_alive":"1m30s"`, 0: `"keep_alive":"0s"`, -1: `"keep_alive":"-1ns"`} {
		if _, body := sent(t, Ollama, &engine.Prompt{Model: id(t, "m"), Raw: "Once", Keep: &keep}); !strings.Contains(body, want) {
			t.Errorf("%s, want %s", body, want)
		}
	}
	p := full(t)
	p.Choice = engine.ChoiceNone
	if _, body := sent(t, Ollama, p); strings.Contains(body, `"tools"`) {
		t.Error("tools are sent that must not be called")
	}
	u := start(t, Config{URL: serve(t, faulty(Ollama, http.NotFound)).URL})
	p.Choice = engine.ChoiceRequired
	if _, _, err := answerOf(u, p); !errors.Is(err, engine.ErrCannot) {
		t.Errorf("a call that must come: %v, want ErrCannot", err)
	}
}

// Ollama's contexts shift if they are to; those of other servers cannot be told to.
func TestContextShift(t *testing.T) {
	p := &engine.Prompt{Model: id(t, "m"), Raw: "Once", Shift: true, NumKeep: -1}
	_, body := sent(t, Ollama, p)
	same(t, body, `{"model":"m","prompt":"Once","raw":true,"stream":true,"truncate":false,"shift":true,
		"options":{"temperature":0,"top_k":0,"top_p":1,"min_p":0,"presence_penalty":0,"frequency_penalty":0,"repeat_penalty":1,"num_keep":-1}}`)
	for shift, want := range map[bool]int{false: 100, true: 1000} {
		p.Shift = shift
		if r, err := new(ollama).request(found{context: 100}, p); err != nil || r.Options["num_predict"] != want {
			t.Errorf("shift %v: %v, %v, want at most %d tokens", shift, r, err, want)
		}
	}
	asked := 0
	s := serve(t, faulty(OpenAI, func(w http.ResponseWriter, _ *http.Request) { asked++; w.WriteHeader(500) }))
	p.Shift = true
	if _, _, err := answerOf(start(t, Config{URL: s.URL}), p); !errors.Is(err, engine.ErrCannot) || !strings.Contains(err.Error(), "context_shift") || asked > 0 {
		t.Errorf("asked %d times: %v, want ErrCannot", asked, err)
	}
}

// A server that does not like a field is asked once more without.
func TestAskedAgainWithout(t *testing.T) {
	tests := []struct {
		kind  Kind
		says  string
		field string
		asked int
	}{
		{OpenAI, "Unrecognized request argument supplied: top_k", `"top_k"`, 2},
		{OpenAI, "stop: may have at most 4 entries", `"e"`, 2},
		{OpenAI, "no such role", `"never"`, 1},
		{Ollama, `"m" does not support thinking`, `"think":`, 2},
	}
	for _, tt := range tests {
		asked := 0
		s := serve(t, faulty(tt.kind, func(w http.ResponseWriter, r *http.Request) {
			asked++
			b, _ := io.ReadAll(r.Body)
			switch {
			case asked == 1:
				reply(w, 400, map[string]any{"error": tt.says})
			case strings.Contains(string(b), tt.field):
				t.Errorf("asked again with %s", tt.field)
			case tt.kind == OpenAI:
				streams("text/event-stream", func(w io.Writer) { io.WriteString(w, "data: [DONE]\n\n") })(w, r)
			default:
				streams("application/x-ndjson", func(w io.Writer) { io.WriteString(w, `{"done":true}`) })(w, r)
			}
		}))
		u := start(t, Config{URL: s.URL})
		if _, _, err := answerOf(u, full(t)); (err == nil) != (tt.asked == 2) || asked != tt.asked {
			t.Errorf("%q: asked %d times, %v", tt.says, asked, err)
		}
	}
}

// A schema's second place, which few know, is left out before anything else.
func TestSchemaIsAskedForTwice(t *testing.T) {
	var bodies []string
	s := serve(t, faulty(OpenAI, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if bodies = append(bodies, string(b)); len(bodies) == 1 {
			reply(w, 422, map[string]any{"detail": "json_schema: Input should be a valid string"})
			return
		}
		streams("text/event-stream", func(w io.Writer) { io.WriteString(w, "data: [DONE]\n\n") })(w, r)
	}))
	p := &engine.Prompt{Model: id(t, "m"), Raw: "Once", Temperature: 1, TopK: 40, Schema: json.RawMessage(`{"type":"integer"}`)}
	_, _, err := answerOf(start(t, Config{URL: s.URL}), p)
	if err != nil || len(bodies) != 2 || strings.Contains(bodies[1], `"json_schema":{"type":"integer"}`) || !strings.Contains(bodies[1], `"top_k":40`) || !strings.Contains(bodies[1], "response_format") {
		t.Errorf("%v, %v", bodies, err)
	}
}

// Thoughts, text, likelihoods and calls come in the engine's words.
func TestAnswersOfAllKinds(t *testing.T) {
	tops := `"top_logprobs":[{"token":"b","logprob":-2},{"token":"a","bytes":[195],"logprob":-1},{"token":"c","logprob":-3}]`
	content := `{"content":[{"token":"\ufffd","bytes":[195],"logprob":-0.5,` + tops + `}]}`
	calls := `[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"index":1,"id":"c2","function":{"name":"g","arguments":""}}]`
	tests := []struct {
		kind Kind
		body string
	}{
		{OpenAI, delta(`{"role":"assistant","content":"","reasoning_content":"th","reasoning":"th"}`) + delta(`{"content":null,"reasoning":"ink"}`) +
			`data: {"choices":[{"delta":{"content":"a"},"logprobs":` + content + `}]}` + "\n\n" +
			delta(`{"tool_calls":`+calls+`}`) + `data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":11,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":3}}}` + "\n\ndata: [DONE]\n\n"},
		{Ollama, `{"message":{"thinking":"th"}}` + "\n" + `{"message":{"thinking":"ink"}}` + "\n" + `{"message":{"content":"a"},"logprobs":` + content[len(`{"content":`):len(content)-1] + "}\n" +
			`{"message":{"tool_calls":[{"id":"c1","function":{"name":"f","arguments":{"x":1}}},{"id":"c2","function":{"name":"g","arguments":{}}}]}}` + "\n" +
			`{"done":true,"done_reason":"stop","prompt_eval_count":11,"eval_count":5}`},
	}
	for _, tt := range tests {
		kind := map[Kind]string{OpenAI: "text/event-stream", Ollama: "application/x-ndjson"}[tt.kind]
		u := start(t, Config{URL: serve(t, faulty(tt.kind, streams(kind, func(w io.Writer) { io.WriteString(w, tt.body) }))).URL})
		for _, one := range []bool{false, true} {
			p := full(t)
			p.OneCall, p.Stop = one, nil
			var thought, text string
			var likely []engine.Logprob
			use, err := u.Generate(t.Context(), p, func(tok engine.Token) error {
				if tok.Thought {
					thought += tok.Text
				} else {
					text += tok.Text
					likely = append(likely, tok.Logprobs...)
				}
				return nil
			})
			if err != nil || thought != "think" || text != "a" || use.PromptTokens != 11 || use.OutputTokens != 5 || use.Finish != engine.FinishStop {
				t.Fatalf("%s: %q, %q, %+v, %v", tt.kind, thought, text, use, err)
			}
			want := "[{[195] -0.5 [{[195] -1} {[98] -2}]}]"
			if got := fmt.Sprint(likely); got != want {
				t.Errorf("%s: likelihoods %s, want %s", tt.kind, got, want)
			}
			wantCalls := `[{"id":"c1","name":"f","arguments":{"x":1}},{"id":"c2","name":"g","arguments":{}}]`
			if one {
				wantCalls = `[{"id":"c1","name":"f","arguments":{"x":1}}]`
			}
			if got, _ := json.Marshal(use.Calls); string(got) != wantCalls {
				t.Errorf("%s: calls %s", tt.kind, got)
			}
		}
	}
}

// Completions have likelihoods in an older form.
func TestOlderLogprobs(t *testing.T) {
	body := `data: {"choices":[{"text":" a b","finish_reason":"stop","logprobs":{"tokens":[" a"," b"],"token_logprobs":[null,-0.5],"top_logprobs":[null,{" b":-0.5," c":-0.25}]}}]}` + "\n\n"
	u := start(t, Config{URL: serve(t, faulty(OpenAI, streams("text/event-stream", func(w io.Writer) { io.WriteString(w, body) }))).URL})
	got, use, err := answerOf(u, &engine.Prompt{Model: id(t, "m"), Raw: "x", Logprobs: 2})
	if err != nil || got.Text != " a b" || got.N != 2 || use.OutputTokens != 2 || fmt.Sprint(got.Logprobs) != "[{[32 97] 0 []} {[32 98] -0.5 [{[32 99] -0.25}]}]" {
		t.Errorf("%+v, %+v, %v", got, use, err)
	}
}

func TestRankAndCount(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/rerank", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"results":[{"index":1,"relevance_score":0.25},{"index":0,"relevance_score":-3}],"usage":{"total_tokens":12}}`)
	})
	vllm := false
	mux.HandleFunc("POST /tokenize", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Model    string // llama-server with several models asks for it
			Content  string
			Messages []any
		}
		json.NewDecoder(r.Body).Decode(&in)
		switch {
		case in.Model != "m":
			w.WriteHeader(400)
		case vllm && len(in.Messages) == 1:
			fmt.Fprint(w, `{"count":6,"tokens":[1,2,3,4,5,6]}`)
		case in.Content == "<user>Hello":
			fmt.Fprint(w, `{"tokens":[1,2,3]}`)
		default:
			fmt.Fprint(w, `{"tokens":[]}`)
		}
	})
	mux.HandleFunc("POST /apply-template", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"prompt":"<user>Hello"}`) })
	u := start(t, Config{URL: serve(t, faulty(OpenAI, mux.ServeHTTP)).URL})
	e, err := u.Embed(t.Context(), &engine.EmbedRequest{Model: id(t, "m"), Input: []string{"a", "b"}, Query: "q"})
	if err != nil || fmt.Sprint(e.Vectors) != "[[-3] [0.25]]" || e.PromptTokens != 12 {
		t.Errorf("%+v, %v", e, err)
	}
	if n, err := u.Count(t.Context(), ask(u, "Hello")); n != 3 || err != nil {
		t.Errorf("as llama-server counts: %d, %v", n, err)
	}
	vllm = true
	if n, err := u.Count(t.Context(), ask(u, "Hello")); n != 6 || err != nil {
		t.Errorf("as vLLM counts: %d, %v", n, err)
	}
	none := start(t, Config{URL: serve(t, faulty(Ollama, http.NotFound)).URL})
	if _, err := none.Count(t.Context(), ask(u, "Hello")); !errors.Is(err, engine.ErrCannot) {
		t.Errorf("Ollama counts: %v", err)
	}
	none = start(t, Config{URL: serve(t, faulty(OpenAI, http.NotFound)).URL})
	if _, err := none.Count(t.Context(), ask(u, "Hello")); !errors.Is(err, engine.ErrCannot) {
		t.Errorf("a server that cannot count: %v", err)
	}
}

func TestBadVectors(t *testing.T) {
	for _, data := range []string{`[]`, `[{"index":0,"embedding":[1,2]}]`, `[{"index":0,"embedding":[1,2]},{"index":0,"embedding":[1,2]}]`, `[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]`,
		`[{"index":-1,"embedding":[1]},{"index":1,"embedding":[1]}]`, `[{"index":0,"embedding":[]},{"index":1,"embedding":[]}]`, `{}`} {
		u := start(t, Config{URL: serve(t, faulty(OpenAI, func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{"data":%s}`, data) })).URL})
		if e, err := u.Embed(t.Context(), &engine.EmbedRequest{Model: id(t, "m"), Input: []string{"a", "b"}}); !errors.Is(err, engine.ErrLost) {
			t.Errorf("%s: %+v, %v", data, e, err)
		}
	}
}
