package chat

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/ardanlabs/jinja"
)

// What a model is told of tools whose template does not know any. It is the form
// that most models have seen.
const (
	toolsHead = "# Tools\n\nYou may call one or more functions to help with the request. Their signatures stand between <tools> and </tools>:\n<tools>\n"
	toolsTail = "</tools>\n\nTo call a function, answer with a JSON object with its name and arguments between <tool_call> and </tool_call>:\n" +
		"<tool_call>\n{\"name\": <function-name>, \"arguments\": <arguments-object>}\n</tool_call>"
)

// adapt says messages and tools in the words that the template has.
func (a *abilities) adapt(messages []Message, tools []Tool) (ms, ts []jinja.Value, err error) {
	if _, err := functions(tools); err != nil {
		return nil, nil, err
	}
	for i, t := range tools {
		v, err := valueOf(t.RawMessage)
		if err != nil {
			return nil, nil, fmt.Errorf("tools[%d]: %w", i, err)
		}
		ts = append(ts, v)
	}
	plain := make([]Message, 0, len(messages)+1)
	if len(tools) > 0 && !a.tools {
		text, err := described(ts)
		if err != nil {
			return nil, nil, err
		}
		plain, ts = append(plain, Message{Role: "system", Content: text}), nil
	}
	for i, m := range messages {
		for j, c := range m.Calls {
			var ok bool
			if c.Arguments, ok = object(c.Arguments); !ok {
				return nil, nil, fmt.Errorf("messages[%d]: the arguments of call %d are no JSON object", i, j)
			}
			if j == 0 {
				m.Calls = append([]Call(nil), m.Calls...)
			}
			m.Calls[j].Arguments = c.Arguments
		}
		if m.Role == "developer" {
			m.Role = "system"
		}
		plain = append(plain, m)
	}
	if a.calls && !a.parallel {
		plain = single(plain)
	}
	plain = a.merge(a.inWords(plain))
	for i, m := range plain {
		v, err := a.value(m)
		if err != nil {
			return nil, nil, fmt.Errorf("messages[%d]: %w", i, err)
		}
		ms = append(ms, v)
	}
	return ms, ts, nil
}

func described(tools []jinja.Value) (string, error) {
	var b strings.Builder
	b.WriteString(toolsHead)
	for _, t := range tools {
		v, err := toJSON([]jinja.Value{t}, nil)
		if err != nil {
			return "", err
		}
		b.WriteString(v.AsString() + "\n")
	}
	return b.String() + toolsTail, nil
}

// single puts calls that were made at once one after another, each with its
// answer.
func single(messages []Message) []Message {
	var out []Message
	for i := 0; i < len(messages); i++ {
		m := messages[i]
		if len(m.Calls) < 2 {
			out = append(out, m)
			continue
		}
		var answers []Message
		for ; i+1 < len(messages) && messages[i+1].Role == "tool"; i++ {
			answers = append(answers, messages[i+1])
		}
		for j, c := range m.Calls {
			one := Message{Role: m.Role, Calls: []Call{c}}
			if j == 0 {
				one.Content, one.Thinking = m.Content, m.Thinking
			}
			out = append(out, one)
			for k, r := range answers {
				if r.CallID == c.ID {
					out = append(out, r)
					answers = append(answers[:k:k], answers[k+1:]...)
					break
				}
			}
		}
		out = append(out, answers...)
	}
	return out
}

// inWords writes calls and answers as text where the template has no place for
// them.
func (a *abilities) inWords(messages []Message) []Message {
	for i, m := range messages {
		if len(m.Calls) > 0 && !a.calls {
			var parts []string
			if m.Content != "" {
				parts = append(parts, m.Content)
			}
			for _, c := range m.Calls {
				name, _ := json.Marshal(c.Name) // a string always has a form
				parts = append(parts, "<tool_call>\n{\"name\": "+string(name)+", \"arguments\": "+string(c.Arguments)+"}\n</tool_call>")
			}
			messages[i].Content, messages[i].Calls = strings.Join(parts, "\n"), nil
		}
		if m.Role == "tool" && !a.answers {
			messages[i] = Message{Role: "user", Content: "<tool_response>\n" + m.Content + "\n</tool_response>"}
		}
	}
	return messages
}

// merge joins messages where the template wants one: those of the system in a row,
// those of a side in a row where turns must alternate, and what the system says
// with what the user says next where there is no system.
func (a *abilities) merge(messages []Message) []Message {
	var out []Message
	system := "" // waits for the user
	for i, m := range messages {
		if m.Role == "system" && !a.system {
			if system += m.Content + "\n\n"; i+1 < len(messages) {
				continue
			}
			m = Message{Role: "user"}
		}
		if m.Role == "user" && system != "" {
			m.Content, system = system+m.Content, ""
		}
		if n := len(out); n > 0 && out[n-1].Role == m.Role && len(out[n-1].Calls)+len(m.Calls) == 0 &&
			(m.Role == "system" || (m.Role == "user" || m.Role == "assistant") && !a.same) {
			out[n-1].Content += "\n\n" + m.Content
			out[n-1].Thinking += m.Thinking
			continue
		}
		out = append(out, m)
	}
	return out
}

func (a *abilities) value(m Message) (jinja.Value, error) {
	v := message(a.parts, m.Role, m.Content)
	d := v.AsDict()
	if m.Role == "tool" {
		// Templates take a tool's answer as text, whatever they do with the user's.
		v = dict("role", "tool", "content", m.Content, "tool_call_id", a.id(m.CallID))
		if m.Name != "" {
			v.AsDict().Set("name", jinja.NewString(m.Name))
		}
		return v, nil
	}
	if m.Name != "" {
		d.Set("name", jinja.NewString(m.Name))
	}
	if m.Thinking != "" && a.thoughts != "" {
		d.Set(a.thoughts, jinja.NewString(m.Thinking))
	}
	if len(m.Calls) == 0 {
		return v, nil
	}
	if m.Content == "" && a.nullContent {
		d.Set("content", jinja.None())
	} else if m.Content == "" {
		d.Set("content", jinja.NewString(""))
	}
	calls := jinja.NewList(nil)
	for i, c := range m.Calls {
		args, err := valueOf(c.Arguments)
		if err != nil {
			return v, fmt.Errorf("call %d: %w", i, err)
		}
		if a.textArgs {
			args = jinja.NewString(string(c.Arguments))
		}
		calls.AsList().Append(dict("id", a.id(c.ID), "type", "function", "function", dict("name", c.Name, "arguments", args)))
	}
	d.Set("tool_calls", calls)
	return v, nil
}

// id is a call's ID as the template takes it. The same ID always becomes the
// same.
func (a *abilities) id(id string) string {
	if !a.shortIDs || len(id) == len(shortID) {
		return id
	}
	h := fnv.New64a()
	h.Write([]byte(id))
	s := strconv.FormatUint(h.Sum64(), 36)
	return strings.Repeat("0", max(0, len(shortID)-len(s))) + s[max(0, len(s)-len(shortID)):]
}
