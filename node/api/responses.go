package api

import (
	"encoding/json"
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
	Text struct {
		Format schemaFormat `json:"format"`
	} `json:"text"`
	Previous     json.RawMessage `json:"previous_response_id"`
	Conversation json.RawMessage `json:"conversation"`
	Prompt       json.RawMessage `json:"prompt"`
	Background   bool            `json:"background"`
	Tools        json.RawMessage `json:"tools"`
	TopLogprobs  *float64        `json:"top_logprobs"`
}

// responseInput reads the input: a text of the user, or a list of items.
type responseInput []Message

func (in *responseInput) UnmarshalJSON(b []byte) error {
	*in = nil // a field that comes twice counts once
	var text string
	if json.Unmarshal(b, &text) == nil { // null is "", which is refused later
		if text != "" {
			*in = responseInput{{Role: "user", Content: text}}
		}
		return nil
	}
	var items []struct {
		Type    string       `json:"type"`
		Role    string       `json:"role"`
		Content responseText `json:"content"`
	}
	if err := json.Unmarshal(b, &items); err != nil {
		if e, ok := err.(*Error); ok {
			return e
		}
		return badField("input", "must be text or a list of messages")
	}
	for _, i := range items {
		switch i.Type {
		case "", "message":
			*in = append(*in, Message{Role: i.Role, Content: string(i.Content)})
		case "reasoning": // a model's thoughts of earlier turns are not given back to it
		default:
			return badField("input", "an item of type %q is not supported; send messages", clip(i.Type))
		}
	}
	return nil
}

type responseText string

func (t *responseText) UnmarshalJSON(b []byte) error {
	s, err := textOf(b, "input", responseParts, []string{"reasoning_text"})
	*t = responseText(s)
	return err
}

func (o *response) chat(arrived time.Time) (*Chat, error) {
	err := refuseSet(
		unsupported{"previous_response_id", isSet(o.Previous)}, unsupported{"conversation", isSet(o.Conversation)},
		unsupported{"prompt", isSet(o.Prompt)}, unsupported{"background", o.Background}, unsupported{"tools", isSet(o.Tools)},
		unsupported{"top_logprobs", o.TopLogprobs != nil && *o.TopLogprobs != 0})
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
	if c.Format, err = o.Text.Format.format("text.format"); err != nil {
		return nil, err
	}
	if err := c.limit("max_output_tokens", o.MaxOutputTokens); err != nil {
		return nil, err
	}
	if err := o.apply(c, "", 2); err != nil {
		return nil, err
	}
	return c, c.finish(o.Model, words{messages: "input", stop: "stop", stops: maxStops})
}

func (o *response) format(id string, arrived time.Time) format {
	f := &responseFormat{id: id, created: arrived.Unix()}
	// What the object says of the request is the same in all events that have it.
	f.asked, _ = json.Marshal(struct { // of plain values: it cannot fail
		Instructions *string  `json:"instructions"`
		MaxTokens    *float64 `json:"max_output_tokens"`
		Model        string   `json:"model"`
		Parallel     bool     `json:"parallel_tool_calls"`
		Previous     *string  `json:"previous_response_id"`
		Store        bool     `json:"store"`
		Temperature  *float64 `json:"temperature"`
		ToolChoice   string   `json:"tool_choice"`
		Tools        []string `json:"tools"`
		TopP         *float64 `json:"top_p"`
		Truncation   string   `json:"truncation"`
		Metadata     struct{} `json:"metadata"`
	}{said(o.Instructions), o.MaxOutputTokens, o.Model, false, nil, false, o.Temperature, "auto", []string{}, o.TopP, "disabled", struct{}{}})
	return f
}

// said is nil for what was not said.
func said(t string) *string {
	if t == "" {
		return nil
	}
	return &t
}
