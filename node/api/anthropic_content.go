package api

import (
	"encoding/json"
	"fmt"
	"strings"
)

type anthropicMessage struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"` // text, or blocks
}

type anthropicSystem string

func (t *anthropicSystem) UnmarshalJSON(b []byte) error {
	s, err := textOf(b, "system", anthropicParts)
	*t = anthropicSystem(s)
	return err
}

// anthropicBlock is a part of a turn: text, a thought, a call or its result.
type anthropicBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Thinking  string          `json:"thinking"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	Content   json.RawMessage `json:"content"` // text, or blocks of text
	IsError   bool            `json:"is_error"`
}

// blocksOf reads a turn's content; nil blocks where it is plain text.
func blocksOf(i int, b json.RawMessage) (text string, blocks []anthropicBlock, err error) {
	if len(b) == 0 || b[0] == '"' || b[0] == 'n' { // or null
		text, err = textOf(b, "messages", anthropicParts)
		return text, nil, err
	}
	if json.Unmarshal(b, &blocks) != nil {
		return "", nil, badField(fmt.Sprintf("messages[%d].content", i), "must be a string or a list of blocks")
	}
	return "", blocks, nil
}

func badBlock(at string, block *anthropicBlock, instead string) error {
	return badField(at, "type %q is not supported here; send %s", clip(block.Type), instead)
}

// addUser adds a user's turn. Results of tools in it become turns of their own,
// in their place.
func (c *Chat) addUser(i int, content json.RawMessage) error {
	whole, blocks, err := blocksOf(i, content)
	if err != nil || blocks == nil {
		c.Messages = append(c.Messages, Message{Role: "user", Content: whole})
		return err
	}
	var text strings.Builder
	said := false
	flush := func() {
		if said {
			c.Messages = append(c.Messages, Message{Role: "user", Content: text.String()})
		}
		text.Reset()
		said = false
	}
	for k := range blocks {
		at := fmt.Sprintf("messages[%d].content[%d]", i, k)
		switch b := &blocks[k]; b.Type {
		case "text":
			text.WriteString(b.Text)
			said = true
		case "tool_result":
			flush()
			m, err := b.result(at)
			if err != nil {
				return err
			}
			c.Messages = append(c.Messages, m)
		default:
			return badBlock(at, b, "text or tool_result")
		}
	}
	if len(blocks) == 0 {
		said = true
	}
	flush()
	return nil
}

// result is the turn of a tool. That it failed, templates have no other place for
// than the text.
func (b *anthropicBlock) result(at string) (m Message, err error) {
	if b.ToolUseID == "" || len(b.ToolUseID) > maxCallID {
		return m, badField(at+".tool_use_id", "a tool_result must say which call it answers, in 1 to %d bytes", maxCallID)
	}
	m = Message{Role: "tool", CallID: b.ToolUseID}
	if len(b.Content) > 0 {
		m.Content, err = textOf(b.Content, at+".content", anthropicParts)
	}
	if b.IsError {
		m.Content = "Error: " + m.Content
	}
	return m, err
}

// addAssistant adds an assistant's turn, with what it thought and called.
func (c *Chat) addAssistant(i int, content json.RawMessage) error {
	whole, blocks, err := blocksOf(i, content)
	m := Message{Role: "assistant", Content: whole}
	if err != nil {
		return err
	}
	var text, thought strings.Builder
	for k := range blocks {
		at := fmt.Sprintf("messages[%d].content[%d]", i, k)
		switch b := &blocks[k]; b.Type {
		case "text":
			text.WriteString(b.Text)
		case "thinking":
			thought.WriteString(b.Thinking)
		case "redacted_thinking": // nobody here can read it
		case "tool_use":
			call := Call{ID: b.ID, Name: b.Name}
			if call.Arguments, err = argumentsIn(at+".input", b.Input); err != nil {
				return err
			}
			if m.Calls, err = addCall(m.Calls, at, call); err != nil {
				return err
			}
		default:
			return badBlock(at, b, "text, thinking or tool_use")
		}
	}
	if blocks != nil {
		m.Content, m.Thinking = text.String(), thought.String()
	}
	c.Messages = append(c.Messages, m)
	return nil
}

// anthropicTool is a tool of the client's own; those that Anthropic runs have
// types.
type anthropicTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"input_schema"`
	Strict      bool            `json:"strict"`
}

type anthropicChoice struct {
	Type string `json:"type"`
	Name string `json:"name"`
	One  bool   `json:"disable_parallel_tool_use"`
}

// offer takes over the tools and what is said of calls.
func (o *anthropicBody) offer(c *Chat) error {
	box := toolbox{chat: c}
	for i := range o.Tools {
		t, at := &o.Tools[i], fmt.Sprintf("tools[%d]", i)
		if t.Type != "" && t.Type != "custom" {
			return badField(at+".type", "%q is not supported; this node runs no tools, send your own with an input_schema", clip(t.Type))
		}
		f := function{Name: t.Name, Description: t.Description, Parameters: t.Schema, Strict: t.Strict}
		if len(t.Schema) == 0 || t.Schema[0] == 'n' { // or null
			return badField(at+".input_schema", "is missing; send a JSON schema, as an object")
		}
		if err := box.add(at, "input_schema", &f); err != nil {
			return err
		}
	}
	choice := ""
	switch o.ToolChoice.Type {
	case "", "auto":
	case "any":
		choice = "required"
	case "none":
		choice = "none"
	case "tool":
		choice = "=" + o.ToolChoice.Name
	default:
		return badField("tool_choice.type", "%q is not supported; use auto, any, tool or none", clip(o.ToolChoice.Type))
	}
	return c.choose(choice, o.ToolChoice.One)
}
