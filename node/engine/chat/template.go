package chat

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ardanlabs/jinja"
)

// Template is a model's chat template. It may be used from several goroutines.
type Template struct {
	compiled *jinja.Template
	bos, eos string
	can      abilities
}

var errTemplate = errors.New("chat template cannot be used")

// Compile reads a Jinja chat template and finds out what it can express. bos and
// eos are the texts of the model's first and last token; bos is "" where the
// tokenizer adds it by itself.
func Compile(source, bos, eos string) (*Template, error) {
	counted, err := rewrite(source)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTemplate, err)
	}
	t := &Template{bos: bos, eos: eos}
	if t.compiled, err = compile(counted); err != nil {
		return nil, fmt.Errorf("%w: %w", errTemplate, err)
	}
	t.can, err = probe(t)
	return t, err
}

// The library has paths that panic for odd templates.
func compile(source string) (t *jinja.Template, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it is no template: %v", r)
		}
	}()
	return jinja.Compile(source)
}

// Render writes the conversation as the model knows it.
func (t *Template) Render(messages []Message, tools []Tool, o Options) (string, error) {
	if len(messages) == 0 {
		return "", errors.New("render conversation: it is empty; send a message")
	}
	ms, ts, err := t.can.adapt(messages, tools)
	if err != nil {
		return "", fmt.Errorf("render conversation: %w", err)
	}
	out, err := t.raw(ms, ts, o)
	if err != nil {
		return "", fmt.Errorf("render conversation: the model's template says: %w", err)
	}
	return out, nil
}

// raw runs the template.
func (t *Template) raw(messages, tools []jinja.Value, o Options) (out string, err error) {
	vars := map[string]jinja.Value{}
	for name, v := range o.Extra {
		vars[name] = jinja.FromGoValue(v)
	}
	m := &meter{now: o.Now}
	m.bind(vars)
	vars["messages"] = jinja.NewList(messages)
	vars["add_generation_prompt"] = jinja.NewBool(o.AddGenerationPrompt)
	vars["bos_token"], vars["eos_token"] = jinja.NewString(t.bos), jinja.NewString(t.eos)
	if len(tools) > 0 {
		vars["tools"] = jinja.NewList(tools)
	}
	if o.Thinking != nil {
		// Model makers have not agreed on the name.
		vars["enable_thinking"], vars["thinking"] = jinja.NewBool(*o.Thinking), jinja.NewBool(*o.Thinking)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it cannot be run: %v", r)
		}
	}()
	if out, err = t.compiled.RenderValues(vars); err == nil && len(out) > maxOutput {
		err = errOutput
	}
	return out, err
}

var (
	errOutput = fmt.Errorf("it writes more than %d bytes", maxOutput)
	errSteps  = fmt.Errorf("it takes more than %d steps", maxSteps)
	errDepth  = fmt.Errorf("its macros lie more than %d deep", maxDepth)
)

// meter counts what one rendering does and ends it when that is too much.
type meter struct {
	now                  time.Time
	steps, depth, output int
}

func (m *meter) bind(vars map[string]jinja.Value) {
	none := jinja.NewString("")
	step := func(n int) error {
		if m.steps += n; m.steps > maxSteps {
			return errSteps
		}
		return nil
	}
	for name, fn := range map[string]func([]jinja.Value, map[string]jinja.Value) (jinja.Value, error){
		filters["tojson"]: toJSON,
		filters["string"]: func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) { return printed(args) },
		callRound:         func([]jinja.Value, map[string]jinja.Value) (jinja.Value, error) { return none, step(1) },
		callEnter: func([]jinja.Value, map[string]jinja.Value) (jinja.Value, error) {
			if m.depth++; m.depth > maxDepth {
				return none, errDepth
			}
			return none, step(1)
		},
		callLeave: func([]jinja.Value, map[string]jinja.Value) (jinja.Value, error) { m.depth--; return none, nil },
		callOut: func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
			v, err := printed(args)
			if err == nil && v.IsString() {
				if m.output += len(v.AsString()); m.output > maxWritten {
					err = errOutput
				}
			}
			return v, err
		},
		"range": func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
			n, err := span(args)
			if err == nil {
				err = step(len(n))
			}
			return jinja.NewList(n), err
		},
		"strftime_now": func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
			if len(args) != 1 || !args[0].IsString() {
				return none, errors.New("strftime_now wants a format")
			}
			return jinja.NewString(strftime(m.now, args[0].AsString())), nil
		},
	} {
		vars[name] = jinja.NewCallable(name, fn)
	}
}

// printed gives None and numbers the form that Python prints; the rest the library
// knows how to print.
func printed(args []jinja.Value) (jinja.Value, error) {
	switch {
	case len(args) != 1:
		return jinja.Undefined(), errors.New("nothing to write")
	case args[0].IsNone():
		return jinja.NewString("None"), nil
	case args[0].IsFloat():
		return jinja.NewString(pyFloat(args[0].AsFloat())), nil
	case args[0].IsUndefined():
		return jinja.NewString(""), nil
	case args[0].IsString():
		return args[0], nil
	}
	return jinja.NewString(args[0].String()), nil
}

// span is range(…), which would fill the memory for large numbers.
func span(args []jinja.Value) ([]jinja.Value, error) {
	var n []int64
	for _, a := range args {
		if !a.IsInt() {
			return nil, errors.New("range wants whole numbers")
		}
		n = append(n, a.AsInt())
	}
	begin, end, by := int64(0), int64(0), int64(1)
	switch len(n) {
	case 1:
		end = n[0]
	case 2:
		begin, end = n[0], n[1]
	case 3:
		begin, end, by = n[0], n[1], n[2]
	default:
		return nil, errors.New("range wants one to three numbers")
	}
	const far = 1 << 53
	if by == 0 || max(begin, end, by) > far || min(begin, end, by) < -far {
		return nil, errors.New("range wants smaller numbers, and steps that lead on")
	}
	var out []jinja.Value
	for i := begin; by > 0 && i < end || by < 0 && i > end; i += by {
		if len(out) == maxSteps {
			return nil, errSteps
		}
		out = append(out, jinja.NewInt(i))
	}
	return out, nil
}

// strftime writes a moment as C's function of that name does.
func strftime(at time.Time, format string) string {
	layouts := map[byte]string{'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'H': "15", 'I': "03", 'M': "04", 'S': "05",
		'B': "January", 'b': "Jan", 'h': "Jan", 'A': "Monday", 'a': "Mon", 'p': "PM", 'Z': "MST", 'z': "-0700",
		'j': "002", 'e': "_2", 'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'D': "01/02/06"}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		c, strip := format[i], false
		if c == '-' && i+1 < len(format) { // glibc: without leading zeros
			i++
			c, strip = format[i], true
		}
		layout, ok := layouts[c]
		switch v := at.Format(layout); {
		case c == '%':
			b.WriteByte('%')
		case !ok:
			b.WriteString("%" + string(c))
		case strip && len(v) > 1:
			b.WriteString(strings.TrimLeft(v[:len(v)-1], "0 ") + v[len(v)-1:])
		default:
			b.WriteString(v)
		}
	}
	return b.String()
}
