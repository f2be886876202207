package engine

import (
	"bytes"
	"strings"
	"sync"
	"unicode"
)

// tail keeps the last maxStderr bytes written to it, but nothing of the stacks
// and registers that Go prints when it crashes: they would push out why.
type tail struct {
	mu  sync.Mutex
	buf []byte
	cut bool // the rest is stacks
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cut {
		return len(b), nil
	}
	t.buf = append(t.buf, b...)
	if i := bytes.Index(t.buf, []byte("\ngoroutine ")); i >= 0 {
		t.buf, t.cut = t.buf[:i], true
	}
	if over := len(t.buf) - maxStderr; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

// lastLines is ": " and the last lines as one, or "" if there are none.
func (t *tail) lastLines() string {
	const lines = 6
	t.mu.Lock()
	defer t.mu.Unlock()
	var last []string
	for line := range strings.Lines(strings.ToValidUTF8(string(t.buf), "?")) {
		line = strings.TrimSpace(strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, line))
		if line != "" {
			last = append(last, line)
		}
	}
	if len(last) == 0 {
		return ""
	}
	return ": " + strings.Join(last[max(0, len(last)-lines):], " | ")
}
