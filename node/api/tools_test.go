package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// caller thinks, says a word and calls two tools, one with an id of its own.
func caller() *script {
	return &script{thought: "hm", calls: []Call{
		{ID: "c1", Name: "f", Arguments: json.RawMessage("{\n \"a\": \"é\\n\"\n}")},
		{ID: "c2", Name: "g"},
	}}
}

// The answers of caller, streamed and whole, in each shape.
var calledStreams = map[string]string{
	"chat completions": chunk + `[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}` + "\n\n" +
		chunk + `[{"index":0,"delta":{"reasoning_content":"hm"},"finish_reason":null}]}` + "\n\n" +
		chunk + `[{"index":0,"delta":{"content":"one "},"finish_reason":null}]}` + "\n\n" +
		chunk + `[{"index":0,"delta":{"content":"two"},"finish_reason":null}]}` + "\n\n" +
		chunk + `[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":\"é\\n\"}"}}]},"finish_reason":null}]}` + "\n\n" +
		chunk + `[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":null}]}` + "\n\n" +
		chunk + `[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}` + "\n\ndata: [DONE]\n\n",
	"messages": event("message_start", `"message":{"id":"msg_r1","type":"message","role":"assistant","model":"omx-demo","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}`) +
		event("ping", "") +
		event("content_block_start", `"index":0,"content_block":{"type":"thinking","thinking":"","signature":""}`) +
		event("content_block_delta", `"index":0,"delta":{"type":"thinking_delta","thinking":"hm"}`) +
		event("content_block_delta", `"index":0,"delta":{"type":"signature_delta","signature":""}`) +
		event("content_block_stop", `"index":0`) +
		event("content_block_start", `"index":1,"content_block":{"type":"text","text":""}`) +
		event("content_block_delta", `"index":1,"delta":{"type":"text_delta","text":"one "}`) +
		event("content_block_delta", `"index":1,"delta":{"type":"text_delta","text":"two"}`) +
		event("content_block_stop", `"index":1`) +
		event("content_block_start", `"index":2,"content_block":{"type":"tool_use","id":"c1","name":"f","input":{}}`) +
		event("content_block_delta", `"index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\":\"é\\n\"}"}`) +
		event("content_block_stop", `"index":2`) +
		event("content_block_start", `"index":3,"content_block":{"type":"tool_use","id":"c2","name":"g","input":{}}`) +
		event("content_block_delta", `"index":3,"delta":{"type":"input_json_delta","partial_json":"{}"}`) +
		event("content_block_stop", `"index":3`) +
		event("message_delta", `"delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":2,"cache_creation_input_tokens":0,"cache_read_input_tokens":1,"output_tokens":2}`) +
		event("message_stop", ""),
	"ollama chat": `{"model":"omx-demo","created_at":T,"message":{"role":"assistant","content":"","thinking":"hm"},"done":false}` + "\n" +
		`{"model":"omx-demo","created_at":T,"message":{"role":"assistant","content":"one "},"done":false}` + "\n" +
		`{"model":"omx-demo","created_at":T,"message":{"role":"assistant","content":"two"},"done":false}` + "\n" +
		`{"model":"omx-demo","created_at":T,"message":{"role":"assistant","content":"",` + ollamaCalls + `},"done":false}` + "\n" +
		`{"model":"omx-demo","created_at":T,"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop",` + durings,
	"ollama generate": `{"model":"omx-demo","created_at":T,"response":"","thinking":"hm","done":false}` + "\n" +
		`{"model":"omx-demo","created_at":T,"response":"one ","done":false}` + "\n" +
		`{"model":"omx-demo","created_at":T,"response":"two","done":false}` + "\n" +
		`{"model":"omx-demo","created_at":T,"response":"","done":true,"done_reason":"stop",` + durings,
	"responses": numbered(
		"response.created", `"response":`+object("in_progress", "", "null"),
		"response.in_progress", `"response":`+object("in_progress", "", "null"),
		"response.output_item.added", `"output_index":0,"item":{"id":"rs_r1","type":"reasoning","status":"in_progress","summary":[],"content":[]}`,
		"response.content_part.added", ofThought+`"part":{"type":"reasoning_text","text":""}`,
		"response.reasoning_text.delta", ofThought+`"delta":"hm"`,
		"response.reasoning_text.done", ofThought+`"text":"hm"`,
		"response.content_part.done", ofThought+`"part":{"type":"reasoning_text","text":"hm"}`,
		"response.output_item.done", `"output_index":0,"item":`+thoughtDone,
		"response.output_item.added", `"output_index":1,"item":{"id":"msg_r1_1","type":"message","status":"in_progress","role":"assistant","content":[]}`,
		"response.content_part.added", ofSecond+`"part":`+part(""),
		"response.output_text.delta", ofSecond+`"delta":"one ","logprobs":[]`,
		"response.output_text.delta", ofSecond+`"delta":"two","logprobs":[]`,
		"response.output_text.done", ofSecond+`"text":"one two","logprobs":[]`,
		"response.content_part.done", ofSecond+`"part":`+part("one two"),
		"response.output_item.done", `"output_index":1,"item":`+secondDone,
		"response.output_item.added", `"output_index":2,"item":{"id":"fc_r1_2","type":"function_call","status":"in_progress","call_id":"c1","name":"f","arguments":""}`,
		"response.function_call_arguments.delta", `"item_id":"fc_r1_2","output_index":2,"delta":"{\"a\":\"é\\n\"}"`,
		"response.function_call_arguments.done", `"item_id":"fc_r1_2","output_index":2,"name":"f","arguments":"{\"a\":\"é\\n\"}"`,
		"response.output_item.done", `"output_index":2,"item":`+firstCall,
		"response.output_item.added", `"output_index":3,"item":{"id":"fc_r1_3","type":"function_call","status":"in_progress","call_id":"c2","name":"g","arguments":""}`,
		"response.function_call_arguments.delta", `"item_id":"fc_r1_3","output_index":3,"delta":"{}"`,
		"response.function_call_arguments.done", `"item_id":"fc_r1_3","output_index":3,"name":"g","arguments":"{}"`,
		"response.output_item.done", `"output_index":3,"item":`+secondCall,
		"response.completed", `"response":`+object("completed", responseItems, thoughtUsage)),
}

