package chat

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Names of what the rewritten source calls.
const (
	callOut   = "omx_out"
	callRound = "omx_round"
	callEnter = "omx_enter"
	callLeave = "omx_leave"
)

// filters are those of which the library has its own idea.
var filters = map[string]string{"tojson": "omx_tojson", "string": "omx_string"}

var endRaw = regexp.MustCompile(`\{%[-+]?\s*endraw\s*[-+]?%\}`)

// rewrite makes of a template one that means the same and counts what it does:
// rounds of loops, macros within one another, bytes written. Blanks around tags
// are settled here, by the rules under which model makers run their templates
// (trim_blocks and lstrip_blocks), as the library's own differ where a tag
// follows another tag; so are escapes in strings, of which it knows a few only.
func rewrite(source string) (string, error) {
	if len(source) > maxSource {
		return "", fmt.Errorf("it has %d bytes, %d are possible", len(source), maxSource)
	}
	s := strings.ReplaceAll(strings.ReplaceAll(source, "\r\n", "\n"), "\r", "\n")
	s = strings.TrimSuffix(s, "\n")
	var b strings.Builder
	lineStart := true // what came before ended with a line
	for s != "" {
		at, kind := opening(s)
		if at < 0 {
			text(&b, s)
			break
		}
		before, rest := s[:at], s[at+2:]
		sign := byte(0)
		if rest != "" && (rest[0] == '-' || rest[0] == '+' && kind != '{') {
			sign, rest = rest[0], rest[1:]
		}
		switch {
		case sign == '-':
			before = strings.TrimRightFunc(before, unicode.IsSpace)
		case sign == 0 && kind != '{':
			line := strings.LastIndexByte(before, '\n') + 1
			if (line > 0 || lineStart) && strings.TrimSpace(before[line:]) == "" {
				before = before[:line]
			}
		}
		text(&b, before)

		inner, after, err := tag(rest, kind)
		if err != nil {
			return "", err
		}
		inner, after, lineStart = ending(inner, after, kind)
		if kind == '%' && word(inner) == "raw" {
			end := endRaw.FindStringIndex(after)
			if end == nil {
				return "", errors.New("raw without endraw")
			}
			raw, mark := after[:end[0]], after[end[0]:end[1]]
			if strings.HasPrefix(mark, "{%-") {
				raw = strings.TrimRightFunc(raw, unicode.IsSpace)
			}
			text(&b, raw)
			_, after, lineStart = ending(strings.TrimSuffix(mark, "%}"), after[end[1]:], '%')
			s = after
			continue
		}
		if inner, err = expression(inner); err != nil {
			return "", err
		}
		switch kind {
		case '{':
			fmt.Fprintf(&b, "{{ %s(%s) }}", callOut, inner)
		case '%':
			statement(&b, inner)
		}
		s = after
	}
	return b.String(), nil
}

// opening finds the next tag; kind is its second letter.
func opening(s string) (at int, kind byte) {
	for at := 0; ; at++ {
		n := strings.IndexByte(s[at:], '{')
		if n < 0 || at+n+1 >= len(s) {
			return -1, 0
		}
		at += n
		if k := s[at+1]; k == '{' || k == '%' || k == '#' {
			return at, k
		}
	}
}

// text writes what is no tag, as a tag: then no blank in it can be lost.
func text(b *strings.Builder, s string) {
	if s != "" {
		b.WriteString(`{{ "` + quote(s) + `" }}`)
	}
}

func quote(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
}

// tag splits off what is between the braces, with its last sign.
func tag(s string, kind byte) (inner, after string, err error) {
	end := map[byte]string{'{': "}}", '%': "%}", '#': "#}"}[kind]
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case kind != '#' && i > maxTag:
			return "", "", fmt.Errorf("a tag has more than %d bytes", maxTag)
		case strings.HasPrefix(s[i:], end) && depth <= 0:
			return s[:i], s[i+2:], nil
		case kind == '#':
		case c == '\'' || c == '"':
			for i++; i < len(s) && s[i] != c; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		case strings.IndexByte("([{", c) >= 0:
			if depth++; depth > maxNesting {
				return "", "", fmt.Errorf("brackets lie more than %d deep", maxNesting)
			}
		case strings.IndexByte(")]}", c) >= 0:
			depth--
		}
	}
	return "", "", fmt.Errorf("a tag is not closed: {%c%.40s", kind, s)
}

// ending applies the last sign of a tag to what follows it.
func ending(inner, after string, kind byte) (string, string, bool) {
	trimmed := after
	switch {
	case strings.HasSuffix(inner, "-"):
		inner, trimmed = strings.TrimSuffix(inner, "-"), strings.TrimLeftFunc(after, unicode.IsSpace)
	case strings.HasSuffix(inner, "+") && kind != '{':
		inner = strings.TrimSuffix(inner, "+")
	case kind != '{':
		trimmed = strings.TrimPrefix(after, "\n")
	}
	gone := after[:len(after)-len(trimmed)]
	return inner, trimmed, strings.HasSuffix(gone, "\n")
}

func word(s string) string {
	s = strings.TrimSpace(s)
	return s[:len(s)-len(strings.TrimLeftFunc(s, func(r rune) bool { return r == '_' || unicode.IsLetter(r) }))]
}

func statement(b *strings.Builder, inner string) {
	w := word(inner)
	if w == "endmacro" {
		fmt.Fprintf(b, "{{ %s() }}", callLeave)
	}
	fmt.Fprintf(b, "{%% %s %%}", strings.TrimSpace(inner))
	switch w {
	case "for":
		fmt.Fprintf(b, "{{ %s() }}", callRound)
	case "macro":
		fmt.Fprintf(b, "{{ %s() }}", callEnter)
	}
}

// expression writes a tag's content again, with plain strings and our filter.
func expression(s string) (string, error) {
	var b strings.Builder
	after := byte(0) // the last byte that is no blank
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '\'' || c == '"':
			v, n := unquote(s[i:])
			b.WriteString(`"` + quote(v) + `"`)
			after = c
			i += n
		case c == '_' || unicode.IsLetter(rune(c)):
			n := 1
			for i+n < len(s) && (s[i+n] == '_' || s[i+n] < utf8.RuneSelf && (unicode.IsLetter(rune(s[i+n])) || unicode.IsDigit(rune(s[i+n])))) {
				n++
			}
			name := s[i : i+n]
			if strings.HasPrefix(name, "omx_") {
				return "", fmt.Errorf("names that begin with omx_ are ours: %.40s", name)
			}
			if ours, ok := filters[name]; ok && after == '|' {
				name = ours
			}
			b.WriteString(name)
			after = 'a'
			i += n
		default:
			if b.WriteByte(c); !unicode.IsSpace(rune(c)) {
				after = c
			}
			i++
		}
	}
	return b.String(), nil
}

// unquote reads a string of a template, which is one of Python.
func unquote(s string) (value string, n int) {
	var b strings.Builder
	q := s[0]
	i := 1
	for ; i < len(s) && s[i] != q; i++ {
		if s[i] != '\\' || i+1 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'n', 't', 'r', 'b', 'f', 'v', 'a', '0':
			b.WriteByte(map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f', 'v': '\v', 'a': '\a', '0': 0}[c])
		case '\\', '\'', '"':
			b.WriteByte(c)
		case '\n':
		case 'x', 'u', 'U':
			digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
			var r rune
			if i+digits < len(s) {
				if _, err := fmt.Sscanf(s[i+1:i+1+digits], "%x", &r); err == nil && utf8.ValidRune(r) {
					b.WriteRune(r)
					i += digits
					continue
				}
			}
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String(), min(i+1, len(s))
}
