package engine

import (
	"strings"
	"sync"
	"unicode"
)

// tail keeps the last maxStderr bytes written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b[max(0, len(b)-maxStderr):]...)
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
