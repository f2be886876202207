package grammar

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// dictionary is an object whose names are not known: what they and their values may
// be is what propertyNames and additionalProperties say.
func (w *writer) dictionary(o *object, depth int) (string, error) {
	name, value := "string", "value"
	if b, ok := o.values["propertyNames"]; ok {
		names, err := decode(b)
		if err != nil {
			return "", errors.New("propertyNames must be a schema")
		}
		if kind, ok := names.values["type"]; ok && string(kind) != `"string"` {
			return "", errors.New("propertyNames must be of type string")
		}
		for _, key := range names.names {
			if key != "type" && !slices.Contains(ofStrings, key) && !slices.Contains(describes, key) {
				return "", fmt.Errorf("propertyNames: %.60q is not supported; leave it out", key)
			}
		}
		if name, err = w.text(names); err != nil {
			return "", fmt.Errorf("propertyNames: %w", err)
		}
	}
	switch held := o.values["additionalProperties"]; string(held) {
	case "", "true":
		if name == "string" {
			return "object", nil
		}
	case "false":
		return `("{" ws "}")`, nil
	default:
		var err error
		if value, err = w.value(held, depth+1); err != nil {
			return "", fmt.Errorf("additionalProperties: %w", err)
		}
	}
	pair := name + ` ":" ws ` + value
	return w.rule(`"{" ws (` + pair + ` ("," ws ` + pair + `)*)? ws "}"`)
}

// object writes properties in their order. Those that are not required may be
// left out; so that a comma stands only between two, each tail of the list is a
// rule that knows whether something came before.
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
