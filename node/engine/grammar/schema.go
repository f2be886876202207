package grammar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// FromSchema is the grammar of a JSON schema's values. Properties come in the
// schema's order. Supported are type, properties, required, additionalProperties
// true or false or, without properties, a schema, propertyNames, items, enum, const,
// anyOf, oneOf, minItems, maxItems, minLength, maxLength, pattern (parse says which),
// format (formats lists which), minimum, maximum, exclusiveMinimum, exclusiveMaximum,
// multipleOf within maxStates, $ref to #/$defs or #/definitions, without circles;
// what only describes is passed over. An error names what is not supported.
func FromSchema(schema []byte) (string, error) {
	var b Builder
	body, err := b.Schema(schema)
	if err != nil {
		return "", err
	}
	return b.Grammar(body), nil
}

// Builder puts several schemas into one grammar.
type Builder struct{ w writer }

// Schema is an expression for a schema's values. After an error others can still be
// put in.
func (b *Builder) Schema(schema []byte) (string, error) {
	if len(schema) > maxSchema {
		return "", fmt.Errorf("read JSON schema: it has %d bytes, %d are possible", len(schema), maxSchema)
	}
	root, err := decode(schema)
	if err != nil {
		return "", fmt.Errorf("read JSON schema: %w", err)
	}
	if b.w.root == nil {
		b.w.steps = maxSteps
	}
	b.w.root = root
	before := b.w.out.Len()
	body, err := b.w.schema(root, 0)
	if err != nil { // nothing half written stays
		b.w.out.Truncate(before)
		b.w.known = nil
		return "", fmt.Errorf("read JSON schema: %w", err)
	}
	return body, nil
}

// Grammar is the grammar of which root is an expression.
func (b *Builder) Grammar(root string) string {
	return "root ::= " + root + "\n" + b.w.out.String() + rules
}

// AnyObject is an expression for all JSON objects.
const AnyObject = "object"

// Literal is an expression for a text.
func Literal(text string) string { return literal(text) }

// object is a JSON object in the order it was written.
type object struct {
	names  []string
	values map[string]json.RawMessage
}

func decode(b []byte) (*object, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	if t != json.Delim('{') {
		return nil, errors.New("it must be an object")
	}
	o := &object{values: map[string]json.RawMessage{}}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("it is no JSON: %w", err)
		}
		name, _ := t.(string)
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, fmt.Errorf("it is no JSON: %w", err)
		}
		if _, again := o.values[name]; !again {
			o.names = append(o.names, name)
		}
		o.values[name] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows it")
	}
	return o, nil
}

// describes are keywords that do not change which values are allowed; format may, of
// strings.
var describes = []string{"title", "description", "$schema", "$id", "$comment", "default", "examples", "example", "deprecated", "readOnly", "writeOnly", "$defs", "definitions", "format", "contentEncoding", "contentMediaType", "strict"}

// Keywords that limit the values of a type.
var (
	ofStrings = []string{"minLength", "maxLength", "pattern"}
	ofTypes   = slices.Concat([]string{"properties", "required", "additionalProperties", "propertyNames", "items", "minItems", "maxItems", "multipleOf"}, limits, ofStrings)
)

// value is the grammar of a schema that stands in raw form.
func (w *writer) value(b json.RawMessage, depth int) (string, error) {
	switch string(bytes.TrimSpace(b)) {
	case "true":
		return "value", nil
	case "false":
		return "", errors.New("false allows nothing; leave it out")
	}
	o, err := decode(b)
	if err != nil {
		return "", err
	}
	return w.schema(o, depth)
}

// schema returns a name, or an expression in parentheses.
func (w *writer) schema(o *object, depth int) (string, error) {
	if depth > maxDepth {
		return "", fmt.Errorf("schemas lie more than %d deep, or go round in a circle", maxDepth)
	}
	for _, kind := range []struct {
		key   string
		write func(*object, json.RawMessage, int) (string, error)
		with  []string
	}{
		{"$ref", w.ref, nil},
		{"const", w.constant, []string{"type"}},
		{"enum", w.enum, []string{"type"}},
		{"anyOf", w.choice, nil},
		{"oneOf", w.choice, nil},
		{"type", w.typed, ofTypes},
		{"properties", func(o *object, _ json.RawMessage, d int) (string, error) { return w.object(o, d) }, []string{"required", "additionalProperties"}},
	} {
		v, ok := o.values[kind.key]
		if !ok {
			continue
		}
		for _, name := range o.names {
			if name != kind.key && !slices.Contains(kind.with, name) && !slices.Contains(describes, name) {
				return "", fmt.Errorf("%.60q beside %q is not supported; leave it out", name, kind.key)
			}
		}
		return kind.write(o, v, depth)
	}
	for _, name := range o.names {
		switch {
		case slices.Contains(ofTypes, name):
			return "", fmt.Errorf("%.60q has no type beside it; add \"type\"", name)
		case !slices.Contains(describes, name):
			return "", fmt.Errorf("%.60q is not supported; leave it out", name)
		}
	}
	return "value", nil
}

