package chat

import (
	"regexp"
	"slices"
	"strings"
)

// marker is a text at which a thought or a call begins or ends.
type marker struct {
	text string
	when func(p *Parser, blank bool) bool // blank: only blanks stand before it
	form func(c *cursor)
}

// When markers count. Calls do only where there are tools, outside of thoughts.
func calling(p *Parser, _ bool) bool      { return !p.thought && len(p.funcs) > 0 }
func bare(p *Parser, blank bool) bool     { return blank && p.bare && calling(p, blank) }
func starting(p *Parser, blank bool) bool { return blank && p.fresh }

// markers by their first byte. None begins with another.
var markers [256][]marker

func init() {
	for _, m := range []marker{
		{"<tool_call>", calling, tagged},
		{"<function=", calling, func(c *cursor) { xml(c); c.gap(); c.opt("</tool_call>") }},
		{"<|python_tag|>", calling, listed("<|python_tag|>", "")},
		{"{", bare, object1},
		{"[TOOL_CALLS]", calling, mistral},
		{"<｜tool▁calls▁begin｜>", calling, deepseek},
		{"<|tool_call|>", calling, listed("<|tool_call|>", "<|/tool_call|>")},
		{"functools[", calling, listed("functools", "")},
		{"<|START_ACTION|>", calling, listed("<|START_ACTION|>", "<|END_ACTION|>")},

		thoughts("<think>", "</think>"), ends("</think>"),
		thoughts("[THINK]", "[/THINK]"), ends("[/THINK]"),
		thoughts("<|START_THINKING|>", "<|END_THINKING|>"), ends("<|END_THINKING|>"),

		{"<|channel|>", func(p *Parser, _ bool) bool { return !p.thought }, harmony},
		{"<|start|>assistant", func(p *Parser, _ bool) bool { return !p.thought }, harmony},
		{"<|end|>", func(p *Parser, _ bool) bool { return p.turns }, func(c *cursor) {
			c.lit("<|end|>")
			c.then = c.p.answer
		}},
	} {
		markers[m.text[0]] = append(markers[m.text[0]], m)
	}
}

func thoughts(begin, end string) marker {
	return marker{begin, starting, func(c *cursor) {
		c.lit(begin)
		c.then = func() { c.p.think(end) }
	}}
}

func ends(end string) marker {
	return marker{end, func(p *Parser, _ bool) bool { return p.thought && p.end == end }, func(c *cursor) {
		c.lit(end)
		c.then = c.p.answer
	}}
}

// listed is an object or a list of them between begin and end, which may be left
// out: Llama 3, Granite, Phi-4, Command R.
func listed(begin, end string) func(c *cursor) {
	return func(c *cursor) {
		c.lit(begin)
		c.objects(c.json())
		if end != "" {
			c.gap()
			c.opt(end)
		}
	}
}

// object1 is an object with nothing around it, as Llama 3 writes. It must begin
// like a call, so that other JSON need not wait for its end.
func object1(c *cursor) {
	c.lit("{")
	c.gap()
	c.lit(`"`)
	if c.state != fine {
		return
	}
	known := slices.ContainsFunc([]string{`name"`, `type"`, `function"`, `parameters"`, `arguments"`, `id"`}, func(s string) bool {
		return strings.HasPrefix(c.rest(), s) || !c.last && strings.HasPrefix(s, c.rest())
	})
	if !known {
		c.state = none
		return
	}
	c.i = 0
	b := c.json()
	if c.state == fine && !strings.Contains(string(b), `"parameters"`) && !strings.Contains(string(b), `"arguments"`) {
		c.state = none
	}
	c.objects(b)
}

// tagged is what stands after <tool_call>: an object (Hermes, Qwen), XML
// (Qwen3-Coder), or a name and pairs (GLM).
func tagged(c *cursor) {
	c.lit("<tool_call>")
	c.gap()
	switch c.next() {
	case 0:
		return
	case '{', '[':
		c.objects(c.json())
	case '<':
		xml(c)
	default:
		glm(c)
		return
	}
	c.gap()
	c.opt("</tool_call>")
}

