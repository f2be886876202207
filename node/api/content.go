package api

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// textOf reads the content of a field: a string, a list of parts, or null. Parts
// of the types in text are joined, others refused.
func textOf(b []byte, field string, text []string) (string, error) {
	if string(b) == "null" {
		return "", nil
	}
	if plain, ok := plainString(b); ok {
		return plain, nil
	}
	var whole string
	if json.Unmarshal(b, &whole) == nil {
		return whole, nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(b, &parts) != nil {
		return "", badField(field, "content must be a string or a list of parts")
	}
	var joined strings.Builder
	for _, p := range parts {
		if !slices.Contains(text, p.Type) {
			return "", badField(field, "content of type %q is not supported; send %s", clip(p.Type), text[0])
		}
		joined.WriteString(p.Text)
	}
	return joined.String(), nil
}

// plainString is the text of a JSON string that has nothing to unescape, as most are.
func plainString(b []byte) (string, bool) {
	n := len(b)
	if n < 2 || b[0] != '"' || b[n-1] != '"' || bytes.IndexByte(b[1:n-1], '\\') >= 0 || !utf8.Valid(b) {
		return "", false
	}
	return string(b[1 : n-1]), true
}

var (
	chatParts      = []string{"text"}
	responseParts  = []string{"input_text", "output_text", "text", "reasoning_text"}
	anthropicParts = []string{"text"}
)

// textContent is the content of a message of chat completions.
type textContent string

func (t *textContent) UnmarshalJSON(b []byte) error {
	s, err := textOf(b, "messages", chatParts)
	*t = textContent(s)
	return err
}

// stops reads a stop field: a string, a list of strings, or null.
type stops []string

func (s *stops) UnmarshalJSON(b []byte) error {
	var one string
	if string(b) == "null" {
		return nil
	}
	if json.Unmarshal(b, &one) == nil {
		*s = stops{one}
		return nil
	}
	var list []string
	if json.Unmarshal(b, &list) != nil {
		return badField("stop", "must be a string or a list of strings")
	}
	*s = list
	return nil
}

// schemaFormat is what OpenAI says of an answer's form: response_format of chat
// completions and, without the box around the schema, text.format of responses.
type schemaFormat struct {
	Type       string `json:"type"`
	JSONSchema struct {
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
	Schema json.RawMessage `json:"schema"`
}

// anyJSON is the Format for an answer that must be JSON, of whatever form.
var anyJSON = json.RawMessage(`"json"`)

// format is the form as Chat has it. The name is of the field.
func (f *schemaFormat) format(name string) (json.RawMessage, error) {
	switch f.Type {
	case "", "text":
		return nil, nil
	case "json_object":
		return anyJSON, nil
	case "json_schema":
		schema := f.Schema
		if schema == nil {
			schema = f.JSONSchema.Schema
		}
		if len(schema) == 0 || schema[0] != '{' {
			return nil, badField(name, "type json_schema needs a schema, as a JSON object")
		}
		return schema, nil
	}
	return nil, badField(name, "type %q is not supported; use text, json_object or json_schema", clip(f.Type))
}
