package api

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// moments are the parts of an answer that differ from run to run.
var moments = regexp.MustCompile(`("created(_at)?":)("[^"]+"|\d+)`)

const (
	chunk   = `data: {"id":"chatcmpl-r1","object":"chat.completion.chunk","created":T,"model":"omx-demo","choices":`
	text    = `data: {"id":"cmpl-r1","object":"text_completion","created":T,"model":"omx-demo","choices":`
	usage   = `"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1}}`
	durings = `"total_duration":1000000000,"load_duration":0,"prompt_eval_count":3,"prompt_eval_duration":1000000,"eval_count":2,"eval_duration":999000000}` + "\n"
)

// streams are the exact answers to "one two" in each shape.
var streams = map[string]string{
	"chat completions": chunk + `[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}` + "\n\n" +
		chunk + `[{"index":0,"delta":{"content":"one "},"finish_reason":null}]}` + "\n\n" +
		chunk + `[{"index":0,"delta":{"content":"two"},"finish_reason":null}]}` + "\n\n" +
		chunk + `[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n" +
		chunk + `[],` + usage + "}\n\ndata: [DONE]\n\n",
	"completions": text + `[{"index":0,"text":"one ","logprobs":null,"finish_reason":null}]}` + "\n\n" +
		text + `[{"index":0,"text":"two","logprobs":null,"finish_reason":null}]}` + "\n\n" +
		text + `[{"index":0,"text":"","logprobs":null,"finish_reason":"stop"}]}` + "\n\n" +
		text + `[],` + usage + "}\n\ndata: [DONE]\n\n",
	"messages": event("message_start", `"message":{"id":"msg_r1","type":"message","role":"assistant","model":"omx-demo","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}`) +
		event("ping", "") +
		event("content_block_start", `"index":0,"content_block":{"type":"text","text":""}`) +
		event("content_block_delta", `"index":0,"delta":{"type":"text_delta","text":"one "}`) +
		event("content_block_delta", `"index":0,"delta":{"type":"text_delta","text":"two"}`) +
		event("content_block_stop", `"index":0`) +
		event("message_delta", `"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":2,"cache_creation_input_tokens":0,"cache_read_input_tokens":1,"output_tokens":2}`) +
		event("message_stop", ""),
	"ollama chat": `{"model":"omx-demo","created_at":T,"message":{"role":"assistant","content":"one "},"done":false}` + "\n" +
		`{"model":"omx-demo","created_at":T,"message":{"role":"assistant","content":"two"},"done":false}` + "\n" +
		`{"model":"omx-demo","created_at":T,"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop",` + durings,
	"ollama generate": `{"model":"omx-demo","created_at":T,"response":"one ","done":false}` + "\n" +
		`{"model":"omx-demo","created_at":T,"response":"two","done":false}` + "\n" +
		`{"model":"omx-demo","created_at":T,"response":"","done":true,"done_reason":"stop",` + durings,
	"responses": numbered(
		"response.created", `"response":`+object("in_progress", "", "null"),
		"response.in_progress", `"response":`+object("in_progress", "", "null"),
		"response.output_item.added", `"output_index":0,"item":{"id":"msg_r1","type":"message","status":"in_progress","role":"assistant","content":[]}`,
		"response.content_part.added", ofPart+`"part":`+part(""),
		"response.output_text.delta", ofPart+`"delta":"one ","logprobs":[]`,
		"response.output_text.delta", ofPart+`"delta":"two","logprobs":[]`,
		"response.output_text.done", ofPart+`"text":"one two","logprobs":[]`,
		"response.content_part.done", ofPart+`"part":`+part("one two"),
		"response.output_item.done", `"output_index":0,"item":`+item,
		"response.completed", `"response":`+object("completed", item, responseUsage)),
}

const (
	ofPart        = `"item_id":"msg_r1","output_index":0,"content_index":0,`
	item          = `{"id":"msg_r1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"one two"}]}`
	responseUsage = `{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":5}`
)

func event(name, fields string) string {
	if fields != "" {
		fields = "," + fields
	}
	return "event: " + name + "\ndata: {\"type\":\"" + name + "\"" + fields + "}\n\n"
}

// numbered are the events of names and their fields in turn.
func numbered(events ...string) (all string) {
	for i := 0; i < len(events); i += 2 {
		all += event(events[i], fmt.Sprintf(`"sequence_number":%d,%s`, i/2, events[i+1]))
	}
	return all
}

func part(text string) string {
	return `{"type":"output_text","annotations":[],"logprobs":[],"text":"` + text + `"}`
}

func object(status, output, usage string) string {
	return `{"id":"resp_r1","object":"response","created_at":T,"status":"` + status + `","background":false,"error":null,"incomplete_details":null,"output":[` + output +
		`],"usage":` + usage + `,"instructions":null,"max_output_tokens":null,"model":"omx-demo","parallel_tool_calls":true,"previous_response_id":null,"store":false,` +
		`"temperature":null,"tool_choice":"auto","tools":[],"top_p":null,"truncation":"disabled","metadata":{}}`
}

