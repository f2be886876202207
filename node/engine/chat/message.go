package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Message is one turn of a conversation.
type Message struct {
	Role     string // "system", "developer", "user", "assistant", "tool"
	Content  string
	Thinking string // an assistant's thoughts
	Calls    []Call // an assistant's calls
	CallID   string // of the call that a tool answers
	Name     string // of the tool that answers
}

// Call is a model's wish to have a tool run.
type Call struct {
	ID        string
	Name      string
	Arguments json.RawMessage // an object
}

// Tool is a tool as OpenAI's API writes it: {"type":"function","function":{…}}.
type Tool struct{ json.RawMessage }

// Options are what a rendering depends on beside the messages.
type Options struct {
	AddGenerationPrompt bool           // end where the model's answer begins
	Thinking            *bool          // nil leaves it to the template
	Now                 time.Time      // for templates that write the date
	Extra               map[string]any // further variables of the template; JSON values
}

// function is what matters of a tool.
type function struct {
	Name       string          `json:"name"`
	Parameters json.RawMessage `json:"parameters"`
	Strict     bool            `json:"strict"`
}

func (t Tool) function() (function, error) {
	var f struct {
		Type     string    `json:"type"`
		Function *function `json:"function"`
	}
	switch err := json.Unmarshal(t.RawMessage, &f); {
	case err != nil:
		return function{}, fmt.Errorf("tool is no JSON object: %w", err)
	case f.Type != "function" || f.Function == nil || f.Function.Name == "":
		return function{}, errors.New(`tool is no function; write {"type":"function","function":{"name":…}}`)
	}
	return *f.Function, nil
}

func functions(tools []Tool) ([]function, error) {
	if len(tools) > maxTools {
		return nil, fmt.Errorf("there are %d tools, %d are possible; leave some out", len(tools), maxTools)
	}
	var out []function
	for i, t := range tools {
		f, err := t.function()
		if err != nil {
			return nil, fmt.Errorf("tools[%d]: %w", i, err)
		}
		out = append(out, f)
	}
	return out, nil
}

// object returns b if it is an object, {} if there is none.
func object(b json.RawMessage) (json.RawMessage, bool) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 || string(b) == "null" {
		return json.RawMessage("{}"), true
	}
	return b, b[0] == '{' && json.Valid(b)
}
