package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// ollamaBody are the fields that Ollama's chat and generate share.
type ollamaBody struct {
	Model       string          `json:"model"`
	Stream      *bool           `json:"stream"`
	Format      json.RawMessage `json:"format"`
	Think       json.RawMessage `json:"think"` // true, or how much
	KeepAlive   keepAlive       `json:"keep_alive"`
	Shift       bool            `json:"shift"` // Ollama's own default is true
	Logprobs    bool            `json:"logprobs"`
	TopLogprobs *float64        `json:"top_logprobs"`
	Options     struct {
		sampling
		NumPredict *float64 `json:"num_predict"`
		NumKeep    *float64 `json:"num_keep"`
		TypicalP   *float64 `json:"typical_p"`
		Stop       stops    `json:"stop"`
	} `json:"options"`
}

// ollamaChat is the body of POST /api/chat as far as it is used.
type ollamaChat struct {
	ollamaBody
	Messages []ollamaMessage `json:"messages"`
	Tools    openAITools     `json:"tools"`
}

type ollamaMessage struct {
	Role      string          `json:"role"`
	Content   string          `json:"content"`
	Thinking  string          `json:"thinking"`
	Images    json.RawMessage `json:"images"`
	ToolCalls []struct {
		ID       string `json:"id"`
		Function struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"` // an object
		} `json:"function"`
	} `json:"tool_calls"`
	ToolName   string `json:"tool_name"`
	ToolCallID string `json:"tool_call_id"`
}

func (o *ollamaChat) chat(arrived time.Time) (*Chat, error) {
	c := &Chat{Arrived: arrived}
	for i := range o.Messages {
		m, err := o.Messages[i].message(i)
		if err != nil {
			return nil, err
		}
		c.Messages = append(c.Messages, m)
	}
	if err := o.Tools.into(c); err != nil {
		return nil, err
	}
	return c, o.into(c, "messages")
}

// message is the turn of an index, in the form that all shapes share.
func (o *ollamaMessage) message(i int) (m Message, err error) {
	m = Message{Role: o.Role, Content: o.Content, Thinking: o.Thinking, CallID: o.ToolCallID, Name: o.ToolName}
	if isSet(o.Images) {
		return m, badField(fmt.Sprintf("messages[%d].images", i), "images are not supported by this node")
	}
	for k := range o.ToolCalls {
		at := fmt.Sprintf("messages[%d].tool_calls[%d].function", i, k)
		t := &o.ToolCalls[k]
		call := Call{ID: t.ID, Name: t.Function.Name}
		if call.Arguments, err = argumentsIn(at+".arguments", t.Function.Arguments); err != nil {
			return m, err
		}
		if m.Calls, err = addCall(m.Calls, at, call); err != nil {
			return m, err
		}
	}
	return m, nil
}

// into takes over the shared fields. What is gone on from is in the field of
// that name.
func (o *ollamaBody) into(c *Chat, messages string) error {
	opt := &o.Options
	err := refuseSet(unsupported{"options.typical_p", opt.TypicalP != nil && *opt.TypicalP != 1})
	if err != nil {
		return err
	}
	if c.Format, err = o.form(); err != nil {
		return err
	}
	if c.Think, err = o.think(); err != nil {
		return err
	}
	if err := c.likeliest(o.Logprobs, "top_logprobs", o.TopLogprobs); err != nil {
		return err
	}
	c.Stream, c.Stop, c.KeepAlive = o.Stream == nil || *o.Stream, opt.Stop, o.KeepAlive.time
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
	c.Shift = o.Shift
	if err := c.keep("options.num_keep", opt.NumKeep); err != nil {
		return err
	}
	if c.RepeatLast != nil && *c.RepeatLast == 0 { // of no tokens at all
		c.RepeatLast, c.RepeatPenalty, c.PresencePenalty, c.FrequencyPenalty = nil, nil, nil, nil
	}
	return c.finish(o.Model, words{messages: messages, stop: "options.stop", stops: maxStops})
}

// think is whether the model is to think; how much, models here do not know.
func (o *ollamaBody) think() (*bool, error) {
	switch string(o.Think) {
	case "", "null", `""`:
		return nil, nil
	case "false":
		return new(bool), nil
	case "true", `"low"`, `"medium"`, `"high"`:
		think := true
		return &think, nil
	}
	return nil, badField("think", `must be true, false, "low", "medium" or "high"`)
}

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

func (o *ollamaChat) format(string, time.Time) format {
	return &ollamaFormat{model: o.Model, logprobs: o.Logprobs}
}

// ollamaChat answers POST /api/chat. Without messages a client wants the model
// loaded, or unloaded.
func (s *Server) ollamaChat(w http.ResponseWriter, r *http.Request) {
	var o ollamaChat
	s.serveOllama(w, r, &o, &o.ollamaBody, func() bool { return len(o.Messages) > 0 })
}

// ollamaGenerate answers POST /api/generate; without a prompt, as chat does.
func (s *Server) ollamaGenerate(w http.ResponseWriter, r *http.Request) {
	var o ollamaGenerate
	s.serveOllama(w, r, &o, &o.ollamaBody, func() bool { return o.Prompt != "" })
}

func (s *Server) serveOllama(w http.ResponseWriter, r *http.Request, b body, shared *ollamaBody, asks func() bool) {
	arrived := time.Now()
	err := readBody(w, r, b)
	if err == nil && asks() {
		err = s.serveBody(w, r, b, arrived)
	} else if err == nil {
		err = s.preload(w, r, shared, b.format("", arrived).(*ollamaFormat))
	}
	if err != nil {
		writeOllamaError(w, err)
	}
}
