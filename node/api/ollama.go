package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ollamaChat is the body of POST /api/chat as far as it is used.
type ollamaChat struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string          `json:"role"`
		Content string          `json:"content"`
		Images  json.RawMessage `json:"images"`
	} `json:"messages"`
	Stream  *bool           `json:"stream"`
	Tools   json.RawMessage `json:"tools"`
	Format  json.RawMessage `json:"format"`
	Options struct {
		Temperature *float64 `json:"temperature"`
		TopP        *float64 `json:"top_p"`
		TopK        *float64 `json:"top_k"`
		Seed        *float64 `json:"seed"`
		NumPredict  *float64 `json:"num_predict"`
		Stop        stops    `json:"stop"`
	} `json:"options"`
}

func (o *ollamaChat) chat(arrived time.Time) (*Chat, error) {
	if isSet(o.Tools) {
		return nil, badField("tools", "is not supported by this node; leave it out")
	}
	if isSet(o.Format) && string(o.Format) != `""` {
		return nil, badField("format", "is not supported by this node; leave it out")
	}
	opt := &o.Options
	if p := opt.NumPredict; p != nil && *p < 0 { // -1 and -2: until the model ends
		opt.NumPredict = nil
	}
	s := sampling{Temperature: opt.Temperature, TopP: opt.TopP, TopK: opt.TopK, Seed: opt.Seed, MaxTokens: opt.NumPredict,
		Names: [5]string{"options.temperature", "options.top_p", "options.top_k", "options.seed", "options.num_predict"}}
	c := &Chat{Stream: o.Stream == nil || *o.Stream, Stop: opt.Stop, Arrived: arrived}
	for _, m := range o.Messages {
		if isSet(m.Images) {
			return nil, badField("messages", "images are not supported by this node")
		}
		c.Messages = append(c.Messages, Message{Role: m.Role, Content: m.Content})
	}
	if err := s.apply(c); err != nil {
		return nil, err
	}
	return c, c.finish(strings.TrimSuffix(o.Model, ":latest"))
}

func (s *Server) ollamaChat(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	var body ollamaChat
	err := readBody(w, r, &body)
	if err == nil {
		var c *Chat
		if c, err = body.chat(arrived); err == nil {
			s.answer(w, r, c, &ollamaFormat{model: body.Model})
			return
		}
	}
	writeOllamaError(w, err)
}

// ollamaFormat writes answers as Ollama does: a JSON object a line.
type ollamaFormat struct{ model string }

func (f *ollamaFormat) contentType() string { return "application/x-ndjson" }

func (f *ollamaFormat) begin(b []byte) []byte { return b }

func (f *ollamaFormat) message(b []byte, text string) []byte {
	b = append(b, `{"model":`...)
	b = appendString(b, f.model)
	b = append(b, `,"created_at":"`...)
	b = time.Now().UTC().AppendFormat(b, time.RFC3339Nano)
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

func (s *Server) ollamaTags(w http.ResponseWriter, r *http.Request) {
	b := []byte(`{"models":[`)
	for i, m := range s.inspect.Models() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"name":`...)
		b = appendString(b, m.ID)
		b = append(b, `,"model":`...)
		b = appendString(b, m.ID)
		b = append(b, `,"modified_at":"`...)
		b = s.started.UTC().AppendFormat(b, time.RFC3339)
		b = append(b, `","size":`...)
		b = strconv.AppendInt(b, m.Bytes, 10)
		b = append(b, `,"digest":`...)
		b = appendString(b, m.Digest)
		b = append(b, `,"details":{"format":"gguf"}}`...)
	}
	writeJSON(w, nil, append(b, "]}\n"...))
}
