package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"omx/node/engine/grammar"
)

// Choice is what a request wants of tools.
type Choice struct {
	Name      string // the tool that must be called; "" is any
	InThought bool   // the prompt has begun a thought, which may end first
}

// Grammar makes any model call a tool, in the form that most know. Arguments meet
// the tool's schema; if that cannot be written as a grammar and the tool is not
// strict, they are any object.
func Grammar(tools []Tool, choice Choice, parallel bool) (string, error) {
	funcs, err := functions(tools)
	if err != nil {
		return "", err
	}
	var b grammar.Builder
	var calls []string
	for _, f := range funcs {
		if choice.Name != "" && f.Name != choice.Name {
			continue
		}
		args, err := arguments(&b, f)
		if err != nil {
			return "", fmt.Errorf("tool %.60q: %w", f.Name, err)
		}
		calls = append(calls, grammar.Literal(`{"name": `+string(quoted(f.Name))+`, "arguments": `)+" "+args+` "}"`)
	}
	if len(calls) == 0 {
		if choice.Name != "" {
			return "", fmt.Errorf("tool %.60q is to be called, but is not there; add it to tools", choice.Name)
		}
		return "", errors.New("a tool is to be called, but there is none; add tools")
	}
	call := grammar.Literal("<tool_call>\n") + " (" + strings.Join(calls, " | ") + ") " + grammar.Literal("\n</tool_call>")
	if parallel {
		call += ` ("\n" ` + call + "){0,15}"
	}
	if choice.InThought {
		call = `([^<] | "<" [^/])* "</think>" "\n"{0,2} ` + call
	}
	return b.Grammar(call), nil
}

func arguments(b *grammar.Builder, f function) (string, error) {
	schema, ok := object(f.Parameters)
	if string(schema) == "{}" {
		return `"{" ws "}"`, nil
	}
	var of struct {
		Type       string          `json:"type"`
		Properties json.RawMessage `json:"properties"`
	}
	if !ok || json.Unmarshal(schema, &of) != nil || of.Type != "object" && of.Properties == nil {
		return "", errors.New("its parameters are no schema of an object; begin with \"type\":\"object\"")
	}
	args, err := b.Schema(schema)
	if err != nil && !f.Strict {
		return grammar.AnyObject, nil
	}
	return args, err
}
