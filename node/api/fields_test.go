package api

import (
	"fmt"
	"strings"
	"testing"
)

// What is known, would change the answer and cannot be done is refused by name.
func TestUnsupportedFields(t *testing.T) {
	_, url := start(t, &script{})
	for _, c := range []struct{ shape, fields, want string }{
		{"chat completions", `"tools":[{"type":"function"}]`, "tools: "},
		{"chat completions", `"functions":[{"name":"f"}]`, "functions: "},
		{"chat completions", `"n":2`, "n: "},
		{"chat completions", `"logprobs":true`, "logprobs: "},
		{"chat completions", `"logit_bias":{"1":2}`, "logit_bias: "},
		{"chat completions", `"response_format":{"type":"xml"}`, "response_format: "},
		{"chat completions", `"response_format":{"type":"json_schema"}`, "response_format: "},
		{"chat completions", `"response_format":{"type":"json_schema","json_schema":{"schema":[]}}`, "response_format: "},
		{"chat completions", `"max_completion_tokens":-1`, "max_completion_tokens: "},
		{"chat completions", `"stop":["1","2","3","4","5"]`, "stop: "},
		{"completions", `"prompt":[1,2,3]`, "prompt: must be text"},
		{"completions", `"prompt":[[1],[2]]`, "prompt: must be text"},
		{"completions", `"prompt":["a","b"]`, "prompt: has 2 entries"},
		{"completions", `"prompt":[]`, "prompt: has 0 entries"},
		{"completions", `"prompt":""`, "prompt: is missing"},
		{"completions", `"prompt":7`, "prompt: must be text"},
		{"completions", `"echo":true`, "echo: "},
		{"completions", `"suffix":"x"`, "suffix: "},
		{"completions", `"best_of":2`, "best_of: "},
		{"completions", `"logprobs":0`, "logprobs: "},
		{"responses", `"previous_response_id":"resp_1"`, "previous_response_id: "},
		{"responses", `"conversation":"c"`, "conversation: "},
		{"responses", `"prompt":{"id":"p"}`, "prompt: "},
		{"responses", `"background":true`, "background: "},
		{"responses", `"tools":[{"type":"web_search"}]`, "tools: "},
		{"responses", `"top_logprobs":3`, "top_logprobs: "},
		{"responses", `"input":""`, "input: is missing"},
		{"responses", `"input":7`, "input: must be"},
		{"responses", `"input":[{"type":"function_call_output"}]`, "function_call_output"},
		{"responses", `"input":[{"role":"user","content":[{"type":"input_image"}]}]`, "input_image"},
		{"responses", `"input":[{"role":"tool","content":"x"}]`, "input: role"},
		{"responses", `"text":{"format":{"type":"grammar"}}`, "text.format: "},
		{"responses", `"instructions":7`, "instructions: "},
		{"messages", `"tools":[{"name":"f"}]`, "tools: "},
		{"messages", `"mcp_servers":[{"url":"x"}]`, "mcp_servers: "},
		{"messages", `"thinking":{"type":"enabled","budget_tokens":1024}`, "thinking: "},
		{"messages", `"max_tokens":null`, "max_tokens: is missing"},
		{"messages", `"temperature":1.5`, "temperature: must be between 0 and 1"},
		{"messages", `"messages":[]`, "messages: "},
		{"messages", `"messages":[{"role":"system","content":"x"}]`, "the field system"},
		{"messages", `"messages":[{"role":"user","content":[{"type":"image"}]}]`, `\"image\"`},
		{"messages", `"messages":[{"role":"user","content":[{"type":"tool_result"}]}]`, `\"tool_result\"`},
		{"messages", `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"{"}]`, "the last must be the user's"},
		{"messages", `"system":[{"type":"image"}]`, "system: "},
		{"messages", `"system":7`, "system: "},
		{"messages", `"stop_sequences":[""]`, "stop_sequences: "},
		{"messages", `"stop_sequences":"x"`, "stop_sequences: "},
		{"ollama chat", `"tools":[{"type":"function"}]`, "tools: "},
		{"ollama chat", `"think":true`, "think: "},
		{"ollama chat", `"format":"xml"`, "format: "},
		{"ollama chat", `"format":7`, "format: "},
		{"ollama chat", `"messages":[{"role":"user","content":"x","images":["aGk="]}]`, "images"},
		{"ollama chat", `"options":{"typical_p":0.5}`, "options.typical_p: "},
		{"ollama chat", `"options":{"num_predict":-3}`, "options.num_predict: "},
		{"ollama chat", `"options":{"stop":[""]}`, "options.stop: "},
		{"ollama generate", `"suffix":"x"`, "suffix: "},
		{"ollama generate", `"template":"{{ .Prompt }}"`, "template: "},
		{"ollama generate", `"images":["aGk="]`, "images: "},
		{"ollama generate", `"context":[1,2]`, "context: "},
		{"ollama generate", `"think":"high"`, "think: "},
		{"ollama generate", `"raw":true,"system":"x"`, "system: "},
		{"ollama generate", `"prompt":["x"]`, "prompt: "},
	} {
		s := shapeOf(t, c.shape)
		status, header, body := do(t, "POST", url+s.path, s.with("omx-demo", c.fields))
		if status != 400 || !strings.Contains(body, c.want) {
			t.Errorf("%s: %s: %d %s, want 400 with %s", c.shape, c.fields, status, body, c.want)
			continue
		}
		s.wantError(t, status, body, header.Get("Request-Id"))
	}
}

