package rules

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parser reads one expression.
type parser struct {
	c     *compiler
	text  string
	at    int
	word  string // the token, "" at the end
	start int    // where it begins
	depth int
}

// levels of operators, weakest first.
var levels = [][]string{{"or"}, {"and"}, {"==", "!=", "<=", ">=", "<", ">"}, {"+", "-"}, {"*", "/", "%"}}

const compareLevel = 2

// expression reads and checks one, of a kind.
func (c *compiler) expression(text string, want kind) (*node, error) {
	p := &parser{c: c, text: text}
	if err := p.next(); err != nil {
		return nil, err
	}
	if p.word == "" {
		return nil, fmt.Errorf("an expression is missing: write %s", map[kind]string{isNumber: `one such as "rtt"`, isBool: `one such as "not loaded"`}[want])
	}
	n, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	if p.word != "" {
		return nil, fmt.Errorf("%q is not expected at character %d of %q", p.word, p.start+1, text)
	}
	if n.kind != want {
		return nil, fmt.Errorf("%q is %v, and %v is wanted", text, n.kind, want)
	}
	c.count(n)
	return n, nil
}

// count notes which figures an expression reads.
func (c *compiler) count(n *node) {
	switch n.op {
	case "figure", "flags":
		c.use(n.place)
	case "age":
		c.use(n.place)
		c.use(clock)
	case "rand":
		c.random = true
		c.use(seed)
	}
	for _, a := range n.args {
		c.count(a)
	}
}

func (p *parser) binary(level int) (*node, error) {
	if level == len(levels) {
		return p.unary()
	}
	if p.depth++; p.depth > maxDepth*len(levels) {
		return nil, fmt.Errorf("it is nested deeper than %d: split it", maxDepth)
	}
	defer func() { p.depth-- }()
	a, err := p.binary(level + 1)
	if err != nil {
		return nil, err
	}
	for n := 0; has(levels[level], p.word); n++ {
		op := p.word
		if level == compareLevel && n > 0 {
			return nil, errors.New("two comparisons in a row: join them with and")
		}
		if err := p.next(); err != nil {
			return nil, err
		}
		b, err := p.binary(level + 1)
		if err != nil {
			return nil, err
		}
		if a, err = p.c.binary(op, a, b); err != nil {
			return nil, err
		}
		if err := p.c.grow(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func has(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

// grow counts a node.
func (c *compiler) grow() error {
	if c.nodes++; c.nodes > maxNodes {
		return fmt.Errorf("the rules have more than %d operations: leave some out", maxNodes)
	}
	return nil
}

func (p *parser) unary() (*node, error) {
	if p.depth++; p.depth > maxDepth*len(levels) {
		return nil, fmt.Errorf("it is nested deeper than %d: split it", maxDepth)
	}
	defer func() { p.depth-- }()
	switch p.word {
	case "not", "-":
		op := p.word
		if err := p.next(); err != nil {
			return nil, err
		}
		// "not a < b" is not (a < b).
		operand := p.unary
		if op == "not" {
			operand = func() (*node, error) { return p.binary(compareLevel) }
		}
		a, err := operand()
		if err != nil {
			return nil, err
		}
		if op == "-" {
			return p.c.binary("-", number(0), a)
		}
		if a.kind != isBool {
			return nil, errors.New("not takes a condition")
		}
		return p.c.not(a), nil
	}
	return p.primary()
}

func (p *parser) primary() (*node, error) {
	word := p.word
	if err := p.c.grow(); err != nil {
		return nil, err
	}
	switch {
	case word == "":
		return nil, fmt.Errorf("%q ends too early", p.text)
	case word == "(":
		if err := p.next(); err != nil {
			return nil, err
		}
		n, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		return n, p.expect(")")
	case word[0] >= '0' && word[0] <= '9':
		v, err := strconv.ParseInt(strings.ReplaceAll(word, "_", ""), 10, 64)
		if err != nil || v > math.MaxInt64/2 {
			return nil, fmt.Errorf("%q is no whole number below 2^62", word)
		}
		return number(v), p.next()
	case !isLetter(word[0]):
		return nil, fmt.Errorf("%q is not expected at character %d of %q", word, p.start+1, p.text)
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	if arity, ok := functions[word]; ok {
		return p.call(word, arity)
	}
	return p.c.name(word)
}

// name is what a word means.
func (c *compiler) name(word string) (*node, error) {
	switch word {
	case "true", "false":
		return truth(word == "true"), nil
	}
	if v, ok := c.params[word]; ok {
		return number(v), nil
	}
	pl, ok := lookup(word)
	switch {
	case !ok:
		return nil, fmt.Errorf("%q is not known%s", word, didYouMean(word, c.allNames()...))
	case pl.mask != 0:
		return flag(pl), nil
	case pl.stamp:
		return nil, fmt.Errorf("%s is a moment: use age(%s), in ms", word, word)
	}
	return c.figure(pl), nil
}

func (p *parser) call(name string, arity int) (*node, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	if name == "age" {
		return p.age()
	}
	var args []*node
	for p.word != ")" {
		if len(args) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		n, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		if args = append(args, n); len(args) > arity {
			break
		}
	}
	if len(args) != arity {
		return nil, fmt.Errorf("%s takes %d values", name, arity)
	}
	if err := p.expect(")"); err != nil {
		return nil, err
	}
	switch name {
	case "if":
		return p.c.choice(args[0], args[1], args[2])
	case "rand":
		return &node{op: "rand", lo: 0, hi: math.MaxUint32}, nil
	}
	return p.c.binary(name, args[0], args[1])
}

// age is ms since a moment.
func (p *parser) age() (*node, error) {
	word := p.word
	pl, ok := lookup(word)
	if !ok || !pl.stamp {
		return nil, fmt.Errorf("age takes the name of a moment, such as loadAt, and not %q", word)
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	return &node{op: "age", place: pl, lo: 0, hi: math.MaxUint32}, p.expect(")")
}

func (p *parser) expect(word string) error {
	if p.word != word {
		found := p.word
		if found == "" {
			found = "the end"
		}
		return fmt.Errorf("%q is expected and not %q, at character %d of %q", word, found, p.start+1, p.text)
	}
	return p.next()
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

// next reads a token.
func (p *parser) next() error {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	p.start = p.at
	if p.at == len(p.text) {
		p.word = ""
		return nil
	}
	c := p.text[p.at]
	isWord := func(c byte) bool { return isLetter(c) || c >= '0' && c <= '9' }
	switch {
	case isWord(c):
		for p.at < len(p.text) && isWord(p.text[p.at]) {
			p.at++
		}
	case p.at+1 < len(p.text) && has([]string{"==", "!=", "<=", ">="}, p.text[p.at:p.at+2]):
		p.at += 2
	case strings.IndexByte("()+-*/%<>,", c) >= 0:
		p.at++
	case c == '=':
		return errors.New(`a single "=" compares nothing: write ==`)
	case c == '&' || c == '|' || c == '!':
		return errors.New("conditions are joined with and, or, not")
	default:
		return fmt.Errorf("%q is not expected at character %d of %q", c, p.at+1, p.text)
	}
	p.word = p.text[p.start:p.at]
	return nil
}
