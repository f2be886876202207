package grammar

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// expression is what strings must match, and the keyword that says so.
type expression struct{ keyword, pattern string }

// text is the grammar of a schema's strings.
func (w *writer) text(o *object) (string, error) {
	all, err := expressions(o)
	if err != nil {
		return "", err
	}
	least, most, err := counts(o, "minLength", "maxLength")
	switch {
	case err != nil:
		return "", err
	case len(all) > 0:
		return w.once(fmt.Sprintf("text %d %d %q", least, most, all), func() (string, error) { return w.matching(all, least, most) })
	case least == 0 && most < 0:
		return "string", nil
	}
	return w.rule(`"\"" char` + times(least, most) + ` "\""`)
}

// expressions are what a schema has its strings match. Formats that are not known
// only describe, as JSON Schema has it.
func expressions(o *object) ([]expression, error) {
	var all []expression
	if b, ok := o.values["format"]; ok {
		var name string
		if json.Unmarshal(b, &name) != nil {
			return nil, errors.New("format must be a name")
		}
		if pattern, ok := formats[name]; ok {
			all = append(all, expression{fmt.Sprintf("format %q", name), pattern})
		}
	}
	if b, ok := o.values["pattern"]; ok {
		var pattern *string
		if json.Unmarshal(b, &pattern) != nil || pattern == nil {
			return nil, errors.New("pattern must be a string")
		}
		all = append(all, expression{"pattern", *pattern})
	}
	return all, nil
}

// matching writes the rules of the strings that match some expressions. They are a
// deterministic automaton's: whatever the expressions, llama.cpp has to follow one
// way through them, and automata of several conditions can be made one.
func (w *writer) matching(all []expression, least, most int) (string, error) {
	var a automaton
	keywords := ""
	for _, e := range all {
		b, err := w.automaton(e.pattern)
		if err != nil {
			return "", fmt.Errorf("%s: %w", e.keyword, err)
		}
		if a == nil {
			a, keywords = b, e.keyword
			continue
		}
		keywords += " and " + e.keyword
		if a, err = a.and(b, &w.steps); err != nil {
			return "", fmt.Errorf("%s: %w", keywords, err)
		}
	}
	a, err := a.within(least, most, &w.steps)
	if err != nil {
		if least > 0 || most >= 0 {
			keywords += " and length"
		}
		return "", fmt.Errorf("%s: %w", keywords, err)
	}
	body, err := w.states(a, quote)
	if err != nil {
		return "", err
	}
	return w.rule(`"\"" ` + body)
}

// automaton is that of the texts in which a pattern matches.
func (w *writer) automaton(pattern string) (automaton, error) {
	re, ahead, err := parse(pattern)
	if err != nil {
		return nil, err
	}
	a, err := compile(re, &w.steps)
	for _, l := range ahead {
		if err != nil {
			return nil, err
		}
		var b automaton
		b, err = compile(l.re, &w.steps)
		switch {
		case l.not && errors.Is(err, errNone):
			err = nil
			continue
		case l.not && err == nil:
			b, err = b.not()
		}
		if err == nil {
			a, err = a.and(b, &w.steps)
		}
	}
	return a, err
}

const quote = `"\""`

// states writes a rule for each state that several lead to, or from which several
// ways lead, and returns what the first is called. After a text comes end.
func (w *writer) states(a automaton, end string) (string, error) {
	into := make([]int, len(a))
	for _, s := range a {
		for _, e := range s.edges {
			into[e.to]++
		}
	}
	names := make([]string, len(a)) // "": it is written where it is used
	for i, s := range a {
		if i == 0 || len(s.edges) > 1 || len(s.edges) == 1 && (s.ends || into[i] > 1) {
			names[i] = w.name()
		}
	}
	for i, s := range a {
		if names[i] == "" {
			continue
		}
		var ways []string
		for _, e := range s.edges {
			way, err := w.way(a, names, e, end)
			if err != nil {
				return "", err
			}
			ways = append(ways, way)
		}
		if s.ends && end != "" {
			ways = append(ways, end)
		}
		body := strings.Join(ways, " | ")
		if s.ends && end == "" {
			body = orNot(body, end)
		}
		if err := w.define(names[i], body); err != nil {
			return "", err
		}
	}
	return names[0], nil
}

// way is an edge and what follows it, up to a state that has a name or to the end.
func (w *writer) way(a automaton, names []string, e edge, end string) (string, error) {
	var b strings.Builder
	for {
		chars, err := w.once("character "+e.on.key(), func() (string, error) { return w.chars(e.on) })
		if err != nil {
			return "", err
		}
		b.WriteString(chars + " ")
		switch {
		case names[e.to] != "":
			return b.String() + names[e.to], nil
		case len(a[e.to].edges) == 0:
			return strings.TrimSuffix(b.String()+end, " "), nil
		}
		e = a[e.to].edges[0]
	}
}

// chars is any character of a set, as JSON writes it within a string.
func (w *writer) chars(s runes) (string, error) {
	s = s.and(surrogates.not())
	if len(s) == 4 && s[0] == 0 && s[3] == anyRune[1] && s[1] == surrogates[0]-1 && s[2] == surrogates[1]+1 {
		return "char", nil
	}
	var ways []string
	if plain := s.and(escaped.not()); len(plain) == 2 && plain[0] == plain[1] {
		ways = append(ways, literal(string(plain[0])))
	} else if len(plain) > 0 {
		ways = append(ways, plain.bracket())
	}
	var short, low, high runes // \n and such, \u000x, \u001x
	for r := rune(0); r <= '\\'; r++ {
		const hex = "0123456789abcdef"
		switch i := strings.IndexRune("\"\\\b\f\n\r\t", r); {
		case !s.has(r):
		case i >= 0:
			c := rune(`"\bfnrt`[i])
			short = append(short, c, c)
		case r < ' ':
			to := &low
			if r >= 0x10 {
				to = &high
			}
			c := rune(hex[r&0xf])
			*to = append(*to, c, c)
			if c >= 'a' {
				*to = append(*to, c&^0x20, c&^0x20)
			}
		}
	}
	if short != nil {
		ways = append(ways, `"\\" `+normal(short).bracket())
	}
	if low != nil {
		ways = append(ways, `"\\u000" `+normal(low).bracket())
	}
	if high != nil {
		ways = append(ways, `"\\u001" `+normal(high).bracket())
	}
	if len(ways) == 1 {
		return ways[0], nil
	}
	return w.rule(strings.Join(ways, " | "))
}
