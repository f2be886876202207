package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// shape is one API's way to ask for an answer.
type shape struct {
	name, path string
	body       string // of a model %s, asked "one two", without the last bracket
	limit      string // the field for the most tokens
	prefix     string // of the fields of sampling
	open, shut string // around them
	sample     func() body
}

var shapes = []shape{
	{"chat completions", "/v1/chat/completions", `{"model":"%s","messages":[{"role":"user","content":"one two"}]`, "max_tokens", "", "", "", func() body { return new(openAIChat) }},
	{"completions", "/v1/completions", `{"model":"%s","prompt":"one two"`, "max_tokens", "", "", "", func() body { return new(completion) }},
	{"responses", "/v1/responses", `{"model":"%s","input":"one two"`, "max_output_tokens", "", "", "", func() body { return new(response) }},
	{"messages", "/v1/messages", `{"model":"%s","max_tokens":9,"messages":[{"role":"user","content":"one two"}]`, "max_tokens", "", "", "", func() body { return new(anthropicBody) }},
	{"ollama chat", "/api/chat", `{"model":"%s","messages":[{"role":"user","content":"one two"}]`, "num_predict", "options.", `"options":{`, "}", func() body { return new(ollamaChat) }},
	{"ollama generate", "/api/generate", `{"model":"%s","prompt":"one two"`, "num_predict", "options.", `"options":{`, "}", func() body { return new(ollamaGenerate) }},
}

// with is the body for a model with further fields.
func (s *shape) with(model, fields string) string {
	b := fmt.Sprintf(s.body, model)
	if fields != "" {
		b += "," + fields
	}
	return b + "}"
}

// errorForm is a pattern of each API's error body; the kind is by status.
func (s *shape) wantError(t *testing.T, status int, body, id string) {
	t.Helper()
	var got struct {
		Type      string `json:"type"`
		RequestID string `json:"request_id"`
		Error     json.RawMessage
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%s: %d %q: %v", s.name, status, body, err)
	}
	if strings.HasPrefix(s.path, "/api/") {
		var text string
		if json.Unmarshal(got.Error, &text) != nil || text == "" {
			t.Errorf("%s: %d %s, want Ollama's form", s.name, status, body)
		}
		return
	}
	var e struct {
		Type, Message string
		Code, Param   *string
	}
	if err := json.Unmarshal(got.Error, &e); err != nil || e.Message == "" {
		t.Fatalf("%s: %d %s: %v", s.name, status, body, err)
	}
	want := map[int]string{400: "invalid_request_error", 404: "invalid_request_error", 413: "invalid_request_error", 429: "rate_limit_error",
		500: "server_error", 501: "server_error", 503: "server_error"}
	if s.path == "/v1/messages" {
		want = map[int]string{400: "invalid_request_error", 404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error",
			500: "api_error", 501: "api_error", 503: "overloaded_error"}
		if got.Type != "error" || got.RequestID != id || id == "" {
			t.Errorf("%s: %d %s, want type error of request %q", s.name, status, body, id)
		}
	} else if e.Code == nil || *e.Code == "" {
		t.Errorf("%s: %d %s, want a code", s.name, status, body)
	}
	if e.Type != want[status] {
		t.Errorf("%s: %d is of type %q, want %q", s.name, status, e.Type, want[status])
	}
}

