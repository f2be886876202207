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
	for _, fields := range append(extra, `"tools":[],"tool_choice":null,"thinking":null,"reasoning":null`, "", s.open+`"temperature":1,"seed":-1,"`+s.limit+`":5`+s.shut, `"stream":true`) {
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
		if len(c.Tools) > maxTools || c.Logprobs < 0 || c.Logprobs > 1+maxTop || c.Choice != "" && len(c.Tools) == 0 || c.KeepAlive != nil && (*c.KeepAlive > maxKeep || *c.KeepAlive < -1) {
			t.Errorf("%s passed as %+v", b, c)
		}
		for _, tool := range c.Tools {
			if !json.Valid(tool) {
				t.Errorf("%s offers the tool %s", b, tool)
			}
		}
		for _, m := range c.Messages {
			for _, call := range m.Calls {
				if !json.Valid(call.Arguments) || call.Arguments[0] != '{' || depth(call.Arguments) > maxDepth {
					t.Errorf("%s has the arguments %s", b, call.Arguments)
				}
			}
		}
		if c.Format != nil && !json.Valid(c.Format) {
			t.Errorf("%s has the format %s", b, c.Format)
		}
		result := Result{Finish: "stop", Calls: []Call{{Name: "f"}}}
		if err := result.fillCalls(); err != nil {
			t.Fatal(err)
		}
		if whole := o.format("id", time.Time{}).whole(nil, wholeOf("text"), &result); !json.Valid(whole) {
			t.Errorf("%s is answered with %s", b, whole)
		}
	})
}

func FuzzChatCompletions(f *testing.F) {
	fuzzBody(f, "chat completions", `"tools":[`+aTool+`],"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false,"logprobs":true,"top_logprobs":2,"reasoning_effort":"low"`,
		`"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"1","content":"x"}]`, `"stop":["a"],"response_format":{"type":"json_schema","json_schema":{"schema":{}}}`)
}

func FuzzCompletions(f *testing.F) {
	fuzzBody(f, "completions", `"logprobs":3`, `"prompt":["a"],"echo":false`, `"prompt":[1]`)
}

func FuzzResponses(f *testing.F) {
	fuzzBody(f, "responses", `"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}],"tool_choice":"required","include":["message.output_text.logprobs"]`,
		`"input":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"x"}]},{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":"x"}]`, `"input":[{"role":"user","content":[{"type":"input_text","text":"x"}]}]`, `"text":{"format":{"type":"json_object"}}`, `"instructions":"x"`)
}

func FuzzMessages(f *testing.F) {
	fuzzBody(f, "messages", `"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true},"thinking":{"type":"enabled","budget_tokens":5}`,
		`"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":{}}]},{"role":"user","content":[{"type":"text","text":"x"},{"type":"tool_result","tool_use_id":"1","content":"y","is_error":true}]}]`, `"system":[{"type":"text","text":"x"}],"stop_sequences":["a"]`, `"messages":[{"role":"user","content":[{"type":"thinking"}]}]`)
}

func FuzzOllamaChat(f *testing.F) {
	fuzzBody(f, "ollama chat", `"tools":[`+aTool+`],"think":"high","keep_alive":"5m","logprobs":true,"top_logprobs":1`,
		`"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{}}}]},{"role":"tool","tool_name":"f","content":"x"}]`, `"format":{"type":"object"},"think":false`, `"options":{"stop":"a","repeat_last_n":0}`)
}

func FuzzOllamaGenerate(f *testing.F) {
	fuzzBody(f, "ollama generate", `"think":true,"keep_alive":-1`, `"raw":true`, `"system":"x","format":"json"`)
}

func wholeOf(text string) *whole {
	var a whole
	a.text.WriteString(text)
	return &a
}
