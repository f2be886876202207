package api

import (
	"fmt"
	"strings"
	"testing"
)

const aTool = `{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}`

// What is known, would change the answer and cannot be done is refused by name.
func TestUnsupportedFields(t *testing.T) {
	_, url := start(t, &script{})
	for _, c := range []struct{ shape, fields, want string }{
		{"chat completions", `"tools":[{"type":"custom","custom":{"name":"f"}}]`, "tools[0].type: "},
		{"chat completions", `"tools":[{"type":"function"}]`, "tools[0].function.name: "},
		{"chat completions", `"tools":[` + aTool + `,{"type":"function","function":{"name":"a b"}}]`, "tools[1].function.name: "},
		{"chat completions", `"tools":[{"type":"function","function":{"name":"f","parameters":[1]}}]`, "tools[0].function.parameters: "},
		{"chat completions", `"tools":[{"type":"function","function":{"name":"f","parameters":"{}"}}]`, "tools[0].function.parameters: "},
		{"chat completions", `"tools":[{"type":"function","function":{"name":"f","description":"` + strings.Repeat("x", maxToolBytes) + `"}}]`, "tools: are more than"},
		{"chat completions", `"tools":[` + strings.Repeat(aTool+",", maxTools) + aTool + `]`, "tools: may have at most"},
		{"chat completions", `"tools":{}`, "tools: "},
		{"chat completions", `"tools":[7]`, "tools: "},
		{"chat completions", `"tool_choice":"required"`, "tool_choice: "},
		{"chat completions", `"tool_choice":"any"`, "tool_choice: "},
		{"chat completions", `"tool_choice":7`, "tool_choice: "},
		{"chat completions", `"tool_choice":{"type":"allowed_tools"}`, "tool_choice: "},
		{"chat completions", `"tools":[` + aTool + `],"tool_choice":{"type":"function","function":{"name":"g"}}`, "tool_choice: there is no tool"},
		{"chat completions", `"function_call":"auto"`, "function_call: "},
		{"chat completions", `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{]"}}]}]`, "messages[1].tool_calls[0].function.arguments: "},
		{"chat completions", `"messages":[{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":"[1]"}}]}]`, "messages[0].tool_calls[0].function.arguments: "},
		{"chat completions", `"messages":[{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"a\":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}"}}]}]`, "messages[0].tool_calls[0].function.arguments: "},
		{"chat completions", `"messages":[{"role":"assistant","tool_calls":[{"id":"1","type":"custom"}]}]`, "messages[0].tool_calls[0].type: "},
		{"chat completions", `"messages":[{"role":"assistant","tool_calls":[{"id":"1","function":{"name":""}}]}]`, "messages[0].tool_calls[0].function.name: "},
		{"chat completions", `"messages":[{"role":"user","tool_calls":[{"id":"1","function":{"name":"f"}}]}]`, "messages[0].tool_calls: "},
		{"chat completions", `"messages":[{"role":"assistant","function_call":{"name":"f"}}]`, "messages[0].function_call: "},
		{"chat completions", `"messages":[{"role":"user","content":"x"},{"role":"tool","content":"y"}]`, "messages[1].tool_call_id: "},
		{"chat completions", `"messages":[{"role":"function","content":"y"}]`, "messages: role"},
		{"chat completions", `"messages":[{"role":"user","content":[{"type":"input_audio"}]}]`, "input_audio"},
		{"chat completions", `"reasoning_effort":"huge"`, "reasoning_effort: "},
		{"chat completions", `"top_logprobs":2`, "top_logprobs: needs logprobs"},
		{"chat completions", `"modalities":["text","audio"]`, "modalities: "},
		{"chat completions", `"web_search_options":{"x":1}`, "web_search_options: "},
		{"chat completions", `"functions":[{"name":"f"}]`, "functions: "},
		{"chat completions", `"n":2`, "n: "},
		{"chat completions", `"logprobs":3`, "logprobs: "},
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
		{"completions", `"logprobs":true`, "logprobs: "},
		{"responses", `"previous_response_id":"resp_1"`, "previous_response_id: "},
		{"responses", `"conversation":"c"`, "conversation: "},
		{"responses", `"prompt":{"id":"p"}`, "prompt: "},
		{"responses", `"background":true`, "background: "},
		{"responses", `"tools":[{"type":"web_search"}]`, `tools[0].type: \"web_search\"`},
		{"responses", `"tools":[{"type":"function","name":"f","parameters":7}]`, "tools[0].parameters: "},
		{"responses", `"tools":[{"type":"function","function":{"name":"f"}}]`, "tools[0].name: "},
		{"responses", `"tools":[{"type":"function","name":7}]`, "\"tools.name: "},
		{"responses", `"tool_choice":{"type":"function","name":"f"}`, "tool_choice: there is no tool"},
		{"responses", `"max_tool_calls":3`, "max_tool_calls: "},
		{"responses", `"reasoning":{"effort":"huge"}`, "reasoning.effort: "},
		{"responses", `"input":[{"type":"function_call","call_id":"1","name":"f","arguments":"7"}]`, "input[0].arguments: "},
		{"responses", `"input":[{"type":"function_call","call_id":"1","arguments":"{}"}]`, "input[0].name: "},
		{"responses", `"input":[{"type":"function_call_output","call_id":"1","output":[{"type":"input_image"}]}]`, "input_image"},
		{"responses", `"input":[{"type":"item_reference","id":"x"}]`, "item_reference"},
		{"responses", `"input":""`, "input: is missing"},
		{"responses", `"input":7`, "input: must be"},
		{"responses", `"input":[{"type":"function_call_output"}]`, "input[0].call_id: "},
		{"responses", `"input":[{"role":"user","content":[{"type":"input_image"}]}]`, "input_image"},
		{"responses", `"input":[{"role":"tool","content":"x"}]`, "input: role"},
		{"responses", `"text":{"format":{"type":"grammar"}}`, "text.format: "},
		{"responses", `"instructions":7`, "instructions: "},
		{"messages", `"tools":[{"name":"f"}]`, "tools[0].input_schema: "},
		{"messages", `"tools":[{"name":"f","input_schema":[]}]`, "tools[0].input_schema: "},
		{"messages", `"tools":[{"name":"f","input_schema":"x"}]`, "tools[0].input_schema: "},
		{"messages", `"tools":[{"name":"","input_schema":{}}]`, "tools[0].name: "},
		{"messages", `"tools":[{"type":"web_search_20250305","name":"web_search"}]`, `tools[0].type: \"web_search_20250305\"`},
		{"messages", `"tool_choice":{"type":"any"}`, "tool_choice: "},
		{"messages", `"tool_choice":{"type":"tool","name":"g"}`, "tool_choice: "},
		{"messages", `"tool_choice":{"type":"some"}`, "tool_choice.type: "},
		{"messages", `"tool_choice":"auto"`, "tool_choice: "},
		{"messages", `"container":"c"`, "container: "},
		{"messages", `"thinking":{"type":"hard"}`, "thinking.type: "},
		{"messages", `"output_config":{"format":{"type":"xml"}}`, "output_config.format: "},
		{"messages", `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":[1]}]},{"role":"user","content":"y"}]`, "messages[1].content[0].input: "},
		{"messages", `"messages":[{"role":"user","content":[{"type":"tool_use","id":"1","name":"f","input":{}}]}]`, "messages[0].content[0]: "},
		{"messages", `"messages":[{"role":"assistant","content":[{"type":"tool_result","tool_use_id":"1"}]},{"role":"user","content":"y"}]`, "messages[0].content[0]: "},
		{"messages", `"messages":[{"role":"user","content":[{"type":"document"}]}]`, `\"document\"`},
		{"messages", `"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"image"}]}]}]`, `\"image\"`},
		{"messages", `"messages":[{"role":"user","content":7}]`, "messages[0].content: "},
		{"messages", `"mcp_servers":[{"url":"x"}]`, "mcp_servers: "},
		{"messages", `"max_tokens":null`, "max_tokens: is missing"},
		{"messages", `"temperature":1.5`, "temperature: must be between 0 and 1"},
		{"messages", `"messages":[]`, "messages: "},
		{"messages", `"messages":[{"role":"system","content":"x"}]`, "the field system"},
		{"messages", `"messages":[{"role":"user","content":[{"type":"image"}]}]`, `\"image\"`},
		{"messages", `"messages":[{"role":"user","content":[{"type":"tool_result"}]}]`, "messages[0].content[0].tool_use_id: "},
		{"messages", `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"{"}]`, "the last must be the user's"},
		{"messages", `"system":[{"type":"image"}]`, "system: "},
		{"messages", `"system":7`, "system: "},
		{"messages", `"stop_sequences":[""]`, "stop_sequences: "},
		{"messages", `"stop_sequences":"x"`, "stop_sequences: "},
		{"ollama chat", `"tools":[{"type":"function"}]`, "tools[0].function.name: "},
		{"ollama chat", `"think":"hard"`, "think: "},
		{"ollama chat", `"think":1`, "think: "},
		{"ollama chat", `"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]`, "messages[0].tool_calls[0].function.arguments: "},
		{"ollama chat", `"messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":{}}}]}]`, "messages[0].tool_calls[0].function.name: "},
		{"ollama chat", `"keep_alive":"long"`, "keep_alive: "},
		{"ollama chat", `"keep_alive":{}`, "keep_alive: "},
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
		{"ollama generate", `"think":{}`, "think: "},
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
