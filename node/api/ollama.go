package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ollamaBody are the fields that Ollama's chat and generate share.
type ollamaBody struct {
	Model   string          `json:"model"`
	Stream  *bool           `json:"stream"`
	Format  json.RawMessage `json:"format"`
	Think   json.RawMessage `json:"think"` // true, or how much
	Options struct {
		sampling
		NumPredict *float64 `json:"num_predict"`
		TypicalP   *float64 `json:"typical_p"`
		Stop       stops    `json:"stop"`
	} `json:"options"`
}

// ollamaChat is the body of POST /api/chat as far as it is used.
type ollamaChat struct {
	ollamaBody
	Messages []struct {
		Role    string          `json:"role"`
		Content string          `json:"content"`
		Images  json.RawMessage `json:"images"`
	} `json:"messages"`
	Tools json.RawMessage `json:"tools"`
}

func (o *ollamaChat) chat(arrived time.Time) (*Chat, error) {
	if err := refuseSet(unsupported{"tools", isSet(o.Tools)}); err != nil {
		return nil, err
	}
	c := &Chat{Arrived: arrived}
	for _, m := range o.Messages {
		if isSet(m.Images) {
			return nil, badField("messages", "images are not supported by this node")
		}
		c.Messages = append(c.Messages, Message{Role: m.Role, Content: m.Content})
	}
	return c, o.into(c, "messages")
}

// into takes over the shared fields. What is gone on from is in the field of
// that name.
func (o *ollamaBody) into(c *Chat, messages string) error {
	opt := &o.Options
	err := refuseSet(unsupported{"think", isSet(o.Think)}, unsupported{"options.typical_p", opt.TypicalP != nil && *opt.TypicalP != 1})
	if err != nil {
		return err
	}
	if c.Format, err = o.form(); err != nil {
		return err
	}
	c.Stream, c.Stop = o.Stream == nil || *o.Stream, opt.Stop
	if p := opt.NumPredict; p != nil && *p != -1 && *p != -2 { // those: until the model ends, or its context
		if err := c.limit("options.num_predict", p); err != nil {
			return err
		}
	}
	if opt.Seed != nil && *opt.Seed == -1 { // any
		opt.Seed = nil
	}
	if err := opt.apply(c, "options.", 2); err != nil {
		return err
	}
	if c.RepeatLast != nil && *c.RepeatLast == 0 { // of no tokens at all
		c.RepeatLast, c.RepeatPenalty, c.PresencePenalty, c.FrequencyPenalty = nil, nil, nil, nil
	}
	return c.finish(o.model(), words{messages: messages, stop: "options.stop", stops: maxStops})
}

// model is the name without the tag that Ollama puts to names without one.
func (o *ollamaBody) model() string { return strings.TrimSuffix(o.Model, ":latest") }

// form is the answer's form: "json" or a schema.
func (o *ollamaBody) form() (json.RawMessage, error) {
	switch {
	case !isSet(o.Format):
		return nil, nil
	case string(o.Format) == string(anyJSON):
		return anyJSON, nil
	case o.Format[0] == '{':
		return o.Format, nil
	}
	return nil, badField("format", `must be "json" or a JSON schema`)
}

func (o *ollamaChat) format(string, time.Time) format { return &ollamaFormat{model: o.Model} }

// ollamaFormat writes answers as Ollama does: a JSON object a line.
type ollamaFormat struct {
	model    string
	generate bool // by POST /api/generate: text instead of a message
}

func (f *ollamaFormat) contentType() string { return "application/x-ndjson" }

func (f *ollamaFormat) begin(b []byte) []byte { return b }

// message begins a line with a piece of the answer.
func (f *ollamaFormat) message(b []byte, text string) []byte {
	b = append(b, `{"model":`...)
	b = appendString(b, f.model)
	b = append(b, `,"created_at":"`...)
	b = time.Now().UTC().AppendFormat(b, time.RFC3339Nano)
	if f.generate {
		return appendString(append(b, `","response":`...), text)
	}
	b = append(b, `","message":{"role":"assistant","content":`...)
	b = appendString(b, text)
	return append(b, '}')
}

func (f *ollamaFormat) token(b []byte, text string) []byte {
	return append(f.message(b, text), `,"done":false}`+"\n"...)
}

func (f *ollamaFormat) end(b []byte, r *Result) []byte { return f.whole(b, "", r) }

func (f *ollamaFormat) whole(b []byte, text string, r *Result) []byte {
	b = f.message(b, text)
	b = append(b, `,"done":true,"done_reason":`...)
	b = appendString(b, r.Finish)
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"total_duration", int64(r.Total)},
		{"load_duration", 0},
		{"prompt_eval_count", int64(r.PromptTokens)},
		{"prompt_eval_duration", int64(max(0, r.TTFT-r.QueueWait))},
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