func (w *writer) ref(_ *object, b json.RawMessage, depth int) (string, error) {
	var path string
	if json.Unmarshal(b, &path) != nil {
		return "", errors.New("$ref must be a string")
	}
	for _, in := range []string{"$defs", "definitions"} {
		name, ok := strings.CutPrefix(path, "#/"+in+"/")
		if !ok {
			continue
		}
		defs, err := decode(w.root.values[in])
		if err != nil {
			return "", fmt.Errorf("$ref: there is no %s", in)
		}
		to, ok := defs.values[name]
		if !ok {
			return "", fmt.Errorf("$ref: %.80q is not there", path)
		}
		return w.value(to, depth+1)
	}
	return "", fmt.Errorf("$ref: %.80q is not supported; refer to #/$defs/NAME", path)
}

func (w *writer) constant(_ *object, b json.RawMessage, _ int) (string, error) {
	var c bytes.Buffer
	if err := json.Compact(&c, b); err != nil {
		return "", err
	}
	return literal(c.String()), nil
}

func (w *writer) enum(_ *object, b json.RawMessage, depth int) (string, error) {
	return w.list("enum", b, func(v json.RawMessage) (string, error) { return w.constant(nil, v, depth) })
}

func (w *writer) choice(_ *object, b json.RawMessage, depth int) (string, error) {
	return w.list("anyOf", b, func(v json.RawMessage) (string, error) { return w.value(v, depth+1) })
}

func (w *writer) list(key string, b json.RawMessage, each func(json.RawMessage) (string, error)) (string, error) {
	var all []json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil || len(all) == 0 || len(all) > maxChoices {
		return "", fmt.Errorf("%s must be a list of 1 to %d", key, maxChoices)
	}
	var parts []string
	for _, v := range all {
		p, err := each(v)
		if err != nil {
			return "", err
		}
		parts = append(parts, p)
	}
	return w.rule(strings.Join(parts, " | "))
}

func (w *writer) typed(o *object, b json.RawMessage, depth int) (string, error) {
	var names []string
	var one string
	if json.Unmarshal(b, &one) == nil {
		names = []string{one}
	} else if json.Unmarshal(b, &names) != nil || len(names) == 0 || len(names) > 7 {
		return "", errors.New("type must be a name, or a list of them")
	}
	var parts []string
	for _, n := range names {
		p, err := w.ofType(n, o, depth)
		if err != nil {
			return "", err
		}
		parts = append(parts, p)
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return w.rule(strings.Join(parts, " | "))
}

func (w *writer) ofType(name string, o *object, depth int) (string, error) {
	switch name {
	case "object":
		if _, ok := o.values["properties"]; ok {
			return w.object(o, depth)
		}
		return w.dictionary(o, depth)
	case "array":
		return w.array(o, depth)
	case "string":
		return w.text(o)
	case "number", "integer":
		return w.number(name, o)
	case "boolean", "null":
		return name, nil
	}
	return "", fmt.Errorf("type %.60q is none; there are object, array, string, number, integer, boolean and null", name)
}

// counts reads how often something may come; most is -1 where nothing bounds it.
func counts(o *object, min, max string) (least, most int, err error) {
	least, most = 0, -1
	for key, to := range map[string]*int{min: &least, max: &most} {
		b, ok := o.values[key]
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 32)
		if err != nil || n > maxRepeat {
			return 0, 0, fmt.Errorf("%s must be a whole number up to %d", key, maxRepeat)
		}
		*to = int(n)
	}
	if most >= 0 && least > most {
		return 0, 0, fmt.Errorf("%s is more than %s", min, max)
	}
	return least, most, nil
}

func (w *writer) array(o *object, depth int) (string, error) {
	item := "value"
	if b, ok := o.values["items"]; ok {
		var err error
		if item, err = w.value(b, depth+1); err != nil {
			return "", err
		}
	}
	least, most, err := counts(o, "minItems", "maxItems")
	switch {
	case err != nil:
		return "", err
	case most == 0:
		return `("[" ws "]")`, nil
	}
	items := item + ` ("," ws ` + item + `)` + times(max(least-1, 0), max(most-1, -1))
	if least == 0 {
		items = "(" + items + ")?"
	}
	return w.rule(`"[" ws ` + items + ` ws "]"`)
}