const (
	ollamaCalls   = `"tool_calls":[{"id":"c1","function":{"index":0,"name":"f","arguments":{"a":"é\n"}}},{"id":"c2","function":{"index":1,"name":"g","arguments":{}}}]`
	ofThought     = `"item_id":"rs_r1","output_index":0,"content_index":0,`
	thoughtDone   = `{"id":"rs_r1","type":"reasoning","status":"completed","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]}`
	ofSecond      = `"item_id":"msg_r1_1","output_index":1,"content_index":0,`
	secondDone    = `{"id":"msg_r1_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"one two"}]}`
	firstCall     = `{"id":"fc_r1_2","type":"function_call","status":"completed","call_id":"c1","name":"f","arguments":"{\"a\":\"é\\n\"}"}`
	secondCall    = `{"id":"fc_r1_3","type":"function_call","status":"completed","call_id":"c2","name":"g","arguments":"{}"}`
	responseItems = thoughtDone + "," + secondDone + "," + firstCall + "," + secondCall
	thoughtUsage  = `{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":5}`
)

var calledWhole = map[string]string{
	"chat completions": `"message":{"role":"assistant","content":"one two","reasoning_content":"hm","refusal":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":\"é\\n\"}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]},"logprobs":null,"finish_reason":"tool_calls"}`,
	"messages":         `"content":[{"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"one two"},{"type":"tool_use","id":"c1","name":"f","input":{"a":"é\n"}},{"type":"tool_use","id":"c2","name":"g","input":{}}],"stop_reason":"tool_use","stop_sequence":null,`,
	"responses":        object("completed", responseItems, thoughtUsage),
	"ollama chat":      `"message":{"role":"assistant","content":"one two","thinking":"hm",` + ollamaCalls + `},"done":true,"done_reason":"stop",`,
	"ollama generate":  `"response":"one two","thinking":"hm","done":true,`,
}

func TestCalls(t *testing.T) {
	_, url := start(t, caller())
	for _, s := range shapes {
		if s.name == "completions" { // of raw text: there are none
			continue
		}
		_, _, body := do(t, "POST", url+s.path, s.with("omx-demo", `"stream":true`), "X-Request-Id", "r1")
		if got := moments.ReplaceAllString(body, `${1}T`); got != calledStreams[s.name] {
			t.Errorf("%s: streamed\n%s\nwant\n%s", s.name, got, calledStreams[s.name])
		}
		_, _, body = do(t, "POST", url+s.path, s.with("omx-demo", `"stream":false`), "X-Request-Id", "r1")
		if got := moments.ReplaceAllString(body, `${1}T`); !strings.Contains(got, calledWhole[s.name]) || !json.Valid([]byte(body)) {
			t.Errorf("%s: whole %s\nwant %s", s.name, got, calledWhole[s.name])
		}
	}
}

