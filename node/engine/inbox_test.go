package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"omx/node/engine/frame"
)

func TestInbox(t *testing.T) {
	b := newInbox()
	b.put([]byte("a"), 1)
	b.put([]byte("b"), 2)
	b.end(&frame.Result{Output: 3}, nil)
	b.end(nil, errors.New("too late"))
	if text, n, r, err := b.next(t.Context()); text != "ab" || n != 3 || r != nil || err != nil {
		t.Errorf("first %q %d %v %v", text, n, r, err)
	}
	if text, _, r, err := b.next(t.Context()); text != "" || r == nil || r.Output != 3 || err != nil {
		t.Errorf("then %q %v %v", text, r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, _, err := newInbox().next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestInboxIsBounded(t *testing.T) {
	b := newInbox()
	piece := []byte(strings.Repeat("x", 1<<20))
	for b.put(piece, 1) {
	}
	if len(b.text) > maxPending {
		t.Errorf("%d bytes are kept", len(b.text))
	}
	_, _, _, _ = b.next(t.Context())
	if _, _, _, err := b.next(t.Context()); !errors.Is(err, errSlowReader) {
		t.Errorf("error %v", err)
	}
}

func TestTail(t *testing.T) {
	tests := []struct {
		name, want string
		writes     []string
	}{
		{"nothing", "", nil},
		{"lines", ": a | b", []string{"a\n\n", "b\n"}},
		{"the last six", ": 3 | 4 | 5 | 6 | 7 | 8", []string{"1\n2\n3\n4\n5\n6\n7\n8\n"}},
		{"control characters", ": a [31m b", []string{"a\x1b[31m\tb"}},
		{"cut at the start", ": " + strings.Repeat("x", maxStderr), []string{strings.Repeat("y", 100) + strings.Repeat("x", maxStderr)}},
		{"many writes", ": " + strings.Repeat("x", maxStderr), []string{strings.Repeat("y", 100), strings.Repeat("x", maxStderr)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var x tail
			for _, w := range tt.writes {
				if n, err := x.Write([]byte(w)); n != len(w) || err != nil {
					t.Errorf("Write = %d, %v", n, err)
				}
			}
			if got := x.lastLines(); got != tt.want {
				t.Errorf("got %.60q, want %.60q", got, tt.want)
			}
		})
	}
}
