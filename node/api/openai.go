package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// openAIBody are the fields that OpenAI's chat completions and completions share.
type openAIBody struct {
	Model         string `json:"model"`
	Stream        bool   `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	sampling
	MaxTokens      *float64        `json:"max_tokens"`
	Stop           stops           `json:"stop"`
	N              *float64        `json:"n"`
	LogitBias      json.RawMessage `json:"logit_bias"`
	Logprobs       json.RawMessage `json:"logprobs"`
	ResponseFormat schemaFormat    `json:"response_format"`
}

// openAIChat is the body of POST /v1/chat/completions as far as it is used.
type openAIChat struct {
	openAIBody
	Messages            []openAIMessage `json:"messages"`
	MaxCompletionTokens *float64        `json:"max_completion_tokens"`
	Tools               json.RawMessage `json:"tools"`
	Functions           json.RawMessage `json:"functions"`
}

type openAIMessage struct {
	Role    string      `json:"role"`
	Content textContent `json:"content"`
}

func (o *openAIChat) chat(arrived time.Time) (*Chat, error) {
	if err := refuseSet(unsupported{"tools", isSet(o.Tools)}, unsupported{"functions", isSet(o.Functions)}); err != nil {
		return nil, err
	}
	c := &Chat{Arrived: arrived}
	for _, m := range o.Messages {
		c.Messages = append(c.Messages, Message{Role: m.Role, Content: string(m.Content)})
	}
	if err := o.into(c, "messages"); err != nil {
		return nil, err
	}
	return c, c.limit("max_completion_tokens", o.MaxCompletionTokens) // the newer name of max_tokens
}

// into takes over the shared fields. What is gone on from is in the field of
// that name.
func (o *openAIBody) into(c *Chat, messages string) error {
	err := refuseSet(unsupported{"logit_bias", isSet(o.LogitBias)}, unsupported{"logprobs", isSet(o.Logprobs)},
		unsupported{"n", o.N != nil && *o.N != 1})
	if err != nil {
		return err
	}
	c.Stream, c.Stop = o.Stream, o.Stop
	if c.Format, err = o.ResponseFormat.format("response_format"); err != nil {
		return err
	}
	if err := c.limit("max_tokens", o.MaxTokens); err != nil {
		return err
	}
	if err := o.apply(c, "", 2); err != nil {
		return err
	}
	return c.finish(o.Model, words{messages: messages, stop: "stop", stops: 4})
}

func (o *openAIChat) format(id string, arrived time.Time) format {
	return &openAIFormat{id: "chatcmpl-" + id, model: o.Model, created: arrived.Unix(), usage: o.StreamOptions.IncludeUsage}
}

// openAIFormat writes answers as OpenAI's chat completions do.
type openAIFormat struct {
	id, model string
	created   int64
	usage     bool // a last chunk with the usage is wanted
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

// head begins a chunk up to the choice's delta.
func (f *openAIFormat) head(b []byte) []byte {
	return f.object(append(b, "data: "...), "chat.completion.chunk")
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
	return f.done(b, r, "chat.completion.chunk")
}

// done ends a stream of chunks.
func (f *openAIFormat) done(b []byte, r *Result, kind string) []byte {
	if f.usage {
		b = f.object(append(b, "data: "...), kind)
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
	b = f.object(b, "chat.completion")
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
	b = append(b, `,"prompt_tokens_details":{"cached_tokens":`...)
	b = strconv.AppendInt(b, int64(r.CachedTokens), 10)
	return append(b, "}}"...)
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
