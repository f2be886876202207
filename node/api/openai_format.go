package api

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// openAIFormat writes answers as OpenAI's chat completions do. Thoughts are in
// reasoning_content, where DeepSeek put them and other servers have followed.
type openAIFormat struct {
	id, model string
	created   int64
	usage     bool // a last chunk with the usage is wanted
	logprobs  bool
}

func (f *openAIFormat) contentType() string { return "text/event-stream" }

// object begins what is sent, up to the choices.
func (f *openAIFormat) object(b []byte, kind string) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, f.id)
	b = append(b, `,"object":"`...)
	b = append(b, kind...)
	b = append(b, `","created":`...)
	b = strconv.AppendInt(b, f.created, 10)
	b = append(b, `,"model":`...)
	return appendString(b, f.model)
}

const chunkObject = "chat.completion.chunk"

// delta begins a chunk up to the inside of the choice's delta.
func (f *openAIFormat) delta(b []byte) []byte {
	b = f.object(append(b, "data: "...), chunkObject)
	return append(b, `,"choices":[{"index":0,"delta":{`...)
}

const endDelta = `,"finish_reason":null}]}` + "\n\n"

func (f *openAIFormat) begin(b []byte) []byte {
	return append(append(f.delta(b), `"role":"assistant","content":""}`...), endDelta...)
}

func (f *openAIFormat) token(b []byte, t Token) []byte {
	if t.Thought {
		b = append(f.delta(b), `"reasoning_content":`...)
		return append(append(appendString(b, t.Text), '}'), endDelta...)
	}
	b = append(f.delta(b), `"content":`...)
	b = append(appendString(b, t.Text), '}')
	if f.logprobs {
		b = f.appendLogprobs(b, t.Logprobs)
	}
	return append(b, endDelta...)
}

func (f *openAIFormat) appendLogprobs(b []byte, list []Logprob) []byte {
	if !f.logprobs {
		return append(b, `,"logprobs":null`...)
	}
	b = append(b, `,"logprobs":{"content":`...)
	return append(appendLogprobs(b, list), `,"refusal":null}`...)
}

func (f *openAIFormat) end(b []byte, r *Result) []byte {
	for i := range r.Calls {
		b = append(f.delta(b), `"tool_calls":[{"index":`...)
		b = append(strconv.AppendInt(b, int64(i), 10), ',')
		b = appendOpenAICall(b, &r.Calls[i])
		b = append(append(b, "}]}"...), endDelta...)
	}
	b = append(f.delta(b), `},"finish_reason":`...)
	b = append(appendFinish(b, r), "}]}\n\n"...)
	return f.done(b, r, chunkObject)
}

// appendFinish tells why an answer ended.
func appendFinish(b []byte, r *Result) []byte {
	if r.called() {
		return append(b, `"tool_calls"`...)
	}
	return appendString(b, r.Finish)
}

// appendOpenAICall appends the fields of a call; its arguments are a string.
func appendOpenAICall(b []byte, c *Call) []byte {
	b = appendString(append(b, `"id":`...), c.ID)
	b = appendString(append(b, `,"type":"function","function":{"name":`...), c.Name)
	b = appendString(append(b, `,"arguments":`...), string(c.Arguments))
	return append(b, '}')
}

// done ends a stream of chunks.
func (f *openAIFormat) done(b []byte, r *Result, kind string) []byte {
	if f.usage {
		b = f.object(append(b, "data: "...), kind)
		b = append(b, `,"choices":[],"usage":`...)
		b = appendTimings(appendUsage(b, r), r)
		b = append(b, "}\n\n"...)
	}
	return append(b, "data: [DONE]\n\n"...)
}

func (f *openAIFormat) fail(b []byte, e *Error) []byte {
	b = append(b, "data: "...)
	b = appendOpenAIError(b, e)
	return append(b, "\n\n"...)
}

func (f *openAIFormat) whole(b []byte, a *whole, r *Result) []byte {
	b = f.object(b, "chat.completion")
	b = append(b, `,"choices":[{"index":0,"message":{"role":"assistant","content":`...)
	if a.text.Len() == 0 && len(r.Calls) > 0 {
		b = append(b, "null"...)
	} else {
		b = appendString(b, a.text.String())
	}
	if a.thought.Len() > 0 {
		b = appendString(append(b, `,"reasoning_content":`...), a.thought.String())
	}
	b = append(b, `,"refusal":null`...)
	for i := range r.Calls {
		if i == 0 {
			b = append(b, `,"tool_calls":[{`...)
		} else {
			b = append(b, "},{"...)
		}
		b = appendOpenAICall(b, &r.Calls[i])
	}
	if len(r.Calls) > 0 {
		b = append(b, "}]"...)
	}
	b = f.appendLogprobs(append(b, '}'), a.logprobs)
	b = appendFinish(append(b, `,"finish_reason":`...), r)
	b = append(b, `}],"usage":`...)
	b = appendTimings(appendUsage(b, r), r)
	return append(b, "}\n"...)
}

func (f *openAIFormat) refuse(w http.ResponseWriter, err error) { writeOpenAIError(w, err) }

func appendUsage(b []byte, r *Result) []byte {
	b = append(b, `{"prompt_tokens":`...)
	b = strconv.AppendInt(b, int64(r.PromptTokens), 10)
	b = append(b, `,"completion_tokens":`...)
	b = strconv.AppendInt(b, int64(r.OutputTokens), 10)
	b = append(b, `,"total_tokens":`...)
	b = strconv.AppendInt(b, int64(r.PromptTokens+r.OutputTokens), 10)
	b = append(b, `,"prompt_tokens_details":{"cached_tokens":`...)
	b = strconv.AppendInt(b, int64(r.CachedTokens), 10)
	return append(b, "}}"...)
}

// appendTimings says how fast the model was, as llama-server does, where that is known.
func appendTimings(b []byte, r *Result) []byte {
	if r.Prefill <= 0 {
		return b
	}
	read, wrote := r.PromptTokens-r.CachedTokens, max(0, r.Total-r.TTFT)
	return fmt.Appendf(b, `,"timings":{"cache_n":%d,"prompt_n":%d,"prompt_ms":%.3f,"prompt_per_second":%.3f,"predicted_n":%d,"predicted_ms":%.3f,"predicted_per_second":%.3f}`,
		r.CachedTokens, read, millis(r.Prefill), perSecond(read, r.Prefill), r.OutputTokens, millis(wrote), perSecond(r.OutputTokens-1, wrote))
}

func millis(d time.Duration) float64 { return float64(d) / 1e6 }

func perSecond(n int, d time.Duration) float64 {
	return float64(max(n, 0)) / max(d, time.Microsecond).Seconds()
}

func appendOpenAIError(b []byte, e *Error) []byte {
	kind := "invalid_request_error"
	switch {
	case e.Status == http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case e.Status >= 500:
		kind = "server_error"
	}
	b = append(b, `{"error":{"message":`...)
	b = appendString(b, e.Message)
	b = append(b, `,"type":"`+kind+`","param":`...)
	b = appendParam(b, e)
	b = append(b, `,"code":`...)
	b = appendString(b, e.Code)
	return append(b, "}}"...)
}

// appendParam is the field at fault, or null.
func appendParam(b []byte, e *Error) []byte {
	if e.Param == "" {
		return append(b, "null"...)
	}
	return appendString(b, e.Param)
}

func writeOpenAIError(w http.ResponseWriter, err error) {
	e := asError(err)
	writeJSON(w, e, append(appendOpenAIError(nil, e), '\n'))
}
