package node

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"omx/node/api"
	"omx/node/engine"
)

// A context shifts where it was asked to, at another node as well.
func TestContextShiftsElsewhere(t *testing.T) {
	sim := engine.SimConfig{ContextTokens: 64, Output: 100}
	nodes := connect(t, 1, Config{}, Config{Engine: newSim(t, sim)})
	c := chat(t, "m")
	c.MaxTokens = 0
	var short, long reader
	res, err := nodes[0].Chat(t.Context(), c, &short)
	if err != nil || res.PromptTokens+res.OutputTokens != 64 || res.Finish != "length" {
		t.Errorf("not asked to: %+v, %v", res, err)
	}
	c.Shift = true
	res, err = nodes[0].Chat(t.Context(), c, &long)
	if err != nil || res.OutputTokens != 100 || res.Finish != "stop" || !strings.HasPrefix(long.text.String(), short.text.String()) {
		t.Errorf("asked to: %+v, %v", res, err)
	}
}

// An answer that is lost before its context shifts goes on elsewhere, and shifts there;
// one that has shifted ends with an error, and nothing is said twice.
func TestShiftedAnswerIsLost(t *testing.T) {
	sim := engine.SimConfig{ContextTokens: 64, Output: 100}
	for after, goesOn := range map[int]bool{20: true, 80: false} {
		losing := new(atomic.Int64)
		cfg := func() Config { return Config{Engine: shaky{newSim(t, sim), after, losing}} }
		nodes := connect(t, 2, Config{}, cfg(), cfg())
		losing.Store(1)
		c := chat(t, "m")
		c.MaxTokens, c.Shift = 0, true
		want, _ := oracle(t, sim, c)
		var r reader
		res, err := nodes[0].Chat(t.Context(), c, &r)
		if goesOn {
			if err != nil || r.text.String() != want || res.Resumed != 1 {
				t.Errorf("lost after %d tokens: %+v, %v\n%q\nwant\n%q", after, res, err, r.text.String(), want)
			}
			continue
		}
		var known *api.Error
		if !errors.As(err, &known) || known.Code != "answer_interrupted" || !strings.Contains(known.Message, "shifted") || r.tokens != after || !strings.HasPrefix(want, r.text.String()) {
			t.Errorf("lost after %d tokens: %v, %d tokens\n%q", after, err, r.tokens, r.text.String())
		}
	}
}

// shifter is an engine whose contexts shift.
type shifter struct{ *engine.Sim }

func (s shifter) Generate(ctx context.Context, p *engine.Prompt, emit func(engine.Token) error) (engine.Usage, error) {
	u, err := s.Sim.Generate(ctx, p, emit)
	u.Shifts = 3
	return u, err
}

// What a shift has forgotten of a prompt is not told to others as remembered.
func TestForgottenIsNotRemembered(t *testing.T) {
	long := strings.Repeat("a long prompt of many bytes, ", 100) // 2,900 bytes
	for keep, blocks := range map[int]int{-1: 11, 0: 0, 4: 0, 200: 3, 1 << 20: 11} {
		n := started(t, Config{Name: "a", Listen: "127.0.0.1:0", Data: t.TempDir(), Engine: shifter{newSim(t, engine.SimConfig{})}})
		c := chat(t, "m")
		c.Messages[0].Content, c.Shift, c.NumKeep = long, true, &keep
		if _, err := n.Chat(t.Context(), c, &reader{}); err != nil {
			t.Fatal(err)
		}
		if got := n.remembered.of(c.Model, maxBlocks); len(got) != blocks {
			t.Errorf("keeping %d: %d blocks are remembered, want %d", keep, len(got), blocks)
		}
	}
}
