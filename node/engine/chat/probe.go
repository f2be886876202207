package chat

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ardanlabs/jinja"
)

// abilities are what a template can express. They are found by trying: nothing
// in a template says it.
type abilities struct {
	system      bool   // messages of the system
	parts       bool   // wants content as a list of parts, not as text
	same        bool   // two messages of the user in a row
	tools       bool   // what tools there are
	calls       bool   // an assistant's calls
	textArgs    bool   // wants arguments as text, not as an object
	nullContent bool   // wants a message with calls to have no content
	shortIDs    bool   // wants IDs of nine letters and digits, as Mistral's models
	parallel    bool   // several calls in a message
	answers     bool   // a tool's answer
	thoughts    string // the field for an assistant's thoughts; "" if none is shown
}

// Words that no template has in itself.
const (
	needle    = "zqneedlezq"
	argument  = "zqargumentzq"
	otherNeed = "zqotherzq"
	shortID   = "zq1234567"
	longID    = "call_zq34567890123456789012"
)

// probe tries what t can do. An error means that it cannot even render a
// question.
func probe(t *Template) (abilities, error) {
	var a abilities
	var beyond error // a bound that was met: the rest is not tried
	try := func(tools []jinja.Value, messages ...jinja.Value) string {
		if beyond != nil {
			return ""
		}
		out, err := t.raw(messages, tools, Options{AddGenerationPrompt: true})
		if errors.Is(err, errSteps) || errors.Is(err, errDepth) || errors.Is(err, errOutput) {
			beyond = fmt.Errorf("%w: %w", errTemplate, err)
		}
		if err != nil {
			return ""
		}
		return out
	}
	ask := func(text string) jinja.Value { return message(a.parts, "user", text) }
	shows := func(out string) bool { return strings.Contains(out, needle) }

	if !shows(try(nil, ask(needle))) && beyond == nil {
		if a.parts = true; !shows(try(nil, ask(needle))) {
			_, err := t.raw([]jinja.Value{message(false, "user", needle)}, nil, Options{AddGenerationPrompt: true})
			if err == nil {
				err = errors.New("it does not show what the user says")
			}
			return a, fmt.Errorf("%w: %w", errTemplate, err)
		}
	}
	a.system = shows(try(nil, message(a.parts, "system", needle), ask("hi")))
	a.same = shows(try(nil, ask("hi"), ask(needle)))

	tool, err := valueOf([]byte(`{"type":"function","function":{"name":"` + needle + `","description":"d","parameters":` +
		`{"type":"object","properties":{"a":{"type":"string","description":"d"}},"required":["a"]}}}`))
	if err != nil {
		return a, err
	}
	tools := []jinja.Value{tool}
	a.tools = shows(try(tools, ask("hi"))) || a.system && shows(try(tools, message(a.parts, "system", "s"), ask("hi")))
	if !a.tools {
		tools = nil
	}

	said := func(content, args any, ids ...string) jinja.Value {
		calls := jinja.NewList(nil)
		for _, id := range ids {
			calls.AsList().Append(dict("id", id, "type", "function", "function", dict("name", needle, "arguments", args)))
		}
		return dict("role", "assistant", "content", content, "tool_calls", calls)
	}
	args := func(text bool) any {
		if text {
			return `{"` + argument + `": "v"}`
		}
		return dict(argument, "v")
	}
	// Answers follow, as some templates insist on it.
	answered := func(id string) jinja.Value {
		return dict("role", "tool", "name", needle, "tool_call_id", id, "content", "hi")
	}
	for i := 0; i < 8 && !a.calls; i++ {
		null, text, id := i&1 != 0, i&2 != 0, longID
		if i&4 != 0 {
			id = shortID
		}
		content := any("")
		if null {
			content = nil
		}
		if out := try(tools, ask("hi"), said(content, args(text), id), answered(id)); good(out, text) {
			a.calls, a.nullContent, a.textArgs, a.shortIDs = true, null, text, i&4 != 0
		} else if out := try(tools, ask("hi"), said(content, args(text), id)); good(out, text) {
			a.calls, a.nullContent, a.textArgs, a.shortIDs = true, null, text, i&4 != 0
		}
	}
	if a.calls {
		content, id := any(""), longID
		if a.nullContent {
			content = nil
		}
		if a.shortIDs {
			id = shortID
		}
		out := try(tools, ask("hi"), said(content, args(a.textArgs), id), dict("role", "tool", "name", needle, "tool_call_id", id, "content", otherNeed))
		a.answers = strings.Contains(out, otherNeed)
		second := id[:len(id)-1] + "9"
		out = try(tools, ask("hi"), said(content, args(a.textArgs), id, second), answered(id), answered(second))
		a.parallel = strings.Count(out, argument) == 2
	}
	// Thoughts of the last turn are shown at most, and by some only beside calls.
	for _, field := range []string{"reasoning_content", "thinking"} {
		m := message(a.parts, "assistant", "hi")
		m.AsDict().Set(field, jinja.NewString(needle))
		c := said("", args(a.textArgs), longID)
		c.AsDict().Set(field, jinja.NewString(needle+"t"))
		if a.thoughts == "" && (shows(try(nil, ask("hi"), m)) || a.calls && strings.Contains(try(tools, ask("hi"), c, answered(longID)), needle+"t")) {
			a.thoughts = field
		}
	}
	return a, beyond
}

// good tells whether arguments stand in out as a model should write them: not as
// Python would, and not as text within text.
func good(out string, text bool) bool {
	if strings.Contains(out, `"`+argument+`":`) {
		return true
	}
	return !text && strings.Contains(out, argument) && !strings.Contains(out, `'`+argument+`'`) && !strings.Contains(out, `\"`+argument)
}

func message(parts bool, role, text string) jinja.Value {
	if parts {
		return dict("role", role, "content", jinja.NewList([]jinja.Value{dict("type", "text", "text", text)}))
	}
	return dict("role", role, "content", text)
}
