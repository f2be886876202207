package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ardanlabs/jinja"
)

// valueOf reads JSON as a template's value. Names keep their order: models were
// trained on tools as they were written.
func valueOf(b []byte) (jinja.Value, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := decode(d, 0)
	if err != nil {
		return v, err
	}
	if d.More() {
		return v, errors.New("something follows it")
	}
	return v, nil
}

func decode(d *json.Decoder, depth int) (jinja.Value, error) {
	if depth > maxValue {
		return jinja.Undefined(), fmt.Errorf("values lie more than %d deep", maxValue)
	}
	t, err := d.Token()
	if err != nil {
		return jinja.Undefined(), fmt.Errorf("it is no JSON: %w", err)
	}
	switch t {
	case json.Delim('{'):
		o := jinja.NewDict()
		for d.More() {
			t, err := d.Token()
			if err != nil {
				return o, fmt.Errorf("it is no JSON: %w", err)
			}
			name, _ := t.(string)
			v, err := decode(d, depth+1)
			if err != nil {
				return o, err
			}
			o.AsDict().Set(name, v)
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		l := jinja.NewList(nil)
		for d.More() {
			v, err := decode(d, depth+1)
			if err != nil {
				return l, err
			}
			l.AsList().Append(v)
		}
		_, err = d.Token()
		return l, err
	}
	return jinja.FromGoValue(t), nil
}

// dict makes a value of pairs of a name and a value.
func dict(pairs ...any) jinja.Value {
	d := jinja.NewDict()
	for i := 0; i < len(pairs); i += 2 {
		v, ok := pairs[i+1].(jinja.Value)
		if !ok {
			v = jinja.FromGoValue(pairs[i+1])
		}
		d.AsDict().Set(pairs[i].(string), v)
	}
	return d
}

// toJSON is the filter of that name as model makers have it, which is Python's
// json.dumps: blanks after separators, names in their order, all letters as they
// are. The library's own sorts names when it indents.
func toJSON(args []jinja.Value, named map[string]jinja.Value) (jinja.Value, error) {
	if len(args) == 0 {
		return jinja.Undefined(), errors.New("tojson: nothing given")
	}
	e := encoder{item: ", ", key: ": ", sort: named["sort_keys"].IsTruthy(), ascii: named["ensure_ascii"].IsTruthy()}
	indent := named["indent"]
	if len(args) > 1 {
		indent = args[1]
	}
	switch {
	case indent.IsInt():
		e.indent, e.lines, e.item = strings.Repeat(" ", int(min(max(indent.AsInt(), 0), 16))), true, ","
	case indent.IsString() && len(indent.AsString()) <= 16:
		e.indent, e.lines, e.item = indent.AsString(), true, ","
	}
	if s := named["separators"]; s.IsList() && s.AsList().Len() == 2 {
		e.item, e.key = s.AsList().Get(0).AsString(), s.AsList().Get(1).AsString()
	}
	if err := e.value(args[0], 0); err != nil {
		return jinja.Undefined(), fmt.Errorf("tojson: %w", err)
	}
	return jinja.NewString(e.b.String()), nil
}

type encoder struct {
	b                 strings.Builder
	item, key, indent string
	lines, sort       bool
	ascii             bool
}

func (e *encoder) value(v jinja.Value, depth int) error {
	switch {
	case depth > maxValue || e.b.Len() > maxOutput:
		return errors.New("the value is too large, or goes round in a circle")
	case v.IsBool():
		e.b.WriteString(strconv.FormatBool(v.AsBool()))
	case v.IsInt():
		e.b.WriteString(strconv.FormatInt(v.AsInt(), 10))
	case v.IsFloat():
		e.b.WriteString(pyFloat(v.AsFloat()))
	case v.IsString():
		e.string(v.AsString())
	case v.IsList():
		return e.all('[', ']', v.AsList().Len(), depth, func(i int) error { return e.value(v.AsList().Get(i), depth+1) })
	case v.IsDict():
		names := v.AsDict().OrderedKeys()
		if e.sort {
			slices.Sort(names)
		}
		return e.all('{', '}', len(names), depth, func(i int) error {
			e.string(names[i])
			e.b.WriteString(e.key)
			x, _ := v.AsDict().Get(names[i])
			return e.value(x, depth+1)
		})
	case v.IsNone():
		e.b.WriteString("null")
	default:
		return errors.New("the value is undefined")
	}
	return nil
}

func (e *encoder) all(begin, end byte, n, depth int, each func(i int) error) error {
	e.b.WriteByte(begin)
	for i := range n {
		if i > 0 {
			e.b.WriteString(e.item)
		}
		e.line(depth + 1)
		if err := each(i); err != nil {
			return err
		}
	}
	if n > 0 {
		e.line(depth)
	}
	e.b.WriteByte(end)
	return nil
}

func (e *encoder) line(depth int) {
	if e.lines {
		e.b.WriteByte('\n')
		e.b.WriteString(strings.Repeat(e.indent, depth))
	}
}

func (e *encoder) string(s string) {
	e.b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			e.b.WriteByte('\\')
			e.b.WriteRune(r)
		case r < ' ' && strings.ContainsRune("\b\f\n\r\t", r):
			e.b.WriteByte('\\')
			e.b.WriteByte("btn\x00fr"[r-'\b'])
		case r < ' ' || e.ascii && r >= 0x7f && r <= 0xffff:
			fmt.Fprintf(&e.b, `\u%04x`, r)
		case e.ascii && r > 0xffff:
			fmt.Fprintf(&e.b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			e.b.WriteRune(r)
		}
	}
	e.b.WriteByte('"')
}

// pyFloat writes a number as Python does.
func pyFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return strings.Replace(strconv.FormatFloat(f, 'f', -1, 64), "Inf", "Infinity", 1)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
