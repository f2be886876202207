package chat

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// state of reading a call.
type state int

const (
	fine state = iota
	more       // it may become one yet
	none       // it is none, whatever comes
)

// cursor reads one call from its marker on. What it says of a text it says of all
// texts that begin so, unless it wants more. After anything but fine it stays
// where it is.
type cursor struct {
	p     *Parser
	s     string
	i     int
	last  bool // nothing follows s
	state state
	calls []Call
	then  func() // what changes with it
}

func (c *cursor) rest() string { return c.s[c.i:] }

// lack is the state when something is not there that could come yet.
func (c *cursor) lack() {
	if c.state = more; c.last {
		c.state = none
	}
}

// lit wants x.
func (c *cursor) lit(x string) {
	if c.state != fine || c.opt(x) || c.state != fine {
		return
	}
	c.state = none
}

// opt takes x if it is there.
func (c *cursor) opt(x string) bool {
	switch {
	case c.state != fine:
		return false
	case strings.HasPrefix(c.rest(), x):
		c.i += len(x)
		return true
	case !c.last && strings.HasPrefix(x, c.rest()):
		c.state = more
	}
	return false
}

// gap passes over blanks.
func (c *cursor) gap() {
	if c.state == fine {
		c.i = len(c.s) - len(strings.TrimLeft(c.rest(), blanks))
	}
}

// next is the byte that follows.
func (c *cursor) next() byte {
	if c.state != fine {
		return 0
	}
	if c.rest() == "" {
		c.lack()
		return 0
	}
	return c.s[c.i]
}

// until reads what stands before x, and x.
func (c *cursor) until(x string) string {
	if c.state != fine {
		return ""
	}
	v, _, found := strings.Cut(c.rest(), x)
	if !found {
		c.lack()
		return ""
	}
	c.i += len(v) + len(x)
	return v
}

// head reads what stands before x, which must come soon.
func (c *cursor) head(x string) string {
	if c.state != fine {
		return ""
	}
	n := strings.Index(c.rest(), x)
	switch {
	case n > maxHead || n < 0 && len(c.rest()) > maxHead+len(x):
		c.state = none
	case n < 0:
		c.lack()
	default:
		c.i += n
		return c.s[c.i-n : c.i]
	}
	return ""
}

// name reads letters as in the names of functions.
func (c *cursor) name() string {
	if c.state != fine {
		return ""
	}
	n := strings.IndexFunc(c.rest(), func(r rune) bool {
		return r != '_' && r != '-' && r != '.' && !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	})
	if n < 0 {
		c.lack()
		return ""
	}
	c.i += n
	return c.s[c.i-n : c.i]
}

// json reads an object or a list.
func (c *cursor) json() json.RawMessage {
	c.gap()
	if b := c.next(); c.state == fine && b != '{' && b != '[' {
		c.state = none
	}
	if c.state != fine {
		return nil
	}
	depth, quoted := 0, false
	for i := c.i; i < len(c.s); i++ {
		switch b := c.s[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			depth++
		case b == '}' || b == ']':
			if depth--; depth > 0 {
				continue
			}
			v := json.RawMessage(c.s[c.i : i+1])
			if c.i = i + 1; !json.Valid(v) {
				c.state = none
			}
			return v
		}
	}
	c.lack()
	return nil
}

// call notes a call with arguments, which may be an object or its text.
func (c *cursor) call(name string, args json.RawMessage) {
	if c.state != fine {
		return
	}
	var text string
	if json.Unmarshal(args, &text) == nil && text != "" {
		args = json.RawMessage(text)
	}
	args, ok := object(args)
	if _, known := c.p.funcs[name]; !known || !ok {
		c.state = none
		return
	}
	c.calls = append(c.calls, Call{Name: name, Arguments: slices.Clone(args)})
}

// objects notes the calls that stand in an object, or in a list of them.
func (c *cursor) objects(b json.RawMessage) {
	if c.state != fine {
		return
	}
	list := []json.RawMessage{b}
	if b[0] == '[' && json.Unmarshal(b, &list) != nil || len(list) == 0 {
		c.state = none
	}
	for _, b := range list {
		c.object(b)
	}
}

func (c *cursor) object(b json.RawMessage) {
	type form struct {
		Name       string          `json:"name"`
		ToolName   string          `json:"tool_name"`
		Function   json.RawMessage `json:"function"`
		Arguments  json.RawMessage `json:"arguments"`
		Parameters json.RawMessage `json:"parameters"`
	}
	var f form
	if c.state == fine && json.Unmarshal(b, &f) != nil {
		c.state = none
	}
	if c.state != fine {
		return
	}
	if f.Function != nil && json.Unmarshal(f.Function, &f.Name) != nil && json.Unmarshal(f.Function, &f) != nil {
		c.state = none
		return
	}
	if f.Name == "" {
		f.Name = f.ToolName
	}
	if f.Arguments == nil {
		f.Arguments = f.Parameters
	}
	c.call(f.Name, f.Arguments)
}

// pairs are arguments that were not written as JSON.
type pairs struct {
	b     bytes.Buffer
	names []string
}

// set adds an argument. It is a string unless the tool wants something else and
// it is that.
func (a *pairs) set(f function, name, value string) bool {
	if slices.Contains(a.names, name) {
		return false
	}
	if a.names = append(a.names, name); len(a.names) > 1 {
		a.b.WriteByte(',')
	}
	a.b.Write(quoted(name))
	a.b.WriteByte(':')
	a.b.Write(typed(f, name, value))
	return true
}

func (a *pairs) object() json.RawMessage { return json.RawMessage("{" + a.b.String() + "}") }

func quoted(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always has a form
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func typed(f function, name, value string) json.RawMessage {
	var schema struct {
		Properties map[string]struct {
			Type json.RawMessage `json:"type"`
		} `json:"properties"`
	}
	var one string
	var types []string
	if json.Unmarshal(f.Parameters, &schema) == nil {
		t := schema.Properties[name].Type
		if json.Unmarshal(t, &one) == nil {
			types = []string{one}
		} else if json.Unmarshal(t, &types) != nil {
			types = nil
		}
	}
	v := strings.Trim(value, blanks)
	if v == "True" || v == "False" {
		v = strings.ToLower(v)
	}
	if json.Valid([]byte(v)) && !slices.Contains(types, "string") && slices.ContainsFunc(types, func(t string) bool { return is(t, v) }) {
		return json.RawMessage(v)
	}
	return quoted(value)
}

// is tells whether the JSON value v is of a schema's type.
func is(t, v string) bool {
	switch t {
	case "object":
		return v[0] == '{'
	case "array":
		return v[0] == '['
	case "boolean":
		return v == "true" || v == "false"
	case "null":
		return v == "null"
	case "integer":
		return !strings.ContainsAny(v, ".eE") && is("number", v)
	case "number":
		return v[0] == '-' || '0' <= v[0] && v[0] <= '9'
	}
	return false
}
