package enginetest

import (
	"errors"
	"strings"
	"testing"

	"omx/node/engine"
)

// An answer goes past its context if it is asked to, as far as it is asked to, and
// begins as it would have without.
func testShift(t *testing.T, s Subject) {
	p := Ask(s, "Hello")
	p.MaxTokens = 300
	short, u, err := Answer(s, p)
	if err != nil || u.Finish != engine.FinishLength || u.PromptTokens+u.OutputTokens != Status(s).Context || u.Shifts != 0 {
		t.Errorf("not asked to: %+v, %v", u, err)
	}
	p.Shift, p.NumKeep = true, 4
	long, u, err := Answer(s, p)
	if err != nil || u.Finish != engine.FinishLength || u.OutputTokens != 300 || !strings.HasPrefix(long.Text, short.Text) || long.Text == short.Text {
		t.Errorf("asked to: %d bytes beyond %d, %+v, %v", len(long.Text), len(short.Text), u, err)
	}
	again, _, err := Answer(s, p)
	if err != nil || again.Text != long.Text {
		t.Errorf("again it says something else: %v", err)
	}
	// What has shifted cannot be gone on with from its text; but only its end may be missing.
	p.Begun = &engine.Begun{Text: long.Text, Tokens: 300}
	p.MaxTokens = 400
	if got, _, err := Answer(s, p); !errors.Is(err, engine.ErrCannot) || got.Text != "" {
		t.Errorf("gone on with: %q, %v, want ErrCannot", got.Text, err)
	}
}
