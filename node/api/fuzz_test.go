package api

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

// fuzzBody checks what holds of every body that is accepted, and that whatever
// it says is answered in JSON.
func fuzzBody(f *testing.F, name string, extra ...string) {
	var s *shape
	for i := range shapes {
		if shapes[i].name == name {
			s = &shapes[i]
		}
	}
	for _, fields := range append(extra, "", s.open+`"temperature":1,"seed":-1,"`+s.limit+`":5`+s.shut, `"stream":true`) {
		f.Add([]byte(s.with("omx-demo", fields)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o := s.sample()
		if decode(b, o) != nil {
			return
		}
		c, err := o.chat(time.Time{})
		if err != nil {
			if e := asError(err); e.Status != 400 && e.Status != 404 {
				t.Errorf("%s: %v", b, err)
			}
			return
		}
		if c.Model.IsZero() || (c.Raw == "") == (len(c.Messages) == 0) || len(c.Messages) > maxMessages+1 || len(c.Stop) > maxStops || c.MaxTokens < 0 || c.MaxTokens > maxTokens {
			t.Errorf("%s passed as %+v", b, c)
		}
		for _, v := range []*float32{c.Temperature, c.TopP, c.MinP, c.PresencePenalty, c.FrequencyPenalty, c.RepeatPenalty} {
			if v != nil && (math.IsNaN(float64(*v)) || math.Abs(float64(*v)) > 2) {
				t.Errorf("%s let %v through", b, *v)
			}
		}
		if c.Format != nil && !json.Valid(c.Format) {
			t.Errorf("%s has the format %s", b, c.Format)
		}
		if whole := o.format("id", time.Time{}).whole(nil, wholeOf("text"), &Result{Finish: "stop"}); !json.Valid(whole) {
			t.Errorf("%s is answered with %s", b, whole)
		}
	})
}

func FuzzChatCompletions(f *testing.F) {
	fuzzBody(f, "chat completions", `"stop":["a"],"response_format":{"type":"json_schema","json_schema":{"schema":{}}}`)
}

func FuzzCompletions(f *testing.F) {
	fuzzBody(f, "completions", `"prompt":["a"],"echo":false`, `"prompt":[1]`)
}

func FuzzResponses(f *testing.F) {
	fuzzBody(f, "responses", `"input":[{"role":"user","content":[{"type":"input_text","text":"x"}]}]`, `"text":{"format":{"type":"json_object"}}`, `"instructions":"x"`)
}

func FuzzMessages(f *testing.F) {
	fuzzBody(f, "messages", `"system":[{"type":"text","text":"x"}],"stop_sequences":["a"]`, `"messages":[{"role":"user","content":[{"type":"thinking"}]}]`)
}

func FuzzOllamaChat(f *testing.F) {
	fuzzBody(f, "ollama chat", `"format":{"type":"object"},"think":false`, `"options":{"stop":"a","repeat_last_n":0}`)
}

func FuzzOllamaGenerate(f *testing.F) {
	fuzzBody(f, "ollama generate", `"raw":true`, `"system":"x","format":"json"`)
}

func wholeOf(text string) *whole {
	var a whole
	a.text.WriteString(text)
	return &a
}
