package api

import (
	"cmp"
	"net/http"
	"strconv"
	"time"
)

// ollamaFormat writes answers as Ollama does: a JSON object a line.
type ollamaFormat struct {
	model    string
	generate bool // by POST /api/generate: text instead of a message
	logprobs bool
}

func (f *ollamaFormat) contentType() string { return "application/x-ndjson" }

func (f *ollamaFormat) begin(b []byte) []byte { return b }

// message begins a line with a piece of the answer.
func (f *ollamaFormat) message(b []byte, text, thought string, calls []Call) []byte {
	b = append(b, `{"model":`...)
	b = appendString(b, f.model)
	b = append(b, `,"created_at":"`...)
	b = time.Now().UTC().AppendFormat(b, time.RFC3339Nano)
	if f.generate {
		b = appendString(append(b, `","response":`...), text)
	} else {
		b = appendString(append(b, `","message":{"role":"assistant","content":`...), text)
	}
	if thought != "" {
		b = appendString(append(b, `,"thinking":`...), thought)
	}
	if f.generate {
		return b
	}
	return append(appendOllamaCalls(b, calls), '}')
}

// appendOllamaCalls appends calls, whose arguments are an object.
func appendOllamaCalls(b []byte, calls []Call) []byte {
	if len(calls) == 0 {
		return b
	}
	b = append(b, `,"tool_calls":[`...)
	for i := range calls {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"id":`...), calls[i].ID)
		b = append(b, `,"function":{"index":`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = appendString(append(b, `,"name":`...), calls[i].Name)
		b = append(append(b, `,"arguments":`...), calls[i].Arguments...)
		b = append(b, "}}"...)
	}
	return append(b, ']')
}

func (f *ollamaFormat) appendLogprobs(b []byte, list []Logprob) []byte {
	if !f.logprobs || len(list) == 0 {
		return b
	}
	return appendLogprobs(append(b, `,"logprobs":`...), list)
}

const notDone = `,"done":false}` + "\n"

func (f *ollamaFormat) token(b []byte, t Token) []byte {
	if t.Thought {
		return append(f.message(b, "", t.Text, nil), notDone...)
	}
	b = f.appendLogprobs(f.message(b, t.Text, "", nil), t.Logprobs)
	return append(b, notDone...)
}

func (f *ollamaFormat) end(b []byte, r *Result) []byte {
	if len(r.Calls) > 0 && !f.generate {
		b = append(f.message(b, "", "", r.Calls), notDone...)
	}
	return f.done(f.message(b, "", "", nil), r)
}

func (f *ollamaFormat) whole(b []byte, a *whole, r *Result) []byte {
	b = f.message(b, a.text.String(), a.thought.String(), r.Calls)
	return f.done(f.appendLogprobs(b, a.logprobs), r)
}

// done ends the last line.
func (f *ollamaFormat) done(b []byte, r *Result) []byte {
	b = append(b, `,"done":true,"done_reason":`...)
	b = appendString(b, r.Finish)
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"total_duration", int64(r.Total)},
		{"load_duration", 0},
		{"prompt_eval_count", int64(r.PromptTokens)},
		{"prompt_eval_duration", int64(cmp.Or(r.Prefill, max(0, r.TTFT-r.QueueWait)))},
		{"eval_count", int64(r.OutputTokens)},
		{"eval_duration", int64(max(0, r.Total-r.TTFT))},
	} {
		b = append(b, `,"`+n.name+`":`...)
		b = strconv.AppendInt(b, n.value, 10)
	}
	return append(b, "}\n"...)
}

func (f *ollamaFormat) fail(b []byte, e *Error) []byte {
	return append(appendOllamaError(b, e), '\n')
}

func (f *ollamaFormat) refuse(w http.ResponseWriter, err error) { writeOllamaError(w, err) }

func appendOllamaError(b []byte, e *Error) []byte {
	b = append(b, `{"error":`...)
	b = appendString(b, e.Message)
	return append(b, '}')
}

func writeOllamaError(w http.ResponseWriter, err error) {
	e := asError(err)
	writeJSON(w, e, append(appendOllamaError(nil, e), '\n'))
}
