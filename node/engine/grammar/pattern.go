package grammar

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

// lookahead is what the texts that a pattern matches must be besides, or must not be.
type lookahead struct {
	re  *syntax.Regexp
	not bool
}

// parse reads a regular expression of ECMA-262 into the tree that Go's compiler
// takes. Go's own parser reads another language: \s, the dot, [^], \u and much that
// begins with a backslash mean something else there. Of ECMA-262 all is read that
// is regular, with the flag u and without others; of looking ahead, what stands at
// the start. An error tells what is not read, and the character at which it stands,
// counted from 1.
func parse(pattern string) (*syntax.Regexp, []lookahead, error) {
	p := &parser{text: []rune(pattern)}
	if len(p.text) > maxPattern {
		return nil, nil, fmt.Errorf("it has %d characters, %d are possible", len(p.text), maxPattern)
	}
	ahead, err := p.start()
	if err != nil {
		return nil, nil, err
	}
	from := p.at
	re, err := p.choice(0)
	if err != nil {
		return nil, nil, err
	}
	if p.at < len(p.text) {
		return nil, nil, p.fail(p.at, "a group ends that has not begun")
	}
	if len(ahead) > 0 {
		if len(re.Sub) > 1 {
			return nil, nil, p.fail(from, "looking ahead holds for the first of several alternatives only; put them into a group")
		}
		re = node(syntax.OpConcat, node(syntax.OpBeginText), re)
	}
	n := size(re)
	for _, a := range ahead {
		n += size(a.re)
	}
	if n > maxSize {
		return nil, nil, fmt.Errorf("with its counts written out it is more than %d long; count less", maxSize)
	}
	return re, ahead, nil
}

// start reads the lookaheads that follow the ^ with which a pattern begins.
func (p *parser) start() ([]lookahead, error) {
	if !p.ahead("^(?=") && !p.ahead("^(?!") {
		return nil, nil
	}
	p.at++
	var all []lookahead
	for p.ahead("(?=") || p.ahead("(?!") {
		from := p.at
		p.at += 3
		not := p.text[p.at-1] == '!'
		re, err := p.choice(1)
		if err != nil {
			return nil, err
		}
		if !p.skip(")") {
			return nil, p.fail(from, "a group does not end")
		}
		all = append(all, lookahead{node(syntax.OpConcat, node(syntax.OpBeginText), re), not})
	}
	return all, nil
}

// size is how much is to be compiled, up to a little more than is possible.
func size(re *syntax.Regexp) int {
	n := 1
	for _, sub := range re.Sub {
		n = min(n+size(sub), maxSize+1)
	}
	if re.Op == syntax.OpRepeat {
		n = min(n*max(re.Min, re.Max, 1), maxSize+1)
	}
	return n
}

type parser struct {
	text []rune
	at   int
}

func (p *parser) fail(at int, format string, args ...any) error {
	return fmt.Errorf("%s, at character %d", fmt.Sprintf(format, args...), at+1)
}

// ahead tells whether a text comes next.
func (p *parser) ahead(s string) bool {
	rest := p.text[p.at:]
	return len(rest) >= len(s) && string(rest[:len(s)]) == s // s is ASCII
}

// skip passes over a text, if it comes next.
func (p *parser) skip(s string) bool {
	ok := p.ahead(s)
	if ok {
		p.at += len(s)
	}
	return ok
}

func node(op syntax.Op, sub ...*syntax.Regexp) *syntax.Regexp {
	return &syntax.Regexp{Op: op, Sub: sub}
}

func (p *parser) choice(depth int) (*syntax.Regexp, error) {
	if depth > maxGroups {
		return nil, p.fail(p.at, "groups lie more than %d deep", maxGroups)
	}
	var ways []*syntax.Regexp
	for {
		way := node(syntax.OpConcat)
		for p.at < len(p.text) && !p.ahead("|") && !p.ahead(")") {
			term, err := p.term(depth)
			if err != nil {
				return nil, err
			}
			way.Sub = append(way.Sub, term)
		}
		ways = append(ways, way)
		if !p.skip("|") {
			return node(syntax.OpAlternate, ways...), nil
		}
	}
}

