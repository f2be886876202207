package grammar

import (
	"bytes"
	"fmt"
	"strings"
)

// writer writes the rules of a grammar.
type writer struct {
	root  *object
	out   bytes.Buffer // further rules
	count int
	known map[string]string // what has been written before, to its name
	steps int               // that automata may still cost

	ranges map[string]automaton // of numbers, by how a grammar writes them
}

// name is one for another rule.
func (w *writer) name() string {
	w.count++
	return fmt.Sprintf("r%d", w.count)
}

func (w *writer) define(name, body string) error {
	if w.out.Len()+len(body) > maxGrammar {
		return fmt.Errorf("its grammar would be longer than %d bytes; make the schema simpler", maxGrammar)
	}
	fmt.Fprintf(&w.out, "%s ::= %s\n", name, body)
	return nil
}

// rule writes a rule of its own and returns its name.
func (w *writer) rule(body string) (string, error) {
	name := w.name()
	return name, w.define(name, body)
}

// once is what write returns, which is called once for each key.
func (w *writer) once(key string, write func() (string, error)) (string, error) {
	if name, ok := w.known[key]; ok {
		return name, nil
	}
	name, err := write()
	if err == nil {
		if w.known == nil {
			w.known = map[string]string{}
		}
		w.known[key] = name
	}
	return name, err
}

// times says in a grammar how often what stands before it comes.
func times(least, most int) string {
	switch most {
	case -1:
		return fmt.Sprintf("{%d,}", least)
	case least:
		return fmt.Sprintf("{%d}", least)
	}
	return fmt.Sprintf("{%d,%d}", least, most)
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
