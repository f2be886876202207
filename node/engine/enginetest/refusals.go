package enginetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"omx/node/catalog"
	"omx/node/engine"
	"omx/node/nodetest"
)

// The bounds of a prompt, which are those of package engine.
const (
	maxMessages = 4096
	maxPrompt   = 8 << 20
	maxStops    = 16
	maxStop     = 1024
)

func testRefusals(t *testing.T, s Subject) {
	nodetest.Eventually(t, "loaded", func() bool { return Status(s).State == catalog.Loaded })
	type refusal struct {
		name string
		edit func(*engine.Prompt)
		want error
		says string
	}
	tests := []refusal{
		{"other model", func(p *engine.Prompt) { p.Model = nodetest.Model(t, "other") }, engine.ErrNoModel, "other"},
		{"no messages", func(p *engine.Prompt) { p.Messages = nil }, engine.ErrBadPrompt, "no messages"},
		{"many messages", func(p *engine.Prompt) { p.Messages = make([]engine.Message, maxMessages+1) }, engine.ErrBadPrompt, "4097 messages"},
		{"huge", func(p *engine.Prompt) { p.Messages[0].Content = strings.Repeat("x", maxPrompt+1) }, engine.ErrBadPrompt, "bytes"},
		{"many stops", func(p *engine.Prompt) { p.Stop = make([]string, maxStops+1) }, engine.ErrBadPrompt, "17 stop"},
		{"long stop", func(p *engine.Prompt) { p.Stop = []string{strings.Repeat("x", maxStop+1)} }, engine.ErrBadPrompt, "1025 bytes"},
		{"too long", func(p *engine.Prompt) { p.Messages[0].Content = strings.Repeat("a river ", 4000) }, engine.ErrTooLong, "at most 2047"},
	}
	if s.Behind == nil { // a server would be sent it as JSON, six bytes a sign, and refuse it as the one before
		tests = append(tests, refusal{"far too long", func(p *engine.Prompt) { p.Messages[0].Content = strings.Repeat("<", maxPrompt-4) }, engine.ErrTooLong, "at most 2047"})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Ask(s, "x")
			tt.edit(p)
			got, _, err := Answer(s, p)
			if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.says) || got.Text != "" {
				t.Errorf("error %v, want %v with %q", err, tt.want, tt.says)
			}
		})
	}
	if _, _, err := Answer(s, Ask(s, "x")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
