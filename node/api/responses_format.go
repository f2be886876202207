package api

import (
	"net/http"
	"strconv"
)

// responseFormat writes answers as OpenAI's responses: a numbered sequence of
// named events, around one message with one part of text.
type responseFormat struct {
	id      string
	created int64
	asked   []byte // what the request said, a JSON object
	events  int    // sent so far
	text    []byte // so far: the last events have it whole; engines bound it
}

func (f *responseFormat) contentType() string { return "text/event-stream" }

// event begins an event up to its own fields, which end with endEvent.
func (f *responseFormat) event(b []byte, name string) []byte {
	b = append(b, "event: "...)
	b = append(b, name...)
	b = append(b, "\ndata: {\"type\":\""...)
	b = append(b, name...)
	b = append(b, `","sequence_number":`...)
	b = strconv.AppendInt(b, int64(f.events), 10)
	f.events++
	return append(b, ',')
}

const endEvent = "}\n\n"

// ofPart are the fields that tell which text an event is of.
func (f *responseFormat) ofPart(b []byte) []byte {
	b = append(b, `"item_id":`...)
	b = f.itemID(b)
	return append(b, `,"output_index":0,"content_index":0,`...)
}

func (f *responseFormat) itemID(b []byte) []byte { return f.named(b, `"msg_`) }

// named is the request's id behind a prefix; ids have nothing to escape.
func (f *responseFormat) named(b []byte, prefix string) []byte {
	b = append(b, prefix...)
	b = append(b, f.id...)
	return append(b, '"')
}

func (f *responseFormat) begin(b []byte) []byte {
	for _, name := range []string{"response.created", "response.in_progress"} {
		b = append(f.event(b, name), `"response":`...)
		b = append(f.object(b, "in_progress", "", nil), endEvent...)
	}
	b = append(f.event(b, "response.output_item.added"), `"output_index":0,"item":`...)
	b = append(f.item(b, "in_progress", "", false), endEvent...)
	b = append(f.ofPart(f.event(b, "response.content_part.added")), `"part":`...)
	return append(appendPart(b, ""), endEvent...)
}

func (f *responseFormat) token(b []byte, text string) []byte {
	f.text = append(f.text, text...)
	b = append(f.ofPart(f.event(b, "response.output_text.delta")), `"delta":`...)
	b = appendString(b, text)
	return append(b, `,"logprobs":[]`+endEvent...)
}

func (f *responseFormat) end(b []byte, r *Result) []byte {
	text, status := string(f.text), responseStatus(r)
	b = append(f.ofPart(f.event(b, "response.output_text.done")), `"text":`...)
	b = append(appendString(b, text), `,"logprobs":[]`+endEvent...)
	b = append(f.ofPart(f.event(b, "response.content_part.done")), `"part":`...)
	b = append(appendPart(b, text), endEvent...)
	b = append(f.event(b, "response.output_item.done"), `"output_index":0,"item":`...)
	b = append(f.item(b, status, text, true), endEvent...)
	b = append(f.event(b, "response."+status), `"response":`...)
	return append(f.object(b, status, text, r), endEvent...)
}

func (f *responseFormat) fail(b []byte, e *Error) []byte {
	b = append(f.event(b, "error"), `"code":`...)
	b = appendString(b, e.Code)
	b = append(b, `,"message":`...)
	b = appendString(b, e.Message)
	b = append(b, `,"param":`...)
	return append(appendParam(b, e), endEvent...)
}

func (f *responseFormat) whole(b []byte, text string, r *Result) []byte {
	return append(f.object(b, responseStatus(r), text, r), '\n')
}

func (f *responseFormat) refuse(w http.ResponseWriter, err error) { writeOpenAIError(w, err) }

func responseStatus(r *Result) string {
	if r.Finish == "length" {
		return "incomplete"
	}
	return "completed"
}

// object is the response; it has its output and usage when there is a result.
func (f *responseFormat) object(b []byte, status, text string, r *Result) []byte {
	b = f.named(append(b, `{"id":`...), `"resp_`)
	b = append(b, `,"object":"response","created_at":`...)
	b = strconv.AppendInt(b, f.created, 10)
	b = append(b, `,"status":"`+status+`","background":false,"error":null,"incomplete_details":`...)
	if status == "incomplete" {
		b = append(b, `{"reason":"max_output_tokens"}`...)
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"output":[`...)
	if r != nil {
		b = f.item(b, status, text, true)
	}
	b = append(b, `],"usage":`...)
	b = appendResponseUsage(b, r)
	b = append(b, ',')
	return append(b, f.asked[1:]...) // without its own bracket
}

// item is the message that is the answer; done tells that its part is there.
func (f *responseFormat) item(b []byte, status, text string, done bool) []byte {
	b = f.itemID(append(b, `{"id":`...))
	b = append(b, `,"type":"message","status":"`+status+`","role":"assistant","content":[`...)
	if done {
		b = appendPart(b, text)
	}
	return append(b, "]}"...)
}

func appendPart(b []byte, text string) []byte {
	b = append(b, `{"type":"output_text","annotations":[],"logprobs":[],"text":`...)
	return append(appendString(b, text), '}')
}

func appendResponseUsage(b []byte, r *Result) []byte {
	if r == nil {
		return append(b, "null"...)
	}
	b = append(b, `{"input_tokens":`...)
	b = strconv.AppendInt(b, int64(r.PromptTokens), 10)
	b = append(b, `,"input_tokens_details":{"cached_tokens":`...)
	b = strconv.AppendInt(b, int64(r.CachedTokens), 10)
	b = append(b, `},"output_tokens":`...)
	b = strconv.AppendInt(b, int64(r.OutputTokens), 10)
	b = append(b, `,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":`...)
	b = strconv.AppendInt(b, int64(r.PromptTokens+r.OutputTokens), 10)
	return append(b, '}')
}
