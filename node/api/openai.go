package api

import (
	"encoding/json"
	"fmt"
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
	shifting
	MaxTokens      *float64        `json:"max_tokens"`
	Stop           stops           `json:"stop"`
	N              *float64        `json:"n"`
	LogitBias      json.RawMessage `json:"logit_bias"`
	ResponseFormat schemaFormat    `json:"response_format"`
}

// openAIChat is the body of POST /v1/chat/completions as far as it is used.
type openAIChat struct {
	openAIBody
	Messages            []openAIMessage `json:"messages"`
	MaxCompletionTokens *float64        `json:"max_completion_tokens"`
	Tools               openAITools     `json:"tools"`
	ToolChoice          toolChoice      `json:"tool_choice"`
	Parallel            *bool           `json:"parallel_tool_calls"`
	Functions           json.RawMessage `json:"functions"`     // what tools were before
	FunctionCall        json.RawMessage `json:"function_call"` // and their choice
	Logprobs            bool            `json:"logprobs"`
	TopLogprobs         *float64        `json:"top_logprobs"`
	Effort              string          `json:"reasoning_effort"`
	Modalities          []string        `json:"modalities"`
	Audio               json.RawMessage `json:"audio"`
	WebSearch           json.RawMessage `json:"web_search_options"`
}

type openAIMessage struct {
	Role         string          `json:"role"`
	Content      textContent     `json:"content"`
	Reasoning    string          `json:"reasoning_content"`
	ToolCalls    openAICalls     `json:"tool_calls"`
	ToolCallID   string          `json:"tool_call_id"`
	FunctionCall json.RawMessage `json:"function_call"`
}

func (o *openAIChat) chat(arrived time.Time) (*Chat, error) {
	err := refuseSet(unsupported{"functions", isSet(o.Functions)}, unsupported{"function_call", isSet(o.FunctionCall)},
		unsupported{"modalities", len(o.Modalities) > 1 || len(o.Modalities) == 1 && o.Modalities[0] != "text"},
		unsupported{"audio", isSet(o.Audio)}, unsupported{"web_search_options", isSet(o.WebSearch)})
	if err != nil {
		return nil, err
	}
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
	if err := c.choose(string(o.ToolChoice), o.Parallel != nil && !*o.Parallel); err != nil {
		return nil, err
	}
	if c.Think, err = effort("reasoning_effort", o.Effort); err != nil {
		return nil, err
	}
	if err := c.likeliest(o.Logprobs, "top_logprobs", o.TopLogprobs); err != nil {
		return nil, err
	}
	if o.TopLogprobs != nil && !o.Logprobs && *o.TopLogprobs > 0 {
		return nil, badField("top_logprobs", "needs logprobs to be true")
	}
	if err := o.into(c, "messages"); err != nil {
		return nil, err
	}
	return c, c.limit("max_completion_tokens", o.MaxCompletionTokens) // the newer name of max_tokens
}

// message is the turn of an index, in the form that all shapes share.
func (o *openAIMessage) message(i int) (m Message, err error) {
	m = Message{Role: o.Role, Content: string(o.Content), Thinking: o.Reasoning, CallID: o.ToolCallID}
	if len(o.ToolCalls) == 0 && o.Role != "tool" && o.FunctionCall == nil {
		return m, nil // most are: no place to name
	}
	at := fmt.Sprintf("messages[%d]", i)
	switch {
	case isSet(o.FunctionCall):
		return m, badField(at+".function_call", "is not supported; send tool_calls")
	case len(o.ToolCalls) > 0 && o.Role != "assistant":
		return m, badField(at+".tool_calls", "only turns of role assistant have calls")
	case o.Role == "tool" && (o.ToolCallID == "" || len(o.ToolCallID) > maxCallID):
		return m, badField(at+".tool_call_id", "a turn of role tool must say which call it answers, in 1 to %d bytes", maxCallID)
	}
	m.Calls, err = o.ToolCalls.calls(at)
	return m, err
}

// effort is whether a model is to think, by how much OpenAI's APIs say it should;
// models here think or do not.
func effort(name, said string) (*bool, error) {
	switch said {
	case "":
		return nil, nil
	case "none", "minimal":
		return new(bool), nil
	case "low", "medium", "high", "xhigh":
		think := true
		return &think, nil
	}
	return nil, badField(name, "%q is not supported; use none, low, medium or high", clip(said))
}

// into takes over the shared fields. What is gone on from is in the field of
// that name.
func (o *openAIBody) into(c *Chat, messages string) error {
	err := refuseSet(unsupported{"logit_bias", isSet(o.LogitBias)}, unsupported{"n", o.N != nil && *o.N != 1})
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
	if err := o.shift(c); err != nil {
		return err
	}
	return c.finish(o.Model, words{messages: messages, stop: "stop", stops: 4})
}

func (o *openAIChat) format(id string, arrived time.Time) format {
	return &openAIFormat{id: "chatcmpl-" + id, model: o.Model, created: arrived.Unix(), usage: o.StreamOptions.IncludeUsage, logprobs: o.Logprobs}
}
