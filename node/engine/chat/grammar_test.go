package chat

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// walker writes texts of a grammar at random.
type walker struct {
	rules map[string]string
	r     *rand.Rand
	b     strings.Builder
}

var (
	count  = regexp.MustCompile(`^\{(\d+)(,?)(\d*)\}`)
	letter = regexp.MustCompile(`^[a-z0-9]+`)
)

var ruleLine = regexp.MustCompile(`(?m)^([a-z0-9]+) ::= (.*)$`)

func walk(g string, r *rand.Rand) string {
	w := &walker{rules: map[string]string{}, r: r}
	for _, m := range ruleLine.FindAllStringSubmatch(g, -1) {
		w.rules[m[1]] = m[2]
	}
	w.choose(w.rules["root"], 0)
	return w.b.String()
}

// choose takes one of the ways that bars part.
func (w *walker) choose(s string, depth int) {
	var ways []string
	for from, i := 0, 0; i <= len(s); {
		if i == len(s) || s[i] == '|' {
			ways = append(ways, s[from:i])
			from = i + 1
			i++
			continue
		}
		i += item(s[i:])
	}
	n := w.r.IntN(len(ways))
	if depth > 20 { // values end at some time
		n = len(ways) - 1
	}
	for s := strings.TrimSpace(ways[n]); s != ""; s = strings.TrimSpace(s) {
		i := item(s)
		x := s[:i]
		least, most := 1, 1
		if s = s[i:]; s != "" {
			switch m := count.FindStringSubmatch(s); {
			case s[0] == '?':
				least, s = 0, s[1:]
			case s[0] == '*':
				least, most, s = 0, 3, s[1:]
			case m != nil:
				fmt.Sscan(m[1], &least)
				if most = least; m[2] != "" {
					most = least + 2
				}
				if m[3] != "" {
					fmt.Sscan(m[3], &most)
				}
				s = s[len(m[0]):]
			}
		}
		n := least + w.r.IntN(min(most-least, 3)+1)
		if depth > 20 {
			n = least
		}
		for range n {
			w.one(x, depth+1)
		}
	}
}

// item is the length of what stands first: a text, a set, a name or a group.
func item(s string) int {
	switch s[0] {
	case '"', '[':
		end := map[byte]byte{'"': '"', '[': ']'}[s[0]]
		i := 1
		for ; s[i] != end; i++ {
			if s[i] == '\\' {
				i++
			}
		}
		return i + 1
	case '(':
		i := 1
		for s[i] != ')' {
			i += item(s[i:])
		}
		return i + 1
	}
	if n := len(letter.FindString(s)); n > 0 {
		return n
	}
	return 1
}

func (w *walker) one(x string, depth int) {
	switch x[0] {
	case '(':
		w.choose(x[1:len(x)-1], depth)
	case '"':
		var s string
		if json.Unmarshal([]byte(strings.ReplaceAll(x, `\x`, `\u00`)), &s) != nil {
			panic(x)
		}
		w.b.WriteString(s)
	case '[':
		w.b.WriteByte(map[bool]byte{true: 'a', false: '1'}[x[1] == '^' || strings.Contains(x, "a-f")])
		if strings.HasPrefix(x, `["`) || strings.Contains(x, `\t`) || strings.HasPrefix(x, "[-") || strings.HasPrefix(x, "[eE") {
			s := w.b.String()
			w.b.Reset()
			w.b.WriteString(s[:len(s)-1] + map[byte]string{'"': "n", ' ': " ", '-': "-", 'e': "e"}[x[1]])
		}
	default:
		rule, ok := w.rules[x]
		if !ok {
			panic("no rule " + x)
		}
		w.choose(rule, depth)
	}
}

var clock = Tool{json.RawMessage(`{"type":"function","function":{"name":"clock"}}`)}

// Whatever a grammar allows is read as calls.
func TestGrammarsCanBeRead(t *testing.T) {
	tools := []Tool{weather, clock}
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		choice   Choice
		parallel bool
	}{{Choice{}, false}, {Choice{}, true}, {Choice{Name: "weather"}, true}, {Choice{InThought: true}, false}} {
		g, err := Grammar(tools, c.choice, c.parallel)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for range 100 {
			text := walk(g, r)
			got, calls := read(text, ParserOptions{Tools: tools, InThought: c.choice.InThought}, r)
			if i := strings.Index(got, "["); i < 0 || i > 0 && !c.choice.InThought {
				t.Fatalf("not a call: %q of %q", got, text)
			}
			if len(calls) == 0 || len(calls) > 1 && !c.parallel {
				t.Fatalf("%d calls in %q", len(calls), text)
			}
			for _, x := range calls {
				seen[x.Name]++
				var args struct{ Place *string }
				if json.Unmarshal(x.Arguments, &args) != nil || x.Name == "weather" && args.Place == nil {
					t.Fatalf("arguments %s", x.Arguments)
				}
			}
		}
		if seen["weather"] == 0 || (seen["clock"] == 0) != (c.choice.Name != "") {
			t.Errorf("%+v: calls %v", c, seen)
		}
	}
}

func TestGrammarRefused(t *testing.T) {
	tool := func(s string) []Tool {
		return []Tool{{json.RawMessage(`{"type":"function","function":{"name":"f",` + s + `}}`)}}
	}
	pattern := `"parameters":{"type":"object","properties":{"a":{"type":"string","pattern":"x(?!y)"}}}`
	for want, c := range map[string]struct {
		tools []Tool
		name  string
	}{
		"there is none":             {},
		`"g" is to be called`:       {[]Tool{weather}, "g"},
		"no schema of an object":    {tool(`"parameters":{"type":"string"}`), ""},
		"a: pattern: looking ahead": {tool(pattern + `,"strict":true`), ""},
		"tools[0]: tool is no":      {[]Tool{{}}, ""},
	} {
		if _, err := Grammar(c.tools, Choice{Name: c.name}, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if g, err := Grammar(tool(pattern), Choice{}, false); err != nil || !strings.Contains(g, `"arguments\": " object`) {
		t.Errorf("a schema beyond grammars: %v %s", err, g)
	}
}
