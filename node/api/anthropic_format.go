package api

import (
	"net/http"
	"strconv"
)

// anthropicFormat writes answers as Anthropic does: named events, around blocks of
// thoughts, text and calls, one after the other.
type anthropicFormat struct {
	id, model string
	open      string // type of the block that is open; "" for none
	index     int    // of it, or of the next
}

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
	b = append(b, "}}\n\n"...)
	return append(b, "event: ping\ndata: {\"type\":\"ping\"}\n\n"...)
}

// event begins an event of the block at hand, up to its own fields.
func (f *anthropicFormat) event(b []byte, name string) []byte {
	b = append(append(b, "event: "...), name...)
	b = append(append(b, "\ndata: {\"type\":\""...), name...)
	b = append(b, `","index":`...)
	return strconv.AppendInt(b, int64(f.index), 10)
}

// start opens a block of a type, with its fields as they are at first.
func (f *anthropicFormat) start(b []byte, kind string) []byte {
	f.open = kind
	b = append(f.event(b, "content_block_start"), `,"content_block":{"type":"`...)
	return append(append(b, kind...), '"')
}

const endBlock = "}}\n\n"

// stop closes the block that is open, if one is. Thoughts are signed with nothing:
// nobody here checks that they come back as they were.
func (f *anthropicFormat) stop(b []byte) []byte {
	switch f.open {
	case "":
		return b
	case "thinking":
		b = append(f.event(b, "content_block_delta"), `,"delta":{"type":"signature_delta","signature":""`+endBlock...)
	}
	b = append(f.event(b, "content_block_stop"), "}\n\n"...)
	f.open = ""
	f.index++
	return b
}

func (f *anthropicFormat) token(b []byte, t Token) []byte {
	if t.Thought {
		if f.open != "thinking" {
			b = append(f.start(f.stop(b), "thinking"), `,"thinking":"","signature":""`+endBlock...)
		}
		b = append(f.event(b, "content_block_delta"), `,"delta":{"type":"thinking_delta","thinking":`...)
		return append(appendString(b, t.Text), endBlock...)
	}
	if f.open != "text" {
		b = f.startText(f.stop(b))
	}
	b = append(f.event(b, "content_block_delta"), `,"delta":{"type":"text_delta","text":`...)
	return append(appendString(b, t.Text), endBlock...)
}

func (f *anthropicFormat) startText(b []byte) []byte {
	return append(f.start(b, "text"), `,"text":""`+endBlock...)
}

func (f *anthropicFormat) end(b []byte, r *Result) []byte {
	if f.open == "" && len(r.Calls) == 0 { // clients look for a first block
		b = f.startText(b)
	}
	b = f.stop(b)
	for i := range r.Calls {
		c := &r.Calls[i]
		b = append(f.start(b, "tool_use"), `,"id":`...)
		b = appendString(b, c.ID)
		b = appendString(append(b, `,"name":`...), c.Name)
		b = append(b, `,"input":{}`+endBlock...)
		b = append(f.event(b, "content_block_delta"), `,"delta":{"type":"input_json_delta","partial_json":`...)
		b = append(appendString(b, string(c.Arguments)), endBlock...)
		b = f.stop(b)
	}
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

func (f *anthropicFormat) whole(b []byte, a *whole, r *Result) []byte {
	b = f.message(b)
	if a.thought.Len() > 0 {
		b = appendString(append(b, `{"type":"thinking","thinking":`...), a.thought.String())
		b = append(b, `,"signature":""},`...)
	}
	if a.text.Len() > 0 || a.thought.Len() == 0 && len(r.Calls) == 0 {
		b = appendString(append(b, `{"type":"text","text":`...), a.text.String())
		b = append(b, "},"...)
	}
	for i := range r.Calls {
		c := &r.Calls[i]
		b = appendString(append(b, `{"type":"tool_use","id":`...), c.ID)
		b = appendString(append(b, `,"name":`...), c.Name)
		b = append(append(b, `,"input":`...), c.Arguments...)
		b = append(b, "},"...)
	}
	b = append(b[:len(b)-1], "],"...) // there is one at least
	b = appendStopReason(b, r)
	b = append(b, `,"usage":`...)
	b = appendAnthropicUsage(b, r)
	return append(b, "}\n"...)
}

func (f *anthropicFormat) refuse(w http.ResponseWriter, err error) { writeAnthropicError(w, err) }

func appendStopReason(b []byte, r *Result) []byte {
	reason := "end_turn"
	switch {
	case r.Finish == "length":
		reason = "max_tokens"
	case r.called():
		reason = "tool_use"
	case r.Stop != "":
		reason = "stop_sequence"
	}
	b = append(append(b, `"stop_reason":"`...), reason...)
	b = append(b, `","stop_sequence":`...)
	if reason != "stop_sequence" {
		return append(b, "null"...)
	}
	return appendString(b, r.Stop)
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