// An answer of calls alone, one cut short, and one that cannot be.
func TestCallsAlone(t *testing.T) {
	_, alone := start(t, &script{silent: true, calls: []Call{{Name: "f"}}})
	_, cut := start(t, &script{calls: []Call{{Name: "f"}}, finish: "length"})
	_, broken := start(t, &script{calls: []Call{{Name: "f", Arguments: json.RawMessage(`{"a`)}}})
	for name, want := range map[string][3]string{
		"chat completions": {`"content":null,"refusal":null,"tool_calls":[{"id":"call_`, `"finish_reason":"length"`, `"code":"bad_answer"`},
		"messages":         {`"content":[{"type":"tool_use","id":"call_`, `"stop_reason":"max_tokens"`, `"type":"api_error"`},
		"responses":        {`"output":[{"id":"fc_r1","type":"function_call","status":"completed","call_id":"call_`, `"status":"incomplete"`, `"code":"bad_answer"`},
		"ollama chat":      {`"content":"","tool_calls":[{"id":"call_`, `"done_reason":"length"`, `{"error":"the model called a tool`},
	} {
		s := shapeOf(t, name)
		if _, _, body := do(t, "POST", alone+s.path, s.with("omx-demo", `"stream":false`), "X-Request-Id", "r1"); !strings.Contains(body, want[0]) {
			t.Errorf("%s: calls alone: %s, want %s", name, body, want[0])
		}
		if _, _, body := do(t, "POST", cut+s.path, s.with("omx-demo", `"stream":false`)); !strings.Contains(body, want[1]) {
			t.Errorf("%s: cut: %s, want %s", name, body, want[1])
		}
		if status, _, body := do(t, "POST", broken+s.path, s.with("omx-demo", `"stream":false`)); status != 502 || !strings.Contains(body, want[2]) {
			t.Errorf("%s: broken: %d %s, want %s", name, status, body, want[2])
		}
		if _, _, body := do(t, "POST", broken+s.path, s.with("omx-demo", `"stream":true`)); !strings.Contains(body, "arguments that are not JSON") {
			t.Errorf("%s: broken in mid-stream: %s", name, body)
		}
		_, _, body := do(t, "POST", alone+s.path, s.with("omx-demo", `"stream":true`))
		for line := range strings.Lines(body) {
			if line = strings.TrimSpace(strings.TrimPrefix(line, "data: ")); strings.HasPrefix(line, "{") && !json.Valid([]byte(line)) {
				t.Errorf("%s: no JSON: %s", name, line)
			}
		}
		if strings.Contains(body, `"type":"text"`) || strings.Contains(body, "output_text") {
			t.Errorf("%s: text in %s", name, body)
		}
	}
}

func TestStopSequence(t *testing.T) {
	_, url := start(t, &script{stop: "EN\"D"})
	for _, stream := range []string{"true", "false"} {
		_, _, body := do(t, "POST", url+"/v1/messages", shapeOf(t, "messages").with("omx-demo", `"stop_sequences":["EN\"D"],"stream":`+stream))
		if !strings.Contains(body, `"stop_reason":"stop_sequence","stop_sequence":"EN\"D"`) {
			t.Errorf("streamed %s: %s", stream, body)
		}
	}
}

// What each shape says of tools and thoughts, as the node gets it.
func TestToolFields(t *testing.T) {
	s := &script{last: make(chan *Chat, 1)}
	_, url := start(t, s)
	const offered = `[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}]`
	anthropicTool, responseTool := `{"name":"f","description":"d","input_schema":{"type":"object"}}`, `{"type":"function","name":"f","description":"d","parameters":{"type":"object"}}`
	for _, c := range []struct{ shape, fields, want string }{
		{"chat completions", `"tools":[` + aTool + `]`, offered + ` "" false nil`},
		{"chat completions", `"tools":[` + aTool + `],"tool_choice":"auto","parallel_tool_calls":true,"reasoning_effort":"low"`, offered + ` "" false true`},
		{"chat completions", `"tools":[` + aTool + `],"tool_choice":"required","parallel_tool_calls":false,"reasoning_effort":"none"`, offered + ` "required" true false`},
		{"chat completions", `"tools":[` + aTool + `],"tool_choice":{"type":"function","function":{"name":"f"}}`, offered + ` "=f" false nil`},
		{"chat completions", `"tools":[],"tool_choice":"none","parallel_tool_calls":false`, `[] "" false nil`},
		{"chat completions", `"tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":null}}],"tool_choice":"none"`,
			`[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}},"strict":true}}] "none" false nil`},
		{"responses", `"tools":[` + responseTool + `],"reasoning":{"effort":"high"}`, offered + ` "" false true`},
		{"responses", `"tools":[` + responseTool + `],"tool_choice":{"type":"function","name":"f"},"parallel_tool_calls":false`, offered + ` "=f" true nil`},
		{"messages", `"tools":[` + anthropicTool + `],"thinking":{"type":"enabled","budget_tokens":1024}`, offered + ` "" false true`},
		{"messages", `"tools":[` + anthropicTool + `],"tool_choice":{"type":"any","disable_parallel_tool_use":true},"thinking":{"type":"adaptive"}`, offered + ` "required" true true`},
		{"messages", `"tools":[` + anthropicTool + `],"tool_choice":{"type":"tool","name":"f"},"thinking":{"type":"disabled"}`, offered + ` "=f" false false`},
		{"messages", `"tools":[` + anthropicTool + `],"tool_choice":{"type":"none"}`, offered + ` "none" false nil`},
		{"ollama chat", `"tools":[` + aTool + `],"think":true`, offered + ` "" false true`},
		{"ollama chat", `"think":"low"`, `[] "" false true`},
		{"ollama chat", `"think":false`, `[] "" false false`},
		{"ollama generate", `"think":"high"`, `[] "" false true`},
	} {
		sh := shapeOf(t, c.shape)
		if status, _, body := do(t, "POST", url+sh.path, sh.with("omx-demo", c.fields)); status != 200 {
			t.Errorf("%s: %s: %d %s", c.shape, c.fields, status, body)
			continue
		}
		a := <-s.last
		think := "nil"
		if a.Think != nil {
			think = fmt.Sprint(*a.Think)
		}
		if got := fmt.Sprintf("%s %q %v %s", a.Tools, a.Choice, a.OneCall, think); got != c.want {
			t.Errorf("%s: %s:\n     %s\nwant %s", c.shape, c.fields, got, c.want)
		}
	}
}