// term reads what can be repeated, and how often it is.
func (p *parser) term(depth int) (*syntax.Regexp, error) {
	switch {
	case p.skip("^"):
		return node(syntax.OpBeginText), nil
	case p.skip("$"):
		return node(syntax.OpEndText), nil
	}
	re, err := p.atom(depth)
	if err != nil {
		return nil, err
	}
	switch {
	case p.skip("*"):
		re = node(syntax.OpStar, re)
	case p.skip("+"):
		re = node(syntax.OpPlus, re)
	case p.skip("?"):
		re = node(syntax.OpQuest, re)
	case p.ahead("{"):
		re = node(syntax.OpRepeat, re)
		if re.Min, re.Max, err = p.counts(); err != nil {
			return nil, err
		}
	default:
		return re, nil
	}
	p.skip("?") // lazy: it matches the same texts
	return re, nil
}

// counts reads {m}, {m,} or {m,n}.
func (p *parser) counts() (least, most int, err error) {
	from := p.at
	p.at++
	number := func() (n int, ok bool) {
		for ; p.at < len(p.text) && digit.has(p.text[p.at]); p.at++ {
			n, ok = min(n*10+int(p.text[p.at]-'0'), maxCount+1), true
		}
		return n, ok
	}
	least, ok := number()
	most = least
	if p.skip(",") {
		if most, _ = number(); p.text[p.at-1] == ',' {
			most = -1 // without end
		}
	}
	switch {
	case !ok || !p.skip("}"):
		return 0, 0, p.fail(from, "a { that is no count; write \\{ for the character")
	case least > maxCount || most > maxCount:
		return 0, 0, p.fail(from, "a count is more than %d", maxCount)
	case most >= 0 && least > most:
		return 0, 0, p.fail(from, "counts are out of order")
	}
	return least, most, nil
}

func (p *parser) atom(depth int) (*syntax.Regexp, error) {
	from := p.at
	c := p.text[p.at]
	p.at++
	switch c {
	case '(':
		return p.group(depth)
	case '[':
		return p.class()
	case '.':
		return set(lineEnd.not()), nil
	case '*', '+', '?', '{':
		return nil, p.fail(from, "nothing stands before %c to repeat; write \\%[1]c for the character", c)
	case '\\':
		s, err := p.escape(false)
		return set(s), err
	}
	return set(runes{c, c}), nil
}

func set(s runes) *syntax.Regexp {
	return &syntax.Regexp{Op: syntax.OpCharClass, Rune: s}
}

func (p *parser) group(depth int) (*syntax.Regexp, error) {
	from := p.at - 1
	switch {
	case p.skip("?:"):
	case p.ahead("?=") || p.ahead("?!"):
		return nil, p.fail(from, "looking ahead, (?= and (?!, is supported only at the start, after ^")
	case p.ahead("?<=") || p.ahead("?<!"):
		return nil, p.fail(from, "looking behind, (?<= and (?<!, is not supported")
	case p.skip("?<"): // a name, which nothing here refers to
		name := p.at
		for p.at < len(p.text) && word.has(p.text[p.at]) {
			p.at++
		}
		if p.at == name || !p.skip(">") {
			return nil, p.fail(from, "the name of a group is none; use letters, digits and _, and end it with >")
		}
	case p.ahead("?"):
		return nil, p.fail(from, "groups with flags are not supported")
	}
	re, err := p.choice(depth + 1)
	if err == nil && !p.skip(")") {
		err = p.fail(from, "a group does not end")
	}
	return re, err
}

