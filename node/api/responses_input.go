package api

import (
	"encoding/json"
	"fmt"
)

// responseInput reads the input: a text of the user, or a list of items.
type responseInput []Message

// responseItem is a message, a call, its result, or what the model thought.
type responseItem struct {
	Type      string       `json:"type"`
	Role      string       `json:"role"`
	Content   responseText `json:"content"`
	CallID    string       `json:"call_id"`
	Name      string       `json:"name"`
	Arguments string       `json:"arguments"`
	Output    responseText `json:"output"`
}

// responseText is text, or parts of text; thoughts beside them too, since they are
// parts of an item of their own.
type responseText string

func (t *responseText) UnmarshalJSON(b []byte) error {
	s, err := textOf(b, "input", responseParts)
	*t = responseText(s)
	return err
}

func (in *responseInput) UnmarshalJSON(b []byte) error {
	*in = nil // a field that comes twice counts once
	var text string
	if json.Unmarshal(b, &text) == nil { // null is "", which is refused later
		if text != "" {
			*in = responseInput{{Role: "user", Content: text}}
		}
		return nil
	}
	var items []responseItem
	if err := json.Unmarshal(b, &items); err != nil {
		if e, ok := err.(*Error); ok {
			return e
		}
		return badField("input", "must be text or a list of items")
	}
	thought := "" // for the turn that comes next
	for i := range items {
		var err error
		if thought, err = in.add(i, &items[i], thought); err != nil {
			return err
		}
	}
	return nil
}

// add takes in an item. A turn of an assistant is one message here, whose thoughts
// and calls are items of their own there.
func (in *responseInput) add(i int, item *responseItem, thought string) (next string, err error) {
	at := fmt.Sprintf("input[%d]", i)
	switch item.Type {
	case "", "message":
		if item.Role == "tool" {
			return "", badField("input", "role %q is not supported; send an item of type function_call_output", item.Role)
		}
		m := Message{Role: item.Role, Content: string(item.Content)}
		if item.Role == "assistant" {
			m.Thinking = thought
		}
		*in = append(*in, m)
	case "reasoning":
		return thought + string(item.Content), nil
	case "function_call":
		call := Call{ID: item.CallID, Name: item.Name}
		if call.Arguments, err = argumentsOf(at+".arguments", item.Arguments); err != nil {
			return "", err
		}
		n := len(*in)
		if n == 0 || (*in)[n-1].Role != "assistant" || thought != "" {
			*in = append(*in, Message{Role: "assistant", Thinking: thought})
			n++
		}
		turn := &(*in)[n-1]
		turn.Calls, err = addCall(turn.Calls, at, call)
		return "", err
	case "function_call_output":
		if item.CallID == "" || len(item.CallID) > maxCallID {
			return "", badField(at+".call_id", "an output must say which call it is of, in 1 to %d bytes", maxCallID)
		}
		*in = append(*in, Message{Role: "tool", CallID: item.CallID, Content: string(item.Output)})
	default:
		return "", badField("input", "an item of type %q is not supported; send messages, function_call or function_call_output", clip(item.Type))
	}
	return "", nil
}
