package enginetest

import (
	"context"
	"testing"

	"omx/node/engine"
)

// Setup is what a case asks of the engine that it is given.
type Setup struct {
	Slots, Queue int  // requests at once, and waiting ones; 0: 4, and 30 or more
	Endless      bool // answers go on to the end of the context
	Context      int  // tokens of a request; 0: 2048
	Counts       bool // the case asks for the number of a prompt's tokens
}

// Held reports that requests are kept running while something else is looked at: the
// whole context should take seconds.
func (s Setup) Held() bool { return s.Endless && s.Slots > 0 }

// Subject is an engine under test.
type Subject struct {
	engine.Engine
	// Behind is the engine that does the work, where the one under test asks another
	// server; else nil.
	Behind engine.Engine
}

// works is the engine whose slots do the work.
func (s Subject) works() engine.Engine {
	if s.Behind != nil {
		return s.Behind
	}
	return s
}

// Run runs the suite. Start is called for each case, and closes what it starts when
// the test ends; an engine that cannot do what is asked skips the test.
func Run(t *testing.T, start func(t *testing.T, s Setup) Subject) {
	cases := map[string]struct {
		Setup
		run func(t *testing.T, s Subject)
	}{
		"answers":                  {Setup{}, testAnswers},
		"same again":               {Setup{}, testSameAgain},
		"length":                   {Setup{Endless: true}, testLength},
		"context shift":            {Setup{Endless: true, Context: 128}, testShift},
		"stop text":                {Setup{}, testStopText},
		"refusals":                 {Setup{}, testRefusals},
		"reader gives up":          {Setup{Slots: 1, Endless: true}, testReaderGivesUp},
		"context ends":             {Setup{Slots: 1, Endless: true}, testContextEnds},
		"context ends in queue":    {Setup{Slots: 1, Endless: true}, testContextEndsInQueue},
		"first come, first served": {Setup{Slots: 1, Queue: 3, Endless: true}, testFirstCome},
		"all slots at once":        {Setup{Slots: 4, Endless: true}, testSlots},
		"many at once":             {Setup{Slots: 3}, testMany},
		"close":                    {Setup{Slots: 1, Endless: true}, testClose},
		"embeddings":               {Setup{}, testEmbed},
		"count":                    {Setup{Counts: true}, testCount},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { c.run(t, start(t, c.Setup)) })
	}
}

// Status is what an engine says of its first model.
func Status(e engine.Engine) engine.Status { return e.Models()[0] }

// Ask is one question to the engine's first model, for an answer of at most 64 tokens
// at a temperature of 0.
func Ask(e engine.Engine, question string) *engine.Prompt {
	return &engine.Prompt{Model: Status(e).ID, Messages: []engine.Message{{Role: "user", Content: question}}, MaxTokens: 64}
}

// Answer runs a prompt to its end; all tokens are joined to one.
func Answer(e engine.Engine, p *engine.Prompt) (all engine.Token, u engine.Usage, err error) {
	u, err = e.Generate(context.Background(), p, func(t engine.Token) error {
		if t.Thought {
			all.Thought = true
		}
		all.Text, all.N, all.Logprobs = all.Text+t.Text, all.N+t.N, append(all.Logprobs, t.Logprobs...)
		return nil
	})
	return all, u, err
}