func TestErrorForms(t *testing.T) {
	_, url := start(t, &script{})
	deep := `"x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	for _, s := range shapes {
		for _, c := range []struct {
			name   string
			body   string
			status int
		}{
			{"no JSON", "{", 400},
			{"an array", "[]", 400},
			{"10,000 deep", s.with("omx-demo", deep), 400},
			{"no model", s.with("", ""), 400},
			{"bad model", s.with("../../etc/passwd", ""), 404},
			{"unknown model", s.with("no-such-model", ""), 404},
			{"unknown model, streamed", s.with("no-such-model", `"stream":true`), 404},
			{"too large", strings.Repeat(" ", maxBody+1), 413},
			{"full", s.with("full", ""), 429},
			{"fault", s.with("broken", ""), 500},
			{"unable", s.with("unable", ""), 501},
			{"busy", s.with("busy", ""), 503},
		} {
			status, header, body := do(t, "POST", url+s.path, c.body)
			if status != c.status || header.Get(headerRequestID) == "" {
				t.Errorf("%s, %s: %d %s, want %d with a request id", s.name, c.name, status, body, c.status)
				continue
			}
			s.wantError(t, status, body, header.Get("Request-Id"))
			if (status == 429) != (header.Get("Retry-After") == "2") {
				t.Errorf("%s, %s: Retry-After %q", s.name, c.name, header.Get("Retry-After"))
			}
		}
	}
}

// Each number of each shape, out of its range in every way.
func TestNumbersOutOfRange(t *testing.T) {
	_, url := start(t, &script{})
	for _, s := range shapes {
		for _, field := range []string{s.limit, "temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty", "repeat_penalty", "repeat_last_n"} {
			for _, v := range []string{"NaN", "-Infinity", `"NaN"`, "1e308", "-1e308", "1e999", "9223372036854775808", "-9223372036854775809", "4294967296", "-2147483649"} {
				path := s.prefix + field
				if v == "NaN" || v == "-Infinity" { // no JSON: the last name is all there is
					path = field
				}
				b := s.with("omx-demo", s.open+`"`+field+`":`+v+s.shut)
				status, _, body := do(t, "POST", url+s.path, b)
				if status != 400 || !strings.Contains(body, path+": ") {
					t.Errorf("%s: %s = %s: %d %s, want 400 that names it", s.name, field, v, status, body)
				}
			}
		}
		for field, bad := range map[string]string{s.limit: "1.5", "top_k": "0.5", "top_p": "0", "seed": "1.5", "min_p": "-0.1",
			"presence_penalty": "2.1", "frequency_penalty": "-2.1", "repeat_penalty": "-1", "repeat_last_n": "-2", "temperature": "-1"} {
			status, _, body := do(t, "POST", url+s.path, s.with("omx-demo", s.open+`"`+field+`":`+bad+s.shut))
			if status != 400 || !strings.Contains(body, s.prefix+field+": ") {
				t.Errorf("%s: %s = %s: %d %s, want 400 that names it", s.name, field, bad, status, body)
			}
		}
	}
}

// Numbers that only some shapes have.
func TestOwnNumbersOutOfRange(t *testing.T) {
	_, url := start(t, &script{})
	for _, c := range []struct{ shape, fields, field string }{
		{"chat completions", `"logprobs":true,"top_logprobs":%s`, "top_logprobs"},
		{"chat completions", `"max_completion_tokens":%s`, "max_completion_tokens"},
		{"chat completions", `"n":%s`, "n"},
		{"completions", `"logprobs":%s`, "logprobs"},
		{"completions", `"best_of":%s`, "best_of"},
		{"responses", `"top_logprobs":%s`, "top_logprobs"},
		{"messages", `"thinking":{"type":"enabled","budget_tokens":%s}`, "budget_tokens"},
		{"ollama chat", `"logprobs":true,"top_logprobs":%s`, "top_logprobs"},
		{"ollama chat", `"keep_alive":%s`, "keep_alive"},
		{"ollama generate", `"keep_alive":"%s"`, "keep_alive"},
		{"ollama generate", `"top_logprobs":%s`, "top_logprobs"},
	} {
		s := shapeOf(t, c.shape)
		bad := outOfRange
		if c.field != "keep_alive" {
			bad = append([]string{"-1", "1.5"}, bad...)
		}
		if c.field == "top_logprobs" || c.field == "logprobs" {
			bad = append(bad, "21")
		}
		for _, v := range bad {
			status, _, body := do(t, "POST", url+s.path, s.with("omx-demo", fmt.Sprintf(c.fields, v)))
			if status != 400 || !strings.Contains(body, c.field+": ") {
				t.Errorf("%s: %s = %s: %d %s, want 400 that names it", c.shape, c.field, v, status, body)
			}
		}
	}
}

func TestKeepAlive(t *testing.T) {
	s := &script{last: make(chan *Chat, 1)}
	_, url := start(t, s)
	for said, want := range map[string]string{`"5m"`: "5m0s", `300`: "5m0s", `"300"`: "5m0s", `1.5`: "1.5s", `0`: "0s", `"0"`: "0s", `-1`: "-1ns", `"-1m"`: "-1ns", `"-1"`: "-1ns",
		`null`: "nil", `""`: "nil", `"24h"`: "24h0m0s", `31536000`: "8760h0m0s"} {
		sh := shapeOf(t, "ollama chat")
		if status, _, body := do(t, "POST", url+sh.path, sh.with("omx-demo", `"keep_alive":`+said)); status != 200 {
			t.Errorf("%s: %d %s", said, status, body)
			continue
		}
		got := "nil"
		if c := <-s.last; c.KeepAlive != nil {
			got = c.KeepAlive.String()
		}
		if got != want {
			t.Errorf("%s is %s, want %s", said, got, want)
		}
	}
}

// What is said comes through, by every shape.
func TestSampling(t *testing.T) {
	last := &script{last: make(chan *Chat, 1)}
	_, url := start(t, last)
	for _, s := range shapes {
		fields := s.open + `"temperature":0.5,"top_p":0.9,"top_k":3,"min_p":0.1,"seed":7,"presence_penalty":-1,"frequency_penalty":1,"repeat_penalty":1.5,"repeat_last_n":-1,"` + s.limit + `":12` + s.shut
		if status, _, body := do(t, "POST", url+s.path, s.with("omx-demo", fields+`,"frob":{"x":[1]}`)); status != 200 {
			t.Fatalf("%s: %d %s", s.name, status, body)
		}
		c := <-last.last
		got := fmt.Sprint(*c.Temperature, *c.TopP, *c.TopK, *c.MinP, *c.Seed, *c.PresencePenalty, *c.FrequencyPenalty, *c.RepeatPenalty, *c.RepeatLast, c.MaxTokens)
		if got != "0.5 0.9 3 0.1 7 -1 1 1.5 -1 12" || c.Model.String() != "omx-demo" || c.EstimatedPromptTokens == 0 || c.Arrived.After(time.Now()) {
			t.Errorf("%s: %s of %+v", s.name, got, c)
		}
		do(t, "POST", url+s.path, s.with("omx-demo", ""))
		if c := <-last.last; c.Temperature != nil || c.TopP != nil || c.TopK != nil || c.MinP != nil || c.Seed != nil || c.PresencePenalty != nil ||
			c.FrequencyPenalty != nil || c.RepeatPenalty != nil || c.RepeatLast != nil || c.Format != nil || c.Stop != nil {
			t.Errorf("%s: nothing said became %+v", s.name, c)
		}
	}
}
