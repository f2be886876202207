package api

import (
	"encoding/json"
	"time"
)

// ollamaGenerate is the body of POST /api/generate as far as it is used.
type ollamaGenerate struct {
	ollamaBody
	Prompt   string          `json:"prompt"`
	System   string          `json:"system"`
	Raw      bool            `json:"raw"`
	Suffix   string          `json:"suffix"`
	Template string          `json:"template"`
	Images   json.RawMessage `json:"images"`
	Context  json.RawMessage `json:"context"`
}

func (o *ollamaGenerate) chat(arrived time.Time) (*Chat, error) {
	err := refuseSet(unsupported{"suffix", o.Suffix != ""}, unsupported{"template", o.Template != ""},
		unsupported{"images", isSet(o.Images)}, unsupported{"context", isSet(o.Context)})
	if err != nil {
		return nil, err
	}
	c := &Chat{Arrived: arrived}
	switch {
	case o.Raw && o.System != "":
		return nil, badField("system", "goes with no raw prompt; put it into the prompt")
	case o.Raw:
		c.Raw = o.Prompt
	default:
		if o.System != "" {
			c.Messages = append(c.Messages, Message{Role: "system", Content: o.System})
		}
		c.Messages = append(c.Messages, Message{Role: "user", Content: o.Prompt})
	}
	return c, o.into(c, "prompt")
}

func (o *ollamaGenerate) format(string, time.Time) format {
	return &ollamaFormat{model: o.Model, generate: true, logprobs: o.Logprobs}
}
