package upstream

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Ollama makes a grammar of a pattern by rewriting its text. What that does not know,
// as \d or (?:…), it passes on to llama.cpp, which ends: the model's process, or all of
// Ollama. So patterns are read here, and written in the few words that it knows: plain
// characters, sets of them, groups, alternatives and counts.

var (
	errAhead   = errors.New("it looks ahead")
	errPattern = errors.New("it has what Ollama does not know")
)

// plainText are the characters that may stand in a string of JSON as they are.
var plainText = []rune{' ', '!', '#', '[', ']', utf8.MaxRune}

// ollamaPattern writes a pattern so; it matches whole strings, and none that JSON
// would have to write with a backslash but for the pattern's own.
func ollamaPattern(pattern string) (string, error) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", errPattern
	}
	var b strings.Builder
	all := []*syntax.Regexp{re}
	if re.Op == syntax.OpAlternate {
		all = re.Sub
	}
	b.WriteByte('^')
	for i, re := range all {
		if i > 0 {
			b.WriteByte('|')
		}
		if err := whole(&b, re); err != nil {
			return "", err
		}
	}
	b.WriteByte('$')
	return b.String(), nil
}

// whole writes an alternative with what may come before and after it.
func whole(b *strings.Builder, re *syntax.Regexp) error {
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	begins := parts[0].Op == syntax.OpBeginText
	if begins {
		parts = parts[1:]
	}
	ends := len(parts) > 0 && parts[len(parts)-1].Op == syntax.OpEndText
	if ends {
		parts = parts[:len(parts)-1]
	}
	some := func(not bool) error {
		if not {
			return nil
		}
		err := set(b, []rune{0, utf8.MaxRune})
		b.WriteByte('*')
		return err
	}
	return errors.Join(some(begins), each(b, parts), some(ends))
}

func each(b *strings.Builder, parts []*syntax.Regexp) error {
	for _, re := range parts {
		if err := write(b, re); err != nil {
			return err
		}
	}
	return nil
}

func write(b *strings.Builder, re *syntax.Regexp) error {
	count := ""
	switch re.Op {
	case syntax.OpEmptyMatch:
		return nil
	case syntax.OpLiteral:
		return literal(b, re)
	case syntax.OpCharClass:
		return set(b, re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return set(b, []rune{0, utf8.MaxRune})
	case syntax.OpConcat:
		return each(b, re.Sub)
	case syntax.OpAlternate:
		b.WriteByte('(')
		for i, sub := range re.Sub {
			if i > 0 {
				b.WriteByte('|')
			}
			if err := write(b, sub); err != nil {
				return err
			}
		}
		b.WriteByte(')')
		return nil
	case syntax.OpCapture:
	case syntax.OpStar:
		count = "*"
	case syntax.OpPlus:
		count = "+"
	case syntax.OpQuest:
		count = "?"
	case syntax.OpRepeat:
		count = fmt.Sprintf("{%d,%d}", re.Min, re.Max)
		if re.Max < 0 {
			count = fmt.Sprintf("{%d,}", re.Min)
		}
	default: // places inside, edges of words
		return errPattern
	}
	if count != "" && count != "?" && empty(re.Sub[0]) || re.Op == syntax.OpRepeat && re.Max == 0 {
		return errPattern // nothing, any number of times
	}
	b.WriteByte('(')
	err := write(b, re.Sub[0])
	b.WriteString(")" + count)
	return err
}

// empty tells whether a part may match nothing.
func empty(re *syntax.Regexp) bool {
	some, all := false, true
	for _, sub := range re.Sub {
		e := empty(sub)
		some, all = some || e, all && e
	}
	switch re.Op {
	case syntax.OpLiteral, syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return false
	case syntax.OpAlternate:
		return some
	case syntax.OpConcat, syntax.OpCapture, syntax.OpPlus:
		return all
	case syntax.OpRepeat:
		return re.Min == 0 || all
	}
	return true
}

// literal writes characters, those that JSON escapes as JSON does.
func literal(b *strings.Builder, re *syntax.Regexp) error {
	if re.Flags&syntax.FoldCase != 0 {
		return errPattern
	}
	for _, r := range re.Rune {
		switch {
		case r < ' ':
			return errPattern
		case r == '"':
			b.WriteString(`\\"`)
		case r == '\\':
			b.WriteString(`\\\\`)
		case strings.ContainsRune(`^$.[](){}|*+?`, r):
			b.WriteByte('\\')
			fallthrough
		default:
			b.WriteRune(r)
		}
	}
	return nil
}

// set writes a set of characters, given by its ranges, as far as they may stand in a
// string of JSON as they are.
func set(b *strings.Builder, ranges []rune) error {
	var out strings.Builder
	n := 0
	for i := 0; i < len(ranges); i += 2 {
		for j := 0; j < len(plainText); j += 2 {
			low, high := max(ranges[i], plainText[j]), min(ranges[i+1], plainText[j+1])
			if low > high {
				continue
			}
			if n++; n > maxRanges {
				return errPattern
			}
			out.WriteString(inSet(low))
			if low < high {
				out.WriteString("-" + inSet(high))
			}
		}
	}
	if n == 0 {
		return errPattern
	}
	b.WriteString("[" + out.String() + "]")
	return nil
}

func inSet(r rune) string {
	switch {
	case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
		return string(r)
	case r < 0x80:
		return `\x` + strconv.FormatInt(0x100|int64(r), 16)[1:]
	}
	return fmt.Sprintf(`\U%08X`, r)
}