// class reads what is between brackets.
func (p *parser) class() (*syntax.Regexp, error) {
	from := p.at - 1
	not := p.skip("^")
	var all runes
	one := func() (runes, error) {
		if !p.skip(`\`) {
			c := p.text[p.at]
			p.at++
			return runes{c, c}, nil
		}
		return p.escape(true)
	}
	for !p.skip("]") {
		if p.at == len(p.text) {
			return nil, p.fail(from, "a class does not end")
		}
		at := p.at
		first, err := one()
		if err != nil {
			return nil, err
		}
		all = append(all, first...)
		if !p.ahead("-") || p.ahead("-]") || p.at+1 == len(p.text) {
			continue
		}
		p.at++
		last, err := one()
		switch single := len(first) == 2 && first[0] == first[1]; {
		case err != nil:
			return nil, err
		case !single || len(last) != 2 || last[0] != last[1]: // [\w-.]: the sign itself
			all = append(append(all, last...), '-', '-')
		case first[0] > last[0]:
			return nil, p.fail(at, "a range is out of order")
		default:
			all = append(all, first[0], last[0])
		}
	}
	if all = normal(all); not {
		all = all.not()
	}
	return set(all), nil
}

// escape reads what follows a backslash.
func (p *parser) escape(inClass bool) (runes, error) {
	from := p.at - 1
	if p.at == len(p.text) {
		return nil, p.fail(from, "a \\ stands at the end")
	}
	c := p.text[p.at]
	p.at++
	switch {
	case strings.ContainsRune("dDwWsS", c):
		s := map[rune]runes{'d': digit, 'w': word, 's': blank}[c|0x20]
		if c < 'a' {
			s = s.not()
		}
		return s, nil
	case c == 'b' && inClass:
		c = '\b'
	case strings.ContainsRune("tnvfr", c):
		c = map[rune]rune{'t': '\t', 'n': '\n', 'v': '\v', 'f': '\f', 'r': '\r'}[c]
	case c == '0' && (p.at == len(p.text) || !digit.has(p.text[p.at])):
		c = 0
	case c == 'x':
		return p.code(from, 2)
	case c == 'u':
		return p.code(from, 4)
	case c == 'c' && p.at < len(p.text) && (p.text[p.at]|0x20) >= 'a' && (p.text[p.at]|0x20) <= 'z':
		c = p.text[p.at] & 0x1f
		p.at++
	case c == 'b' || c == 'B':
		return nil, p.fail(from, "word boundaries, \\%c, are not supported", c)
	case digit.has(c) || c == 'k':
		return nil, p.fail(from, "references to groups, \\%c, are not supported", c)
	case c == 'p' || c == 'P':
		return nil, p.fail(from, "properties of Unicode, \\%c, are not supported; list the ranges", c)
	case c > 0x7e || word.has(c) && c != '_':
		return nil, p.fail(from, "\\%c means nothing in ECMA-262", c)
	}
	return runes{c, c}, nil
}

// code reads a character's number in hexadecimal digits.
func (p *parser) code(from, digits int) (runes, error) {
	hex := func(n int) (rune, bool) {
		if p.at+n > len(p.text) {
			return 0, false
		}
		v, err := strconv.ParseUint(string(p.text[p.at:p.at+n]), 16, 32)
		p.at += n
		return rune(v), err == nil
	}
	var c rune
	ok := false
	if digits == 4 && p.skip("{") {
		if n := slices.Index(p.text[p.at:], '}'); n > 0 && n <= 8 {
			c, ok = hex(n)
			p.at++
		}
	} else if c, ok = hex(digits); ok && c>>10 == 0xd800>>10 && p.skip(`\u`) {
		var low rune
		low, ok = hex(4)
		ok = ok && low>>10 == 0xdc00>>10
		c = (c-0xd800)<<10 + low - 0xdc00 + 0x10000
	}
	switch {
	case !ok || c > anyRune[1]:
		return nil, p.fail(from, "the number of a character is none")
	case surrogates.has(c):
		return nil, p.fail(from, "half a surrogate pair is no character")
	}
	return runes{c, c}, nil
}
