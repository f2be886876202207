package api

import (
	"net/http"
	"strconv"
)

// responseFormat writes answers as OpenAI's responses: a numbered sequence of
// named events, around items of thoughts, text and calls, one after the other.
type responseFormat struct {
	id       string
	created  int64
	asked    []byte // what the request said, a JSON object
	wanted   bool   // logprobs are
	events   int    // sent so far
	items    []byte // those that are done, which the last event has whole
	index    int    // of the item that is open, or of the next
	open     itemKind
	text     []byte // of the item that is open: its last events have it whole; engines bound it
	logprobs []byte // of that, a list without its brackets
	thoughts int    // tokens of them
}

type itemKind int

const (
	noItem itemKind = iota
	thoughtItem
	textItem
)

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

func (f *responseFormat) begin(b []byte) []byte {
	for _, name := range []string{"response.created", "response.in_progress"} {
		b = append(f.event(b, name), `"response":`...)
		b = append(f.object(b, "in_progress", nil), endEvent...)
	}
	return b
}

func (f *responseFormat) token(b []byte, t Token) []byte {
	kind, name := textItem, "response.output_text.delta"
	if t.Thought {
		kind, name = thoughtItem, "response.reasoning_text.delta"
		f.thoughts += t.N
	}
	if f.open != kind {
		b = f.start(f.stop(b, "completed"), kind)
	}
	f.text = append(f.text, t.Text...)
	b = append(f.ofPart(f.event(b, name)), `,"delta":`...)
	b = appendString(b, t.Text)
	if t.Thought {
		return append(b, endEvent...)
	}
	b = append(b, `,"logprobs":`...)
	if !f.wanted {
		return append(b, "[]"+endEvent...)
	}
	f.logprobs = f.addLogprobs(f.logprobs, t.Logprobs)
	return append(appendLogprobs(b, t.Logprobs), endEvent...)
}

// addLogprobs adds to a list without brackets.
func (f *responseFormat) addLogprobs(to []byte, list []Logprob) []byte {
	if !f.wanted || len(list) == 0 {
		return to
	}
	at := len(to) // where a bracket comes that becomes a comma, or goes
	to = appendLogprobs(to, list)
	to = to[:len(to)-1]
	if at > 0 {
		to[at] = ','
		return to
	}
	return to[:copy(to, to[1:])]
}

// start opens an item and its only part.
func (f *responseFormat) start(b []byte, kind itemKind) []byte {
	f.open = kind
	b = append(f.ofItem(f.event(b, "response.output_item.added")), `,"item":`...)
	b = append(f.item(b, "in_progress"), endEvent...)
	b = append(f.ofPart(f.event(b, "response.content_part.added")), `,"part":`...)
	return append(f.part(b), endEvent...)
}

// stop closes the item that is open, if one is.
func (f *responseFormat) stop(b []byte, status string) []byte {
	switch f.open {
	case noItem:
		return b
	case thoughtItem:
		b = append(f.ofPart(f.event(b, "response.reasoning_text.done")), `,"text":`...)
		b = append(appendString(b, string(f.text)), endEvent...)
	case textItem:
		b = append(f.ofPart(f.event(b, "response.output_text.done")), `,"text":`...)
		b = append(append(appendString(b, string(f.text)), `,"logprobs":[`...), f.logprobs...)
		b = append(b, "]"+endEvent...)
	}
	b = append(f.ofPart(f.event(b, "response.content_part.done")), `,"part":`...)
	b = append(f.part(b), endEvent...)
	b = append(f.ofItem(f.event(b, "response.output_item.done")), `,"item":`...)
	return append(append(b, f.shut(status)...), endEvent...)
}

// shut puts the open item among those that are done and returns it.
func (f *responseFormat) shut(status string) []byte {
	at := f.nextItem()
	f.items = f.item(f.items, status)
	f.open, f.text, f.logprobs = noItem, f.text[:0], f.logprobs[:0]
	f.index++
	return f.items[at:]
}

// nextItem is where the next one goes.
func (f *responseFormat) nextItem() int {
	if len(f.items) > 0 {
		f.items = append(f.items, ',')
	}
	return len(f.items)
}

func (f *responseFormat) end(b []byte, r *Result) []byte {
	status := responseStatus(r)
	if f.open == noItem && len(f.items) == 0 && len(r.Calls) == 0 { // clients look for a message
		b = f.start(b, textItem)
	}
	b = f.stop(b, status)
	for i := range r.Calls {
		b = f.call(b, &r.Calls[i])
	}
	b = append(f.event(b, "response."+status), `"response":`...)
	return append(f.object(b, status, r), endEvent...)
}

// call sends a call, which is an item of its own.
func (f *responseFormat) call(b []byte, c *Call) []byte {
	b = append(f.ofItem(f.event(b, "response.output_item.added")), `,"item":`...)
	b = append(f.callItem(b, c, "in_progress", ""), endEvent...)
	b = append(f.ofCall(f.event(b, "response.function_call_arguments.delta")), `,"delta":`...)
	b = append(appendString(b, string(c.Arguments)), endEvent...)
	b = append(f.ofCall(f.event(b, "response.function_call_arguments.done")), `,"name":`...)
	b = append(appendString(b, c.Name), `,"arguments":`...)
	b = append(appendString(b, string(c.Arguments)), endEvent...)
	b = append(f.ofItem(f.event(b, "response.output_item.done")), `,"item":`...)
	return append(append(b, f.shutCall(c)...), endEvent...)
}

func (f *responseFormat) shutCall(c *Call) []byte {
	at := f.nextItem()
	f.items = f.callItem(f.items, c, "completed", string(c.Arguments))
	f.index++
	return f.items[at:]
}

func (f *responseFormat) fail(b []byte, e *Error) []byte {
	b = append(f.event(b, "error"), `"code":`...)
	b = appendString(b, e.Code)
	b = append(b, `,"message":`...)
	b = appendString(b, e.Message)
	b = append(b, `,"param":`...)
	return append(appendParam(b, e), endEvent...)
}

func (f *responseFormat) whole(b []byte, a *whole, r *Result) []byte {
	status := responseStatus(r)
	if a.thought.Len() > 0 {
		f.open, f.text, f.thoughts = thoughtItem, append(f.text, a.thought.String()...), a.thoughts
		f.shut("completed")
	}
	if a.text.Len() > 0 || len(f.items) == 0 && len(r.Calls) == 0 {
		f.open, f.text, f.logprobs = textItem, append(f.text, a.text.String()...), f.addLogprobs(f.logprobs, a.logprobs)
		f.shut(status)
	}
	for i := range r.Calls {
		f.shutCall(&r.Calls[i])
	}
	return append(f.object(b, status, r), '\n')
}

func (f *responseFormat) refuse(w http.ResponseWriter, err error) { writeOpenAIError(w, err) }

func responseStatus(r *Result) string {
	if r.Finish == "length" {
		return "incomplete"
	}
	return "completed"
}