// What a model itself took is told where it is known.
func TestTimings(t *testing.T) {
	r := Result{PromptTokens: 12, CachedTokens: 2, OutputTokens: 5, Finish: "stop", QueueWait: time.Millisecond, Prefill: 4 * time.Millisecond, TTFT: 6 * time.Millisecond, Total: 14 * time.Millisecond}
	want := `,"timings":{"cache_n":2,"prompt_n":10,"prompt_ms":4.000,"prompt_per_second":2500.000,"predicted_n":5,"predicted_ms":8.000,"predicted_per_second":500.000}`
	if got := string(appendTimings(nil, &r)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	of := ollamaFormat{model: "m"}
	if got := string(of.end(nil, &r)); !strings.Contains(got, `"prompt_eval_duration":4000000,`) {
		t.Error(got)
	}
}

func TestStreams(t *testing.T) {
	_, url := start(t, &script{})
	for _, s := range shapes {
		status, header, body := do(t, "POST", url+s.path, s.with("omx-demo", `"stream":true,"stream_options":{"include_usage":true}`), "X-Request-Id", "r1")
		got := moments.ReplaceAllString(body, `${1}T`)
		if status != 200 || got != streams[s.name] {
			t.Errorf("%s: %d\n%s\nwant\n%s", s.name, status, got, streams[s.name])
		}
		kind := "text/event-stream"
		if s.prefix != "" {
			kind = "application/x-ndjson"
		}
		if header.Get("Content-Type") != kind || header.Get(headerNode) == "" || header.Get(headerDecision) != "7" || header.Get(headerPolicy) != "p" || header.Get(headerRequestID) != "r1" {
			t.Errorf("%s: header %v", s.name, header)
		}
		for line := range strings.Lines(body) { // each is JSON of its own
			if line = strings.TrimSpace(strings.TrimPrefix(line, "data: ")); strings.HasPrefix(line, "{") && !json.Valid([]byte(line)) {
				t.Errorf("%s: no JSON: %s", s.name, line)
			}
		}
	}
}

func TestWhole(t *testing.T) {
	_, stopped := start(t, &script{})
	_, cut := start(t, &script{finish: "length"})
	for _, s := range shapes {
		var want, wantCut string
		switch s.name {
		case "chat completions":
			want, wantCut = `"choices":[{"index":0,"message":{"role":"assistant","content":"one two","refusal":null},"logprobs":null,"finish_reason":"stop"}],`+usage, `"finish_reason":"length"`
		case "completions":
			want, wantCut = `"object":"text_completion","created":T,"model":"omx-demo","choices":[{"index":0,"text":"one two","logprobs":null,"finish_reason":"stop"}],`+usage, `"finish_reason":"length"`
		case "responses":
			want, wantCut = object("completed", item, responseUsage), `"status":"incomplete","background":false,"error":null,"incomplete_details":{"reason":"max_output_tokens"}`
		case "messages":
			want = `{"id":"msg_r1","type":"message","role":"assistant","model":"omx-demo","content":[{"type":"text","text":"one two"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":2,"cache_creation_input_tokens":0,"cache_read_input_tokens":1,"output_tokens":2}}`
			wantCut = `"stop_reason":"max_tokens"`
		case "ollama chat":
			want, wantCut = `"message":{"role":"assistant","content":"one two"},"done":true,"done_reason":"stop",`+durings, `"done_reason":"length"`
		case "ollama generate":
			want, wantCut = `"response":"one two","done":true,"done_reason":"stop",`+durings, `"done_reason":"length"`
		}
		ask := s.with("omx-demo", `"stream":false`)
		status, header, body := do(t, "POST", stopped+s.path, ask, "X-Request-Id", "r1")
		if got := moments.ReplaceAllString(body, `${1}T`); status != 200 || !strings.Contains(got, want) || !json.Valid([]byte(body)) || header.Get(headerTTFT) != "1.000" {
			t.Errorf("%s: %d %s\nwant %s", s.name, status, got, want)
		}
		if _, _, body := do(t, "POST", cut+s.path, ask); !strings.Contains(body, wantCut) {
			t.Errorf("%s: %s, want %s", s.name, body, wantCut)
		}
	}
	_, _, body := do(t, "POST", cut+"/v1/responses", `{"model":"omx-demo","input":"one two","stream":true}`)
	if !strings.Contains(body, "event: response.incomplete\n") || strings.Contains(body, "response.completed") {
		t.Errorf("a cut response: %s", body)
	}
}

// An error after the first token comes in the stream's own format, and last.
func TestErrorInMidStream(t *testing.T) {
	_, url := start(t, &script{after: &Error{Status: 503, Code: "no_answer", Message: "the node is gone"}})
	for _, s := range shapes {
		want := `data: {"error":{"message":"the node is gone","type":"server_error","param":null,"code":"no_answer"}}` + "\n\n"
		switch s.name {
		case "messages":
			want = event("error", `"error":{"type":"overloaded_error","message":"the node is gone"},"request_id":"r1"`)
		case "responses":
			want = event("error", `"sequence_number":6,"code":"no_answer","message":"the node is gone","param":null`)
		case "ollama chat", "ollama generate":
			want = `{"error":"the node is gone"}` + "\n"
		}
		_, _, body := do(t, "POST", url+s.path, s.with("omx-demo", `"stream":true`), "X-Request-Id", "r1")
		if !strings.HasSuffix(body, want) {
			t.Errorf("%s: %s\nwant at its end %s", s.name, body, want)
		}
	}
}
