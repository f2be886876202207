package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// openAIChat is the body of POST /v1/chat/completions as far as it is used.
// Fields that would change the answer and are not supported are refused; what
// this node has never heard of is ignored.
type openAIChat struct {
	Model         string          `json:"model"`
	Messages      []openAIMessage `json:"messages"`
	Stream        bool            `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens           *float64        `json:"max_tokens"`
	MaxCompletionTokens *float64        `json:"max_completion_tokens"`
	Temperature         *float64        `json:"temperature"`
	TopP                *float64        `json:"top_p"`
	Seed                *float64        `json:"seed"`
	Stop                stops           `json:"stop"`
	N                   *float64        `json:"n"`
	Tools               json.RawMessage `json:"tools"`
	Functions           json.RawMessage `json:"functions"`
	ResponseFormat      json.RawMessage `json:"response_format"`
	LogitBias           json.RawMessage `json:"logit_bias"`
	Logprobs            bool            `json:"logprobs"`
	PresencePenalty     float64         `json:"presence_penalty"`
	FrequencyPenalty    float64         `json:"frequency_penalty"`
}

type openAIMessage struct {
	Role    string      `json:"role"`
	Content textContent `json:"content"`
}

// textContent reads a message's content: a string, a list of text parts, or null.
type textContent string

func (t *textContent) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = textContent(s)
		return nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(b, &parts) != nil {
		return badField("messages", "content must be a string or a list of parts")
	}
	var text strings.Builder
	for _, p := range parts {
		if p.Type != "text" {
			return badField("messages", "content of type %q is not supported; send text", clip(p.Type))
		}
		text.WriteString(p.Text)
	}
	*t = textContent(text.String())
	return nil
}

func (o *openAIChat) chat(arrived time.Time) (*Chat, error) {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"tools", isSet(o.Tools)}, {"functions", isSet(o.Functions)}, {"logit_bias", isSet(o.LogitBias)}, {"logprobs", o.Logprobs},
		{"response_format", isSet(o.ResponseFormat) && !plainText(o.ResponseFormat)},
		{"presence_penalty", o.PresencePenalty != 0}, {"frequency_penalty", o.FrequencyPenalty != 0},
		{"n", o.N != nil && *o.N != 1},
	} {
		if f.set {
			return nil, badField(f.name, "is not supported by this node; leave it out")
		}
	}
	s := sampling{Temperature: o.Temperature, TopP: o.TopP, Seed: o.Seed, MaxTokens: o.MaxCompletionTokens,
		Names: [5]string{"temperature", "top_p", "top_k", "seed", "max_completion_tokens"}}
	if s.MaxTokens == nil {
		s.MaxTokens, s.Names[4] = o.MaxTokens, "max_tokens"
	}
	c := &Chat{Stream: o.Stream, Stop: o.Stop, Arrived: arrived}
	for _, m := range o.Messages {
		c.Messages = append(c.Messages, Message{Role: m.Role, Content: string(m.Content)})
	}
	if err := s.apply(c); err != nil {
		return nil, err
	}
	return c, c.finish(o.Model)
}

func isSet(m json.RawMessage) bool {
	s := string(bytes.TrimSpace(m))
	return s != "" && s != "null" && s != "[]" && s != "{}"
}

func plainText(m json.RawMessage) bool {
	var f struct {
		Type string `json:"type"`
	}
	return json.Unmarshal(m, &f) == nil && f.Type == "text"
}

func (s *Server) openAIChat(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	var body openAIChat
	err := readBody(w, r, &body)
	if err == nil {
		var c *Chat
		if c, err = body.chat(arrived); err == nil {
			s.answer(w, r, c, &openAIFormat{id: "chatcmpl-" + w.Header().Get(headerRequestID), model: body.Model,
				created: arrived.Unix(), usage: body.StreamOptions.IncludeUsage})
			return
		}
	}
	writeOpenAIError(w, err)
}

// openAIFormat writes answers as OpenAI does.
type openAIFormat struct {
	id, model string
	created   int64
	usage     bool // a last chunk with the usage is wanted
}

func (f *openAIFormat) contentType() string { return "text/event-stream" }

// head begins a chunk up to the choice's delta.
func (f *openAIFormat) head(b []byte) []byte {
	b = append(b, `data: {"id":`...)
	b = appendString(b, f.id)
	b = append(b, `,"object":"chat.completion.chunk","created":`...)
	b = strconv.AppendInt(b, f.created, 10)
	b = append(b, `,"model":`...)
	return appendString(b, f.model)
}

func (f *openAIFormat) begin(b []byte) []byte {
	b = f.head(b)
	return append(b, `,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`+"\n\n"...)
}

func (f *openAIFormat) token(b []byte, text string) []byte {
	b = f.head(b)
	b = append(b, `,"choices":[{"index":0,"delta":{"content":`...)
	b = appendString(b, text)
	return append(b, `},"finish_reason":null}]}`+"\n\n"...)
}

func (f *openAIFormat) end(b []byte, r *Result) []byte {
	b = f.head(b)
	b = append(b, `,"choices":[{"index":0,"delta":{},"finish_reason":`...)
	b = appendString(b, r.Finish)
	b = append(b, "}]}\n\n"...)
	if f.usage {
		b = f.head(b)
		b = append(b, `,"choices":[],"usage":`...)
		b = appendUsage(b, r)
		b = append(b, "}\n\n"...)
	}
	return append(b, "data: [DONE]\n\n"...)
}

func (f *openAIFormat) fail(b []byte, e *Error) []byte {
	b = append(b, "data: "...)
	b = appendOpenAIError(b, e)
	return append(b, "\n\n"...)
}

func (f *openAIFormat) whole(b []byte, text string, r *Result) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, f.id)
	b = append(b, `,"object":"chat.completion","created":`...)
	b = strconv.AppendInt(b, f.created, 10)
	b = append(b, `,"model":`...)
	b = appendString(b, f.model)
	b = append(b, `,"choices":[{"index":0,"message":{"role":"assistant","content":`...)
	b = appendString(b, text)
	b = append(b, `,"refusal":null},"logprobs":null,"finish_reason":`...)
	b = appendString(b, r.Finish)
	b = append(b, `}],"usage":`...)
	b = appendUsage(b, r)
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
	return append(b, '}')
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
	if e.Param == "" {
		b = append(b, "null"...)
	} else {
		b = appendString(b, e.Param)
	}
	b = append(b, `,"code":`...)
	b = appendString(b, e.Code)
	return append(b, "}}"...)
}

func writeOpenAIError(w http.ResponseWriter, err error) {
	e := asError(err)
	writeJSON(w, e, append(appendOpenAIError(nil, e), '\n'))
}

func (s *Server) openAIModels(w http.ResponseWriter, r *http.Request) {
	b := []byte(`{"object":"list","data":[`)
	for i, m := range s.inspect.Models() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendOpenAIModel(b, &m)
	}
	writeJSON(w, nil, append(b, "]}\n"...))
}

func (s *Server) openAIModel(w http.ResponseWriter, r *http.Request) {
	for _, m := range s.inspect.Models() {
		if m.ID == r.PathValue("model") {
			writeJSON(w, nil, append(appendOpenAIModel(nil, &m), '\n'))
			return
		}
	}
	writeOpenAIError(w, &Error{Status: http.StatusNotFound, Code: "model_not_found", Param: "model", Message: "there is no such model; GET /v1/models lists those there are"})
}

func appendOpenAIModel(b []byte, m *ModelView) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, m.ID)
	return append(b, `,"object":"model","created":0,"owned_by":"omx"}`...)
}
