package hosts

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
)

// tail keeps the end of what a process says, and passes whole lines on.
type tail struct {
	name string
	to   io.Writer

	mu   sync.Mutex
	last []byte
	line []byte
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, b...)
	if over := len(t.last) - stderrTail; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	if t.to == nil {
		return len(b), nil
	}
	t.line = append(t.line, b...)
	for {
		i := bytes.IndexByte(t.line, '\n')
		if i < 0 && len(t.line) < stderrTail {
			return len(b), nil
		}
		if i < 0 {
			i = len(t.line) - 1
		}
		fmt.Fprintf(t.to, "%s: %s\n", t.name, t.line[:i])
		t.line = append(t.line[:0], t.line[i+1:]...)
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := strings.TrimSpace(string(t.last)); s != "" {
		return s
	}
	return "it said nothing"
}