// A conversation with a call and its result means the same in every shape.
func TestToolTurns(t *testing.T) {
	s := &script{last: make(chan *Chat, 1)}
	_, url := start(t, s)
	const want = `user "q"; assistant "so" thinks "hm" calls c1 f {"a":1} c2 g {}; tool "r1" of c1 f; tool "r2" of c2 g; user "more"`
	for shape, fields := range map[string]string{
		"chat completions": `"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"so","reasoning_content":"hm","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":" {\"a\":1}\n"}},{"id":"c2","type":"function","function":{"name":"g","arguments":""}}]},{"role":"tool","tool_call_id":"c1","content":"r1"},{"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"r2"}]},{"role":"user","content":"more"}]`,
		"responses":        `"input":[{"role":"user","content":"q"},{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"so"}]},{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{\"a\":1}"},{"type":"function_call","call_id":"c2","name":"g","arguments":""},{"type":"function_call_output","call_id":"c1","output":"r1"},{"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"r2"}]},{"role":"user","content":"more"}]`,
		"messages":         `"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"so"},{"type":"tool_use","id":"c1","name":"f","input":{"a":1}},{"type":"tool_use","id":"c2","name":"g","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"r1"},{"type":"tool_result","tool_use_id":"c2","content":[{"type":"text","text":"r2"}]},{"type":"text","text":"more"}]}]`,
		"ollama chat":      `"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"so","thinking":"hm","tool_calls":[{"id":"c1","function":{"name":"f","arguments":{"a":1}}},{"id":"c2","function":{"name":"g","arguments":null}}]},{"role":"tool","content":"r1","tool_call_id":"c1","tool_name":"f"},{"role":"tool","content":"r2","tool_call_id":"c2"},{"role":"user","content":"more"}]`,
	} {
		sh := shapeOf(t, shape)
		if status, _, body := do(t, "POST", url+sh.path, sh.with("omx-demo", fields)); status != 200 {
			t.Errorf("%s: %d %s", shape, status, body)
			continue
		}
		if got := told((<-s.last).Messages); got != want {
			t.Errorf("%s:\n     %s\nwant %s", shape, got, want)
		}
	}
	sh := shapeOf(t, "messages")
	do(t, "POST", url+sh.path, sh.with("omx-demo", `"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"tool_result","tool_use_id":"x","is_error":true,"content":"no"},{"type":"tool_result","tool_use_id":"y"}]}]`))
	if got, want := told((<-s.last).Messages), `user "a"; tool "Error: no" of x ; tool "" of y `; got != want {
		t.Errorf("results that failed or are empty:\n     %s\nwant %s", got, want)
	}
}

// told is a conversation in words.
func told(messages []Message) string {
	var all []string
	for _, m := range messages {
		text := fmt.Sprintf("%s %q", m.Role, m.Content)
		if m.Thinking != "" {
			text += fmt.Sprintf(" thinks %q", m.Thinking)
		}
		for i, c := range m.Calls {
			if i == 0 {
				text += " calls"
			}
			text += fmt.Sprintf(" %s %s %s", c.ID, c.Name, c.Arguments)
		}
		if m.Role == "tool" {
			text += fmt.Sprintf(" of %s %s", m.CallID, m.Name)
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}
