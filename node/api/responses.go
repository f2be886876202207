package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// response is the body of POST /v1/responses as far as it is used. Nothing is
// kept, whatever its field store says.
type response struct {
	Model           string        `json:"model"`
	Input           responseInput `json:"input"`
	Instructions    string        `json:"instructions"`
	Stream          bool          `json:"stream"`
	MaxOutputTokens *float64      `json:"max_output_tokens"`
	sampling
	shifting
	Text struct {
		Format schemaFormat `json:"format"`
	} `json:"text"`
	Reasoning struct {
		Effort string `json:"effort"`
	} `json:"reasoning"`
	Previous     json.RawMessage `json:"previous_response_id"`
	Conversation json.RawMessage `json:"conversation"`
	Prompt       json.RawMessage `json:"prompt"`
	Background   bool            `json:"background"`
	Tools        []responseTool  `json:"tools"`
	ToolChoice   toolChoice      `json:"tool_choice"`
	Parallel     *bool           `json:"parallel_tool_calls"`
	MaxToolCalls json.RawMessage `json:"max_tool_calls"` // of tools that OpenAI runs
	Include      []string        `json:"include"`
	TopLogprobs  *float64        `json:"top_logprobs"`
}

// responseTool is a function, or one of the tools that OpenAI runs.
type responseTool struct {
	Type string `json:"type"`
	flatFunction
}

// flatFunction is a function without a box around it. It has a name of its own
// because the paths of faulty fields have it.
type flatFunction = function

func (o *response) chat(arrived time.Time) (*Chat, error) {
	err := refuseSet(
		unsupported{"previous_response_id", isSet(o.Previous)}, unsupported{"conversation", isSet(o.Conversation)},
		unsupported{"prompt", isSet(o.Prompt)}, unsupported{"background", o.Background}, unsupported{"max_tool_calls", isSet(o.MaxToolCalls)})
	if err != nil {
		return nil, err
	}
	c := &Chat{Stream: o.Stream, Messages: o.Input, Arrived: arrived}
	if len(o.Input) == 0 {
		return nil, badField("input", "is missing or empty; send text or messages")
	}
	if o.Instructions != "" {
		c.Messages = append([]Message{{Role: "system", Content: o.Instructions}}, c.Messages...)
	}
	box := toolbox{chat: c}
	for i := range o.Tools {
		t, at := &o.Tools[i], fmt.Sprintf("tools[%d]", i)
		if t.Type != "function" {
			return nil, badField(at+".type", "%q is not supported; send tools of type function", clip(t.Type))
		}
		if err := box.add(at, "parameters", &t.flatFunction); err != nil {
			return nil, err
		}
	}
	if err := c.choose(string(o.ToolChoice), o.Parallel != nil && !*o.Parallel); err != nil {
		return nil, err
	}
	if c.Think, err = effort("reasoning.effort", o.Reasoning.Effort); err != nil {
		return nil, err
	}
	if err := c.likeliest(o.logprobs(), "top_logprobs", o.TopLogprobs); err != nil {
		return nil, err
	}
	if c.Format, err = o.Text.Format.format("text.format"); err != nil {
		return nil, err
	}
	if err := c.limit("max_output_tokens", o.MaxOutputTokens); err != nil {
		return nil, err
	}
	if err := o.apply(c, "", 2); err != nil {
		return nil, err
	}
	if err := o.shift(c); err != nil {
		return nil, err
	}
	return c, c.finish(o.Model, words{messages: "input", stop: "stop", stops: maxStops})
}

// logprobs tells whether they are asked for; a number of them says so as well.
func (o *response) logprobs() bool {
	return slices.Contains(o.Include, "message.output_text.logprobs") || o.TopLogprobs != nil && *o.TopLogprobs > 0
}

func (o *response) format(id string, arrived time.Time) format {
	f := &responseFormat{id: id, created: arrived.Unix(), wanted: o.logprobs()}
	tools := make([]json.RawMessage, 0, len(o.Tools))
	for i := range o.Tools {
		tools = append(tools, o.Tools[i].told())
	}
	// What the object says of the request is the same in all events that have it.
	f.asked, _ = json.Marshal(struct { // of plain values, and JSON that was read: it cannot fail
		Instructions *string           `json:"instructions"`
		MaxTokens    *float64          `json:"max_output_tokens"`
		Model        string            `json:"model"`
		Parallel     bool              `json:"parallel_tool_calls"`
		Previous     *string           `json:"previous_response_id"`
		Store        bool              `json:"store"`
		Temperature  *float64          `json:"temperature"`
		ToolChoice   json.RawMessage   `json:"tool_choice"`
		Tools        []json.RawMessage `json:"tools"`
		TopP         *float64          `json:"top_p"`
		Truncation   string            `json:"truncation"`
		Metadata     struct{}          `json:"metadata"`
	}{said(o.Instructions), o.MaxOutputTokens, o.Model, o.Parallel == nil || *o.Parallel, nil, false, o.Temperature, o.ToolChoice.told(), tools, o.TopP, "disabled", struct{}{}})
	return f
}

// told is the tool as an answer repeats it.
func (t *responseTool) told() json.RawMessage {
	b := appendString([]byte(`{"type":"function","name":`), t.Name)
	b = appendString(append(b, `,"description":`...), t.Description)
	b = append(b, `,"parameters":`...)
	if isSet(t.Parameters) {
		b = append(b, t.Parameters...)
	} else {
		b = append(b, "null"...)
	}
	return fmt.Appendf(b, `,"strict":%t}`, t.Strict)
}

// told is the choice as an answer repeats it.
func (t toolChoice) told() json.RawMessage {
	switch {
	case t == "":
		return json.RawMessage(`"auto"`)
	case t[0] == '=':
		return append(appendString([]byte(`{"type":"function","name":`), string(t[1:])), '}')
	}
	return appendString(nil, string(t))
}

// said is nil for what was not said.
func said(t string) *string {
	if t == "" {
		return nil
	}
	return &t
}