func shapeOf(t *testing.T, name string) *shape {
	t.Helper()
	for i := range shapes {
		if shapes[i].name == name {
			return &shapes[i]
		}
	}
	t.Fatalf("there is no shape %q", name)
	return nil
}

// What each shape's own fields become, and what is harmless.
func TestFields(t *testing.T) {
	s := &script{last: make(chan *Chat, 1)}
	_, url := start(t, s)
	for _, c := range []struct{ shape, fields, want string }{
		{"chat completions", `"stop":"END","n":1,"tools":[],"logprobs":false,"user":"u"`, `[{user one two}] "" 0 [END] "" false`},
		{"chat completions", `"max_tokens":3,"max_completion_tokens":5`, `[{user one two}] "" 5 [] "" false`},
		{"chat completions", `"response_format":{"type":"text"}`, `[{user one two}] "" 0 [] "" false`},
		{"chat completions", `"response_format":{"type":"json_object"}`, `[{user one two}] "" 0 [] "\"json\"" false`},
		{"chat completions", `"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object"}}}`, `[{user one two}] "" 0 [] "{\"type\":\"object\"}" false`},
		{"chat completions", `"messages":[{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":null}]`, `[{system ab} {assistant }] "" 0 [] "" false`},
		{"completions", `"echo":false,"suffix":null,"best_of":1,"logprobs":null`, `[] "one two" 16 [] "" false`},
		{"completions", `"prompt":["three"],"stop":["a","b"],"max_tokens":4,"stream":true`, `[] "three" 4 [a b] "" true`},
		{"responses", `"instructions":"be brief","store":true,"tools":[],"background":false,"previous_response_id":null`, `[{system be brief} {user one two}] "" 0 [] "" false`},
		{"responses", `"input":[{"role":"developer","content":"d"},{"type":"message","role":"user","content":[{"type":"input_text","text":"q"}]},{"type":"reasoning","summary":[]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[]}]},{"role":"user","content":"more"}]`,
			`[{system d} {user q} {assistant a} {user more}] "" 0 [] "" false`},
		{"responses", `"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"array"}}},"max_output_tokens":20`, `[{user one two}] "" 20 [] "{\"type\":\"array\"}" false`},
		{"responses", `"text":{"format":{"type":"json_object"}},"stream":true`, `[{user one two}] "" 0 [] "\"json\"" true`},
		{"messages", `"system":"be brief","stop_sequences":["a","b","c","d","e"],"thinking":{"type":"disabled"},"metadata":{"user_id":"u"}`, `[{system be brief} {user one two}] "" 9 [a b c d e] "" false`},
		{"messages", `"system":[{"type":"text","text":"be ","cache_control":{"type":"ephemeral"}},{"type":"text","text":"brief"}],"messages":[{"role":"user","content":[{"type":"text","text":"q"}]},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"x"},{"type":"text","text":"a"}]},{"role":"user","content":"more"}],"stream":true`,
			`[{system be brief} {user q} {assistant a} {user more}] "" 9 [] "" true`},
		{"ollama chat", `"format":"json","think":false,"keep_alive":"5m"`, `[{user one two}] "" 0 [] "\"json\"" true`},
		{"ollama chat", `"format":{"type":"object"},"stream":false,"options":{"num_predict":-2,"seed":-1,"num_ctx":4096}`, `[{user one two}] "" 0 [] "{\"type\":\"object\"}" false`},
		{"ollama chat", `"format":"","options":{"num_predict":-1,"stop":"END","typical_p":1}`, `[{user one two}] "" 0 [END] "" true`},
		{"ollama generate", `"system":"be brief","stream":false`, `[{system be brief} {user one two}] "" 0 [] "" false`},
		{"ollama generate", `"raw":true,"format":{"type":"string"},"think":false,"options":{"num_predict":8}`, `[] "one two" 8 [] "{\"type\":\"string\"}" true`},
	} {
		sh := shapeOf(t, c.shape)
		// A client may say which version of the API it speaks.
		if status, _, body := do(t, "POST", url+sh.path, sh.with("omx-demo", c.fields), "anthropic-version", "2023-06-01"); status != 200 {
			t.Errorf("%s: %s: %d %s", c.shape, c.fields, status, body)
			continue
		}
		a := <-s.last
		if got := fmt.Sprintf("%v %q %d %v %q %v", turns(a.Messages), a.Raw, a.MaxTokens, a.Stop, a.Format, a.Stream); got != c.want || a.Seed != nil {
			t.Errorf("%s: %s:\n     %s\nwant %s", c.shape, c.fields, got, c.want)
		}
	}
}

// turns are messages less what the tests of tools are about.
func turns(messages []Message) (t []struct{ Role, Content string }) {
	for _, m := range messages {
		t = append(t, struct{ Role, Content string }{m.Role, m.Content})
	}
	return t
}

// A penalty over no tokens is none.
func TestOllamaRepeatLastZero(t *testing.T) {
	s := &script{last: make(chan *Chat, 1)}
	_, url := start(t, s)
	sh := shapeOf(t, "ollama generate")
	do(t, "POST", url+sh.path, sh.with("omx-demo", `"options":{"repeat_last_n":0,"repeat_penalty":1.1,"presence_penalty":1,"frequency_penalty":1}`))
	if c := <-s.last; c.RepeatLast != nil || c.RepeatPenalty != nil || c.PresencePenalty != nil || c.FrequencyPenalty != nil {
		t.Errorf("penalties stay: %+v", c)
	}
}
