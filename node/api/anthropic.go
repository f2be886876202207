package api

import (
	"encoding/json"
	"net/http"
	"time"
)

// anthropicBody is the body of POST /v1/messages as far as it is used.
type anthropicBody struct {
	Model     string             `json:"model"`
	System    anthropicSystem    `json:"system"`
	Messages  []anthropicMessage `json:"messages"`
	MaxTokens *float64           `json:"max_tokens"`
	Stop      []string           `json:"stop_sequences"`
	Stream    bool               `json:"stream"`
	sampling
	Tools    json.RawMessage `json:"tools"`
	Servers  json.RawMessage `json:"mcp_servers"`
	Thinking struct {
		Type string `json:"type"`
	} `json:"thinking"`
	// counted is set where only the prompt matters.
	counted bool
}

type anthropicMessage struct {
	Role    string           `json:"role"`
	Content anthropicContent `json:"content"`
}

// anthropicContent is text, or blocks of text and thoughts; the thoughts of
// earlier turns are left out.
type anthropicContent string

func (t *anthropicContent) UnmarshalJSON(b []byte) error {
	s, err := textOf(b, "messages", anthropicParts, anthropicThoughts)
	*t = anthropicContent(s)
	return err
}

type anthropicSystem string

func (t *anthropicSystem) UnmarshalJSON(b []byte) error {
	s, err := textOf(b, "system", anthropicParts, nil)
	*t = anthropicSystem(s)
	return err
}

func (o *anthropicBody) chat(arrived time.Time) (*Chat, error) {
	err := refuseSet(unsupported{"tools", isSet(o.Tools)}, unsupported{"mcp_servers", isSet(o.Servers)},
		unsupported{"thinking", o.Thinking.Type == "enabled"})
	if err != nil {
		return nil, err
	}
	if o.MaxTokens == nil && !o.counted {
		return nil, badField("max_tokens", "is missing; say how long the answer may be")
	}
	c := &Chat{Stream: o.Stream, Stop: o.Stop, Arrived: arrived}
	if o.System != "" {
		c.Messages = append(c.Messages, Message{Role: "system", Content: string(o.System)})
	}
	for _, m := range o.Messages {
		if m.Role != "user" && m.Role != "assistant" {
			return nil, badField("messages", "role %q is not supported; use user or assistant, and the field system", clip(m.Role))
		}
		c.Messages = append(c.Messages, Message{Role: m.Role, Content: string(m.Content)})
	}
	if n := len(o.Messages); n == 0 {
		return nil, badField("messages", "must have 1 to %d entries", maxMessages)
	} else if o.Messages[n-1].Role == "assistant" && !o.counted {
		return nil, badField("messages", "the last must be the user's; to go on from an answer that has begun is not supported")
	}
	if err := c.limit("max_tokens", o.MaxTokens); err != nil {
		return nil, err
	}
	if err := o.apply(c, "", 1); err != nil {
		return nil, err
	}
	return c, c.finish(o.Model, words{messages: "messages", stop: "stop_sequences", stops: maxStops})
}

func (o *anthropicBody) format(id string, _ time.Time) format {
	return &anthropicFormat{id: id, model: o.Model}
}

// anthropicTypes are the kinds of error by status; anthropicType has the rest.
var anthropicTypes = map[int]string{
	http.StatusUnauthorized:          "authentication_error",
	http.StatusForbidden:             "permission_error",
	http.StatusNotFound:              "not_found_error",
	http.StatusRequestEntityTooLarge: "request_too_large",
	http.StatusTooManyRequests:       "rate_limit_error",
	http.StatusServiceUnavailable:    "overloaded_error",
	http.StatusGatewayTimeout:        "timeout_error",
}

func anthropicType(status int) string {
	if kind, ok := anthropicTypes[status]; ok {
		return kind
	}
	if status >= 500 {
		return "api_error"
	}
	return "invalid_request_error"
}

func appendAnthropicError(b []byte, e *Error, id string) []byte {
	b = append(b, `{"type":"error","error":{"type":`...)
	b = appendString(b, anthropicType(e.Status))
	b = append(b, `,"message":`...)
	b = appendString(b, e.Message)
	b = append(b, `},"request_id":`...)
	b = appendString(b, id)
	return append(b, '}')
}

func writeAnthropicError(w http.ResponseWriter, err error) {
	e := asError(err)
	writeJSON(w, e, append(appendAnthropicError(nil, e, w.Header().Get(headerRequestID)), '\n'))
}
