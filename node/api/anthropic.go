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
	shifting
	Tools      []anthropicTool   `json:"tools"`
	ToolChoice anthropicChoice   `json:"tool_choice"`
	Servers    json.RawMessage   `json:"mcp_servers"`
	Container  json.RawMessage   `json:"container"`
	Thinking   anthropicThinking `json:"thinking"`
	Output     struct {
		Format schemaFormat `json:"format"`
	} `json:"output_config"`
	// counted is set where only the prompt matters.
	counted bool
}

func (o *anthropicBody) chat(arrived time.Time) (*Chat, error) {
	err := refuseSet(unsupported{"mcp_servers", isSet(o.Servers)}, unsupported{"container", isSet(o.Container)})
	if err != nil {
		return nil, err
	}
	if o.MaxTokens == nil && !o.counted {
		return nil, badField("max_tokens", "is missing; say how long the answer may be")
	}
	c := &Chat{Stream: o.Stream, Stop: o.Stop, Arrived: arrived}
	if err := o.turns(c); err != nil {
		return nil, err
	}
	if err := o.offer(c); err != nil {
		return nil, err
	}
	if c.Think, err = o.Thinking.think(); err != nil {
		return nil, err
	}
	if c.Format, err = o.Output.Format.format("output_config.format"); err != nil {
		return nil, err
	}
	if err := c.limit("max_tokens", o.MaxTokens); err != nil {
		return nil, err
	}
	if err := o.apply(c, "", 1); err != nil {
		return nil, err
	}
	if err := o.shift(c); err != nil {
		return nil, err
	}
	return c, c.finish(o.Model, words{messages: "messages", stop: "stop_sequences", stops: maxStops})
}

// turns takes over what has been said.
func (o *anthropicBody) turns(c *Chat) (err error) {
	if o.System != "" {
		c.Messages = append(c.Messages, Message{Role: "system", Content: string(o.System)})
	}
	for i, m := range o.Messages {
		switch m.Role {
		case "user":
			err = c.addUser(i, m.Content)
		case "assistant":
			err = c.addAssistant(i, m.Content)
		default:
			err = badField("messages", "role %q is not supported; use user or assistant, and the field system", clip(m.Role))
		}
		if err != nil {
			return err
		}
	}
	if n := len(o.Messages); n == 0 {
		return badField("messages", "must have 1 to %d entries", maxMessages)
	} else if o.Messages[n-1].Role == "assistant" && !o.counted {
		return badField("messages", "the last must be the user's; to go on from an answer that has begun is not supported")
	}
	return nil
}

// anthropicThinking says whether a model is to think; how much, models here do
// not know.
type anthropicThinking struct {
	Type   string   `json:"type"`
	Budget *float64 `json:"budget_tokens"`
}

func (t *anthropicThinking) think() (*bool, error) {
	k := checker{}
	k.int("thinking.budget_tokens", t.Budget, 1, maxTokens)
	think := t.Type != "disabled"
	switch t.Type {
	case "":
		return nil, k.err()
	case "enabled", "adaptive", "disabled":
		return &think, k.err()
	}
	return nil, badField("thinking.type", "%q is not supported; use enabled, adaptive or disabled", clip(t.Type))
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
