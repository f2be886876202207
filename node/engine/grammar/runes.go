package grammar

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// runes is a set of characters: pairs of the first and the last of a range, in
// order, with a gap between two.
type runes []rune

var (
	anyRune = runes{0, utf8.MaxRune}
	digit   = runes{'0', '9'}
	word    = runes{'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}
	blank   = runes{'\t', '\r', ' ', ' ', 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f, 0x205f, 0x205f, 0x3000, 0x3000, 0xfeff, 0xfeff}
	lineEnd = runes{'\n', '\n', '\r', '\r', 0x2028, 0x2029}

	escaped    = runes{0, 0x1f, '"', '"', '\\', '\\'} // what a JSON string cannot hold as it is
	surrogates = runes{0xd800, 0xdfff}                // which are no characters
)

// normal is the set of ranges in any order.
func normal(ranges runes) runes {
	pairs := make([][2]rune, 0, len(ranges)/2)
	for i := 0; i < len(ranges); i += 2 {
		pairs = append(pairs, [2]rune{ranges[i], ranges[i+1]})
	}
	slices.SortFunc(pairs, func(a, b [2]rune) int { return int(a[0] - b[0]) })
	var out runes
	for _, p := range pairs {
		if n := len(out); n > 0 && p[0] <= out[n-1]+1 {
			out[n-1] = max(out[n-1], p[1])
			continue
		}
		out = append(out, p[0], p[1])
	}
	return out
}

// not is the set of all others.
func (s runes) not() runes {
	var out runes
	next := rune(0)
	for i := 0; i < len(s); i += 2 {
		if s[i] > next {
			out = append(out, next, s[i]-1)
		}
		next = s[i+1] + 1
	}
	if next <= utf8.MaxRune {
		out = append(out, next, utf8.MaxRune)
	}
	return out
}

func (s runes) and(t runes) runes {
	var out runes
	for i, j := 0, 0; i < len(s) && j < len(t); {
		if from, to := max(s[i], t[j]), min(s[i+1], t[j+1]); from <= to {
			out = append(out, from, to)
		}
		if s[i+1] < t[j+1] {
			i += 2
		} else {
			j += 2
		}
	}
	return out
}

func (s runes) has(r rune) bool {
	for i := 0; i < len(s) && s[i] <= r; i += 2 {
		if r <= s[i+1] {
			return true
		}
	}
	return false
}

// key tells sets apart.
func (s runes) key() string {
	b := make([]byte, 0, 4*len(s))
	for _, r := range s {
		b = binary.LittleEndian.AppendUint32(b, uint32(r))
	}
	return string(b)
}

// bracket is the set in a grammar. What has a meaning there is written by its number.
func (s runes) bracket() string {
	var b strings.Builder
	one := func(r rune) {
		switch {
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		case r > 0x7e:
			fmt.Fprintf(&b, `\u%04x`, r)
		case r < ' ' || strings.ContainsRune(`-^[]\"`, r):
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('[')
	for i := 0; i < len(s); i += 2 {
		one(s[i])
		if s[i+1] > s[i] {
			b.WriteByte('-')
			one(s[i+1])
		}
	}
	b.WriteByte(']')
	return b.String()
}
