package grammar

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// gbnf reads grammars as llama.cpp does and tells which texts are theirs, so that
// tests can ask for any text what a model may write.
type gbnf struct {
	rules map[string]*expr
	left  string // of the grammar
	memo  map[at][]int
	text  string
}

// expr is a choice of sequences, a name, or a set of characters.
type expr struct {
	ways        [][]item
	name        string
	set         runes
	not         bool
	least, most int // how often it comes
}

type item = *expr

type at struct {
	e   *expr
	pos int
}

func readGBNF(t testing.TB, text string) *gbnf {
	t.Helper()
	g := &gbnf{rules: map[string]*expr{}}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		name, body, ok := strings.Cut(line, " ::= ")
		if !ok || g.rules[name] != nil {
			t.Fatalf("no rule, or one again: %q", line)
		}
		g.left = body
		g.rules[name] = g.choice()
		if g.left != "" {
			t.Fatalf("%q is left of %q", g.left, line)
		}
	}
	for _, r := range g.rules {
		r.names(func(name string) {
			if g.rules[name] == nil {
				t.Fatalf("%q is used and not defined in\n%s", name, text)
			}
		})
	}
	return g
}

func (e *expr) names(see func(string)) {
	if e.name != "" {
		see(e.name)
	}
	for _, way := range e.ways {
		for _, x := range way {
			x.names(see)
		}
	}
}

func (g *gbnf) next(s string) bool {
	rest, ok := strings.CutPrefix(g.left, s)
	if ok {
		g.left = strings.TrimLeft(rest, " ")
	}
	return ok
}

func (g *gbnf) choice() *expr {
	e := &expr{least: 1, most: 1}
	for {
		var way []item
		for g.left != "" && g.left[0] != '|' && g.left[0] != ')' {
			way = append(way, g.items()...)
		}
		e.ways = append(e.ways, way)
		if !g.next("|") {
			return e
		}
	}
}

// items reads a text as its characters; counts go with the last.
func (g *gbnf) items() []item {
	var all []item
	switch {
	case g.next("("):
		all = []item{g.choice()}
		if !g.next(")") {
			panic("no ) before " + g.left)
		}
	case g.left[0] == '"':
		g.left = g.left[1:]
		var text []item
		for g.left[0] != '"' {
			c := g.char()
			text = append(text, &expr{set: runes{c, c}, least: 1, most: 1})
		}
		g.next(`"`)
		all = []item{{ways: [][]item{text}, least: 1, most: 1}}
	case g.left[0] == '[':
		e := &expr{least: 1, most: 1}
		g.left = g.left[1:]
		if e.not = g.left[0] == '^'; e.not {
			g.left = g.left[1:]
		}
		for g.left[0] != ']' {
			from := g.char()
			to := from
			if g.left[0] == '-' && g.left[1] != ']' {
				g.left = g.left[1:]
				to = g.char()
			}
			e.set = append(e.set, from, to)
		}
		g.next("]")
		e.set = normal(e.set)
		all = []item{e}
	default:
		n := 0
		for n < len(g.left) && (word.has(rune(g.left[n])) || g.left[n] == '-') {
			n++
		}
		if n == 0 {
			panic("nothing that is known: " + g.left)
		}
		name := g.left[:n]
		g.left = g.left[n:]
		g.next("")
		all = []item{{name: name, least: 1, most: 1}}
	}
	last := all[len(all)-1]
	switch {
	case g.next("*"):
		last.least, last.most = 0, -1
	case g.next("+"):
		last.least, last.most = 1, -1
	case g.next("?"):
		last.least, last.most = 0, 1
	case g.next("{"):
		counts, rest, _ := strings.Cut(g.left, "}")
		g.left = rest
		g.next("")
		least, most, two := strings.Cut(counts, ",")
		last.least, _ = strconv.Atoi(least)
		last.most = last.least
		if two {
			last.most = -1
			if most != "" {
				last.most, _ = strconv.Atoi(most)
			}
		}
	}
	return all
}

func (g *gbnf) char() rune {
	if g.left[0] != '\\' {
		c, n := utf8.DecodeRuneInString(g.left)
		g.left = g.left[n:]
		return c
	}
	kind := g.left[1]
	g.left = g.left[2:]
	if n := map[byte]int{'x': 2, 'u': 4, 'U': 8}[kind]; n > 0 {
		c, err := strconv.ParseUint(g.left[:n], 16, 32)
		if err != nil {
			panic(err)
		}
		g.left = g.left[n:]
		return rune(c)
	}
	i := strings.IndexByte(`tnr\"[]`, kind)
	if i < 0 {
		panic("unknown escape " + string(kind))
	}
	return rune("\t\n\r\\\"[]"[i])
}

// allows tells whether a text is one of the grammar's, from its start to its end.
func (g *gbnf) allows(text string) bool {
	g.memo, g.text = map[at][]int{}, text
	for _, end := range g.match(g.rules["root"], 0) {
		if end == len(text) {
			return true
		}
	}
	return false
}

// match lists where what an expression allows from a place on may end.
func (g *gbnf) match(e *expr, pos int) []int {
	if ends, ok := g.memo[at{e, pos}]; ok {
		return ends
	}
	seen, now := map[int]bool{}, []int{pos}
	var all []int
	took := map[int]bool{} // places where a further turn has begun
	for n := 0; len(now) > 0; n++ {
		if n >= e.least {
			for _, p := range now {
				if !seen[p] {
					seen[p], all = true, append(all, p)
				}
			}
		}
		if n == e.most {
			break
		}
		next := map[int]bool{}
		for _, p := range now {
			if n >= e.least && took[p] {
				continue
			}
			took[p] = n >= e.least
			for _, q := range g.one(e, p) {
				next[q] = true
			}
		}
		now = now[:0:0]
		for q := range next {
			now = append(now, q)
		}
	}
	g.memo[at{e, pos}] = all
	return all
}

func (g *gbnf) one(e *expr, pos int) []int {
	switch {
	case e.name != "":
		return g.match(g.rules[e.name], pos)
	case e.ways == nil:
		if c, n := utf8.DecodeRuneInString(g.text[pos:]); n > 0 && e.set.has(c) != e.not {
			return []int{pos + n}
		}
		return nil
	}
	ends := map[int]bool{}
	for _, way := range e.ways {
		now := map[int]bool{pos: true}
		for _, x := range way {
			next := map[int]bool{}
			for p := range now {
				for _, q := range g.match(x, p) {
					next[q] = true
				}
			}
			now = next
		}
		for p := range now {
			ends[p] = true
		}
	}
	var all []int
	for p := range ends {
		all = append(all, p)
	}
	return all
}