// xml is <function=NAME><parameter=NAME>VALUE</parameter>…</function>, or with an
// object in place of the parameters.
func xml(c *cursor) {
	c.lit("<function=")
	name := c.head(">")
	c.lit(">")
	c.gap()
	if c.next() == '{' {
		args := c.json()
		c.gap()
		c.lit("</function>")
		c.call(name, args)
		return
	}
	var args pairs
	for c.state == fine {
		c.gap()
		if c.opt("</function>") {
			c.call(name, args.object())
			return
		}
		c.lit("<parameter=")
		key := c.head(">")
		c.lit(">")
		value := strings.TrimSuffix(strings.TrimPrefix(c.until("</parameter>"), "\n"), "\n")
		if c.state == fine && !args.set(c.p.funcs[name], key, value) {
			c.state = none
		}
	}
}

// glm is NAME<arg_key>NAME</arg_key><arg_value>VALUE</arg_value>…</tool_call>.
func glm(c *cursor) {
	name := strings.Trim(c.head("<"), blanks)
	var args pairs
	for c.state == fine {
		c.gap()
		if c.opt("</tool_call>") {
			c.call(name, args.object())
			return
		}
		c.lit("<arg_key>")
		key := c.until("</arg_key>")
		c.gap()
		c.lit("<arg_value>")
		value := c.until("</arg_value>")
		if c.state == fine && !args.set(c.p.funcs[name], key, value) {
			c.state = none
		}
	}
}

// mistral is a list of objects, or NAME[ARGS]{…}, with [CALL_ID]ID between in
// some models.
func mistral(c *cursor) {
	c.lit("[TOOL_CALLS]")
	c.gap()
	if c.next() == '[' {
		c.objects(c.json())
		return
	}
	name := c.name()
	if c.opt("[CALL_ID]") {
		c.name()
	}
	c.opt("[ARGS]")
	args := c.json()
	c.call(name, args)
}

// deepseek is a list of calls, each function<｜tool▁sep｜>NAME and an object in
// code marks, or since V3.1 NAME<｜tool▁sep｜> and an object.
func deepseek(c *cursor) {
	c.lit("<｜tool▁calls▁begin｜>")
	for c.state == fine {
		c.gap()
		if len(c.calls) > 0 && (c.opt("<｜tool▁calls▁end｜>") || c.last && c.rest() == "") {
			return
		}
		c.lit("<｜tool▁call▁begin｜>")
		name := c.head("<｜tool▁sep｜>")
		c.lit("<｜tool▁sep｜>")
		if name == "function" {
			name = strings.Trim(c.head("\n"), blanks)
		}
		c.gap()
		c.opt("```json")
		args := c.json()
		c.gap()
		c.opt("```")
		c.gap()
		c.lit("<｜tool▁call▁end｜>")
		c.call(name, args)
	}
}

var header = regexp.MustCompile(`^(?:<\|start\|>assistant)?(?: to=functions\.(\S+?))?<\|channel\|>(analysis|commentary|final)(?: to=functions\.(\S+?))?(?: ?<\|constrain\|>\w+| json)?$`)

// harmony is the header of a message of gpt-oss, which tells what the message is,
// and a call's arguments.
func harmony(c *cursor) {
	h := header.FindStringSubmatch(c.head("<|message|>"))
	c.lit("<|message|>")
	if c.state != fine {
		return
	}
	if h == nil {
		c.state = none
		return
	}
	name := h[1] + h[3]
	switch {
	case name != "" && len(c.p.funcs) > 0:
		c.call(name, c.json())
		c.opt("<|call|>")
	case name != "":
		c.state = none
	case h[2] == "analysis":
		c.then = func() { c.p.turns = true; c.p.think("<|end|>") }
	default:
		c.then = func() { c.p.turns = true; c.p.answer() }
	}
}
