package text

import (
	"strings"
	"unicode/utf8"
)

// Buffer turns the bytes of tokens into text: it holds back what
// may yet become a stop string or is half of a UTF-8 sequence. What comes out
// does not depend on how the bytes were split into tokens.
type Buffer struct {
	stops []string
	held  []byte
	stop  string // that was completed
}

// New ends the text before the first of stops; empty ones are left out.
func New(stops []string) *Buffer {
	t := &Buffer{}
	for _, s := range stops {
		if s != "" {
			t.stops = append(t.stops, s)
		}
	}
	return t
}

// Add takes the bytes of a token and returns the text that is certain now.
// stopped says that a stop string was completed; it and what follows are left
// out, and nothing more may be added.
func (t *Buffer) Add(piece []byte) (out string, stopped bool) {
	t.held = append(t.held, piece...)
	if at := t.match(); at >= 0 {
		for _, s := range t.stops {
			if strings.HasPrefix(string(t.held[at:]), s) {
				t.stop = s
			}
		}
		out = valid(t.held[:at])
		t.held = nil
		return out, true
	}
	keep := max(t.possible(), partial(t.held))
	sure := len(t.held) - keep
	sure -= partial(t.held[:sure])
	out = valid(t.held[:sure])
	t.held = append(t.held[:0], t.held[sure:]...)
	return out, false
}

// Flush returns what was held back, at the end of an answer without a stop
// string.
func (t *Buffer) Flush() string {
	out := valid(t.held)
	t.held = nil
	return out
}

// Stop is the stop string that was completed, "" for none.
func (t *Buffer) Stop() string { return t.stop }

// match is where the stop string that is complete first begins, -1 for none.
func (t *Buffer) match() int {
	at, end := -1, len(t.held)+1
	for _, s := range t.stops {
		i := strings.Index(string(t.held), s)
		if i < 0 {
			continue
		}
		if e := i + len(s); e < end || e == end && i < at {
			at, end = i, e
		}
	}
	return at
}

// possible is the length of the longest end of held that begins a stop string.
func (t *Buffer) possible() int {
	longest := 0
	for _, s := range t.stops {
		for n := min(len(s)-1, len(t.held)); n > longest; n-- {
			if string(t.held[len(t.held)-n:]) == s[:n] {
				longest = n
				break
			}
		}
	}
	return longest
}

// partial is the length of an unfinished UTF-8 sequence at the end of b.
func partial(b []byte) int {
	for n := 1; n <= min(utf8.UTFMax-1, len(b)); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return n
			}
			return 0
		}
	}
	return 0
}

// valid replaces each byte that is not part of UTF-8.
func valid(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return string([]rune(string(b)))
}
