package api

import (
	"net/http"
	"strconv"
)

// anthropicFormat writes answers as Anthropic does: named events, and one block
// of text.
type anthropicFormat struct{ id, model string }

func (f *anthropicFormat) contentType() string { return "text/event-stream" }

// message begins the object that an answer is, up to its content.
func (f *anthropicFormat) message(b []byte) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, "msg_"+f.id)
	b = append(b, `,"type":"message","role":"assistant","model":`...)
	b = appendString(b, f.model)
	return append(b, `,"content":[`...)
}

// begin cannot know the usage, which is in message_delta.
func (f *anthropicFormat) begin(b []byte) []byte {
	b = append(b, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"...)
	b = f.message(b)
	b = append(b, `],"stop_reason":null,"stop_sequence":null,"usage":`...)
	b = appendAnthropicUsage(b, &Result{})
	b = append(b, "}}\n\nevent: content_block_start\n"...)
	b = append(b, `data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`...)
	return append(b, "\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n"...)
}

func (f *anthropicFormat) token(b []byte, text string) []byte {
	b = append(b, "event: content_block_delta\ndata: "...)
	b = append(b, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":`...)
	b = appendString(b, text)
	return append(b, "}}\n\n"...)
}

func (f *anthropicFormat) end(b []byte, r *Result) []byte {
	b = append(b, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"...)
	b = append(b, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"...)
	b = appendStopReason(b, r)
	b = append(b, `},"usage":`...)
	b = appendAnthropicUsage(b, r)
	return append(b, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...)
}

func (f *anthropicFormat) fail(b []byte, e *Error) []byte {
	b = append(b, "event: error\ndata: "...)
	b = appendAnthropicError(b, e, f.id)
	return append(b, "\n\n"...)
}

func (f *anthropicFormat) whole(b []byte, text string, r *Result) []byte {
	b = f.message(b)
	b = append(b, `{"type":"text","text":`...)
	b = appendString(b, text)
	b = append(b, "}],"...)
	b = appendStopReason(b, r)
	b = append(b, `,"usage":`...)
	b = appendAnthropicUsage(b, r)
	return append(b, "}\n"...)
}

func (f *anthropicFormat) refuse(w http.ResponseWriter, err error) { writeAnthropicError(w, err) }

// appendStopReason cannot tell a stop sequence from the model's own end: engines
// do not.
func appendStopReason(b []byte, r *Result) []byte {
	reason := "end_turn"
	if r.Finish == "length" {
		reason = "max_tokens"
	}
	return append(append(b, `"stop_reason":"`...), reason+`","stop_sequence":null`...)
}

// appendAnthropicUsage counts as input what had to be read, unlike OpenAI.
func appendAnthropicUsage(b []byte, r *Result) []byte {
	b = append(b, `{"input_tokens":`...)
	b = strconv.AppendInt(b, int64(r.PromptTokens-r.CachedTokens), 10)
	b = append(b, `,"cache_creation_input_tokens":0,"cache_read_input_tokens":`...)
	b = strconv.AppendInt(b, int64(r.CachedTokens), 10)
	b = append(b, `,"output_tokens":`...)
	b = strconv.AppendInt(b, int64(r.OutputTokens), 10)
	return append(b, '}')
}
