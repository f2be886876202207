package api

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// function is a tool that a client offers, as OpenAI describes it.
type function struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"` // a JSON schema
	Strict      bool            `json:"strict"`
}

// openAITools are the tools of chat completions and of Ollama.
type openAITools []struct {
	Type     string   `json:"type"`
	Function function `json:"function"`
}

// into offers the tools to the model.
func (t openAITools) into(c *Chat) error {
	box := toolbox{chat: c}
	for i := range t {
		if kind := t[i].Type; kind != "function" && kind != "" {
			return badField(fmt.Sprintf("tools[%d].type", i), "%q is not supported; send tools of type function", clip(kind))
		}
		if err := box.add(fmt.Sprintf("tools[%d].function", i), "parameters", &t[i].Function); err != nil {
			return err
		}
	}
	return nil
}

// toolName is wider than OpenAI's: names of tools that come from elsewhere have
// dots and slashes.
var toolName = regexp.MustCompile(`^[\w.:/-]{1,128}$`)

// toolbox collects the tools of a request within all bounds.
type toolbox struct {
	chat *Chat
	size int
}

// add checks a tool that is at some place of the body; the schema is what the API
// calls its parameters.
func (t *toolbox) add(at, schema string, f *function) error {
	switch {
	case !toolName.MatchString(f.Name):
		return badField(at+".name", "must be 1 to 128 letters, digits and _-.:/, not %q", clip(f.Name))
	case !isObject(f.Parameters):
		return badField(at+"."+schema, "must be a JSON schema, as an object")
	case len(t.chat.Tools) == maxTools:
		return badField("tools", "may have at most %d entries", maxTools)
	}
	b := appendString([]byte(`{"type":"function","function":{"name":`), f.Name)
	if f.Description != "" {
		b = appendString(append(b, `,"description":`...), f.Description)
	}
	b = append(b, `,"parameters":`...)
	if isSet(f.Parameters) {
		b = append(b, f.Parameters...)
	} else { // templates look into it
		b = append(b, `{"type":"object","properties":{}}`...)
	}
	if f.Strict {
		b = append(b, `,"strict":true`...)
	}
	b = append(b, "}}"...)
	if t.size += len(b); t.size > maxToolBytes {
		return badField("tools", "are more than %d bytes together; send fewer", maxToolBytes)
	}
	t.chat.Tools = append(t.chat.Tools, b)
	return nil
}

// toolChoice is what OpenAI's APIs say of calls, as Chat has it.
type toolChoice string

func (t *toolChoice) UnmarshalJSON(b []byte) error {
	var word string
	var one struct {
		Type     string
		Name     string // of responses
		Function struct{ Name string }
	}
	switch {
	case json.Unmarshal(b, &word) == nil:
		switch word {
		case "", "auto":
			*t = ""
			return nil
		case "none", "required":
			*t = toolChoice(word)
			return nil
		}
	case json.Unmarshal(b, &one) == nil && one.Type == "function":
		*t = toolChoice("=" + cmp.Or(one.Function.Name, one.Name))
		return nil
	}
	return badField("tool_choice", "must be auto, none, required or a function's name, as {\"type\":\"function\",…}")
}

// choose takes over the choice, once the tools are known.
func (c *Chat) choose(choice string, oneCall bool) error {
	name, named := strings.CutPrefix(choice, "=")
	switch {
	case named && !c.offers(name):
		return badField("tool_choice", "there is no tool %q among tools", clip(name))
	case choice == "required" && len(c.Tools) == 0:
		return badField("tool_choice", "asks for a call, and there are no tools")
	case len(c.Tools) > 0:
		c.Choice, c.OneCall = choice, oneCall
	}
	return nil
}

func (c *Chat) offers(name string) bool {
	head := append(appendString([]byte(`{"type":"function","function":{"name":`), name), ',')
	return slices.ContainsFunc(c.Tools, func(t json.RawMessage) bool { return bytes.HasPrefix(t, head) })
}

// openAICalls are the calls of an assistant's turn in chat completions.
type openAICalls []struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// calls checks the calls of the turn that is at some place of the body.
func (t openAICalls) calls(at string) (calls []Call, err error) {
	for i, c := range t {
		at := fmt.Sprintf("%s.tool_calls[%d]", at, i)
		if c.Type != "function" && c.Type != "" {
			return nil, badField(at+".type", "%q is not supported; only functions can be called", clip(c.Type))
		}
		call := Call{ID: c.ID, Name: c.Function.Name}
		if call.Arguments, err = argumentsOf(at+".function.arguments", c.Function.Arguments); err != nil {
			return nil, err
		}
		if calls, err = addCall(calls, at+".function", call); err != nil {
			return nil, err
		}
	}
	return calls, nil
}

// addCall adds a call of a turn within the bounds.
func addCall(calls []Call, at string, c Call) ([]Call, error) {
	switch {
	case !toolName.MatchString(c.Name):
		return nil, badField(at+".name", "must be 1 to 128 letters, digits and _-.:/, not %q", clip(c.Name))
	case len(c.ID) > maxCallID:
		return nil, badField(at, "its id is longer than %d bytes", maxCallID)
	case len(calls) == maxCalls:
		return nil, badField(at, "a turn may have at most %d calls", maxCalls)
	}
	return append(calls, c), nil
}

// argumentsOf reads arguments that are JSON in a string.
func argumentsOf(at, text string) (json.RawMessage, error) {
	b := bytes.TrimSpace([]byte(text))
	switch {
	case len(b) == 0:
		return json.RawMessage("{}"), nil
	case b[0] != '{' || depth(b) > maxDepth || !json.Valid(b):
		return nil, badField(at, "must be a JSON object, in a string")
	}
	return b, nil
}

// argumentsIn checks arguments that are an object of the body itself.
func argumentsIn(at string, b json.RawMessage) (json.RawMessage, error) {
	switch {
	case !isObject(b):
		return nil, badField(at, "must be a JSON object")
	case !isSet(b):
		return json.RawMessage("{}"), nil
	}
	return b, nil
}

// nameResults tells the turns of tools which tool they are of, where the API says
// only which call they answer.
func (c *Chat) nameResults() {
	var names map[string]string
	for i := range c.Messages {
		m := &c.Messages[i]
		for _, call := range m.Calls {
			if names == nil {
				names = map[string]string{}
			}
			names[call.ID] = call.Name
		}
		if m.Role == "tool" && m.Name == "" {
			m.Name = names[m.CallID]
		}
	}
}

// fillCalls makes a result's calls fit for clients: each with an id, and arguments
// on one line.
func (r *Result) fillCalls() error {
	for i := range r.Calls {
		c := &r.Calls[i]
		if c.ID == "" {
			c.ID = "call_" + rand.Text()
		}
		var line bytes.Buffer
		if err := json.Compact(&line, c.Arguments); len(c.Arguments) > 0 && err != nil {
			return &Error{Status: http.StatusBadGateway, Code: "bad_answer", Message: "the model called a tool with arguments that are not JSON; ask again"}
		}
		if c.Arguments = line.Bytes(); line.Len() == 0 {
			c.Arguments = json.RawMessage("{}")
		}
	}
	return nil
}

// called tells that an answer ended to have tools called.
func (r *Result) called() bool { return len(r.Calls) > 0 && r.Finish == "stop" }
