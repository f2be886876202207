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

// Bounds on a schema and on what comes of it.
const (
	maxSchema     = 256 << 10 // bytes
	maxDepth      = 32        // schemas within one another, references followed
	maxGrammar    = 256 << 10 // bytes
	maxProperties = 256       // of one object
	maxChoices    = 256       // of one enum or anyOf
	maxRepeat     = 1024      // minItems and such: each costs the engine a rule
)

// FromSchema is the grammar of a JSON schema's values. Properties come in the
// schema's order. Supported are type, properties, required, additionalProperties
// true or false or, without properties, a schema, items, enum, const, anyOf, oneOf, minItems, maxItems, minLength,
// maxLength, the limits of integers, $ref to #/$defs or #/definitions, without
// circles; what only describes is passed over. An error names what is not
// supported.
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

// Schema is an expression for a schema's values.
func (b *Builder) Schema(schema []byte) (string, error) {
	if len(schema) > maxSchema {
		return "", fmt.Errorf("read JSON schema: it has %d bytes, %d are possible", len(schema), maxSchema)
	}
	root, err := decode(schema)
	if err != nil {
		return "", fmt.Errorf("read JSON schema: %w", err)
	}
	b.w.root = root
	body, err := b.w.schema(root, 0)
	if err != nil {
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

// describes are keywords that do not change which values are allowed.
var describes = []string{"title", "description", "$schema", "$id", "$comment", "default", "examples", "example", "deprecated", "readOnly", "writeOnly", "$defs", "definitions", "format", "strict"}

type writer struct {
	root  *object
	out   strings.Builder // further rules
	count int
}

// rule writes a rule of its own and returns its name.
func (w *writer) rule(body string) (string, error) {
	w.count++
	name := fmt.Sprintf("r%d", w.count)
	if w.out.Len()+len(body) > maxGrammar {
		return "", fmt.Errorf("its grammar would be longer than %d bytes; make the schema simpler", maxGrammar)
	}
	fmt.Fprintf(&w.out, "%s ::= %s\n", name, body)
	return name, nil
}

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
		{"type", w.typed, append([]string{"properties", "required", "additionalProperties", "propertyNames", "items", "minItems", "maxItems", "minLength", "maxLength"}, limits...)},
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
		if !slices.Contains(describes, name) {
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
		return w.repeat(o, "minLength", "maxLength", func(least, most string) (string, error) {
			if least == "0" && most == "" {
				return "string", nil
			}
			return w.rule(fmt.Sprintf(`"\"" char{%s,%s} "\""`, least, most))
		})
	case "integer":
		return w.integer(o)
	case "number":
		if limited(o) {
			return "", errors.New("minimum and maximum of a number are not supported; leave them out, or use type integer")
		}
		return name, nil
	case "boolean", "null":
		return name, nil
	}
	return "", fmt.Errorf("type %.60q is none; there are object, array, string, number, integer, boolean and null", name)
}

// repeat reads how often something may come.
func (w *writer) repeat(o *object, min, max string, write func(least, most string) (string, error)) (string, error) {
	least, most := "0", ""
	for key, to := range map[string]*string{min: &least, max: &most} {
		b, ok := o.values[key]
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 32)
		if err != nil || n > maxRepeat {
			return "", fmt.Errorf("%s must be a whole number up to %d", key, maxRepeat)
		}
		*to = strconv.FormatUint(n, 10)
	}
	if l, m := len(least), len(most); m > 0 && (l > m || l == m && least > most) {
		return "", fmt.Errorf("%s is more than %s", min, max)
	}
	return write(least, most)
}

func (w *writer) array(o *object, depth int) (string, error) {
	item := "value"
	if b, ok := o.values["items"]; ok {
		var err error
		if item, err = w.value(b, depth+1); err != nil {
			return "", err
		}
	}
	return w.repeat(o, "minItems", "maxItems", func(least, most string) (string, error) {
		if most == "0" {
			return `("[" ws "]")`, nil
		}
		less := func(n string) string {
			v, err := strconv.Atoi(n)
			if err != nil {
				return "" // no bound
			}
			return strconv.Itoa(max(v-1, 0))
		}
		items := fmt.Sprintf(`%s ("," ws %s){%s,%s}`, item, item, less(least), less(most))
		if least == "0" {
			items = "(" + items + ")?"
		}
		return w.rule(`"[" ws ` + items + ` ws "]"`)
	})
}

// object writes properties in their order. Those that are not required may be
// left out; so that a comma stands only between two, each tail of the list is a
// rule that knows whether something came before.
// dictionary is an object whose names are not known: what it may hold is the schema of
// additionalProperties.
func (w *writer) dictionary(o *object, depth int) (string, error) {
	if names, ok := o.values["propertyNames"]; ok {
		if n, err := decode(names); err != nil || len(n.names) > 1 || len(n.names) == 1 && string(n.values["type"]) != `"string"` {
			return "", errors.New("propertyNames is not supported but for any string; leave it out")
		}
	}
	switch held := o.values["additionalProperties"]; string(held) {
	case "", "true":
		return "object", nil
	case "false":
		return `("{" ws "}")`, nil
	default:
		v, err := w.value(held, depth+1)
		if err != nil {
			return "", fmt.Errorf("additionalProperties: %w", err)
		}
		return w.rule(`"{" ws (string ":" ws ` + v + ` ("," ws string ":" ws ` + v + `)*)? ws "}"`)
	}
}

func (w *writer) object(o *object, depth int) (string, error) {
	props, err := decode(o.values["properties"])
	if err != nil || len(props.names) > maxProperties {
		return "", fmt.Errorf("properties must be an object of at most %d", maxProperties)
	}
	var required []string
	if b, ok := o.values["required"]; ok && json.Unmarshal(b, &required) != nil {
		return "", errors.New("required must be a list of names")
	}
	for _, r := range required {
		if _, ok := props.values[r]; !ok {
			return "", fmt.Errorf("required: %.60q is not among the properties", r)
		}
	}
	if b := string(o.values["additionalProperties"]); b != "" && b != "false" && b != "true" {
		return "", errors.New("additionalProperties of a schema beside properties is not supported; use true or false")
	}
	first, rest := "", "" // what may follow when nothing has come yet, and when something has
	for _, name := range slices.Backward(props.names) {
		v, err := w.value(props.values[name], depth+1)
		if err != nil {
			return "", fmt.Errorf("%.60s: %w", name, err)
		}
		key, err := json.Marshal(name)
		if err != nil {
			return "", err
		}
		pair := literal(string(key)) + ` ":" ws ` + v
		begin, follow := pair+" "+rest, `"," ws `+pair+" "+rest
		if !slices.Contains(required, name) {
			begin, follow = orNot(begin, first), orNot(follow, rest)
		}
		if first, err = w.rule(begin); err != nil {
			return "", err
		}
		if rest, err = w.rule(follow); err != nil {
			return "", err
		}
	}
	return w.rule(`"{" ws ` + first + ` ws "}"`)
}

// orNot allows something or what comes without it. Nothing is not written after
// the bar: there llama.cpp reads on in the next line.
func orNot(something, without string) string {
	if without == "" {
		return "(" + something + ")?"
	}
	return something + " | " + without
}

// literal is a text between quotes.
func literal(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
