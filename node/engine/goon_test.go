package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"omx/node/engine/grammar"
)

// pieces is an answer as it came.
func pieces(t *testing.T, e Engine, p *Prompt) ([]Token, Usage) {
	t.Helper()
	var all []Token
	u, err := e.Generate(t.Context(), p, func(tok Token) error { all = append(all, tok); return nil })
	if err != nil {
		t.Fatalf("begun with %+v: %v", p.Begun, err)
	}
	return all, u
}

func join(all []Token) (b Begun) {
	for _, t := range all {
		if t.Thought {
			b.Thought += t.Text
		} else {
			b.Text += t.Text
		}
		b.Tokens += t.N
	}
	return b
}

// goesOn cuts an answer after each of its pieces and checks that another engine,
// given what was read by then, says what is missing and no more.
func goesOn(t *testing.T, first, second Engine, p Prompt) {
	t.Helper()
	whole, want := pieces(t, first, &p)
	cuts(t, second, p, whole, func(all Begun, u Usage) bool {
		return all == join(whole) && u.OutputTokens == want.OutputTokens && u.Finish == want.Finish && u.Stop == want.Stop && u.PromptTokens == want.PromptTokens
	})
}

// cuts shows right what an answer becomes that is cut after each of its pieces.
func cuts(t *testing.T, e Engine, p Prompt, whole []Token, right func(Begun, Usage) bool) {
	t.Helper()
	for cut := 1; cut <= len(whole); cut++ {
		head := join(whole[:cut])
		p.Begun = &head
		tail, u := pieces(t, e, &p)
		if all := join(append(whole[:cut:cut], tail...)); !right(all, u) {
			t.Errorf("stops %q, cut after %d of %d pieces, %+v:\n%+v %+v\nuncut:\n%+v", p.Stop, cut, len(whole), head, all, u, join(whole))
		}
	}
}

// Wherever a simulated answer is cut, it goes on as if it had not been.
func TestSimGoesOn(t *testing.T) {
	sim := func() *Sim {
		s, err := NewSim(SimConfig{Models: []Status{{ID: model(t, "m")}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	first, second := sim(), sim()
	for i := range 20 {
		p := ask(first, fmt.Sprintf("question %d", i))
		for _, most := range []int{0, 1, 7} {
			// Stops that come, that almost come, and that hold back what ends the answer.
			for _, stops := range [][]string{nil, {" work", "never"}, {"er light", " café and"}, {"s runs", "e a", ". .", "k!"}} {
				for _, temperature := range []float32{0, 1} {
					p.MaxTokens, p.Stop, p.Temperature, p.Seed = most, stops, temperature, uint32(i)
					goesOn(t, first, second, *p)
				}
			}
		}
	}
}

// So does that of a real model, at a temperature of 0, in another process: with text
// that is read as the model has written it.
func TestLocalGoesOn(t *testing.T) {
	first, second := newLocal(t, nil), newLocal(t, nil)
	questions := []string{"What is a river?", "What is a house?", "Hello"}
	for _, x := range exact {
		questions = append(questions, x.question)
	}
	for _, q := range questions {
		p := ask(first, q)
		goesOn(t, first, second, *p)
		p.MaxTokens = 9
		goesOn(t, first, second, *p)
		p.RepeatPenalty, p.FrequencyPenalty, p.MaxTokens = 1.3, 0.5, 24
		goesOn(t, first, second, *p)
	}
	p := &Prompt{Model: ask(first, "x").Model, Raw: "A river is", MaxTokens: 16}
	goesOn(t, first, second, *p)
}

// Where a stop text may be beginning, an answer is cut within a token, and the model
// goes on as from a text that it would not have written so. Stop texts end it all the
// same, and nothing is said twice.
func TestLocalGoesOnBeforeStops(t *testing.T) {
	first, second := newLocal(t, nil), newLocal(t, nil)
	p := ask(first, "Who are you?")
	text, _, err := answer(first, p)
	if err != nil {
		t.Fatal(err)
	}
	for i := 2; i+9 < len(text); i += 7 {
		p.Stop = []string{text[i : i+9], text[i/2:i/2+2] + "never"}
		p.Begun = nil
		whole, _ := pieces(t, first, p)
		cuts(t, second, *p, whole, func(all Begun, u Usage) bool {
			return !strings.Contains(all.Text, p.Stop[0]) && (u.Stop == "" || u.Stop == p.Stop[0]) && all.Tokens <= u.OutputTokens
		})
	}
}

// Within a grammar an answer stays within it: it may be another than in one run,
// since the grammar has the model write with other tokens than it would choose.
func TestLocalGoesOnWithinGrammar(t *testing.T) {
	first, second := newLocal(t, nil), newLocal(t, nil)
	g, err := grammar.FromSchema([]byte(`{"type":"object","required":["word","sure"],"properties":{"word":{"type":"string","maxLength":12},"sure":{"type":"boolean"}},"additionalProperties":false}`))
	if err != nil {
		t.Fatal(err)
	}
	p := ask(first, "What is a river?")
	p.Grammar = g
	whole, _ := pieces(t, first, p)
	cuts(t, second, *p, whole, func(all Begun, u Usage) bool {
		var got struct{ Word, Sure any }
		return json.Unmarshal([]byte(all.Text), &got) == nil && got.Word != nil && got.Sure != nil && all.Tokens <= u.OutputTokens
	})
	p.Begun = &Begun{Text: "no object", Tokens: 3}
	if text, _, err := answer(second, p); !errors.Is(err, ErrCannot) || text != "" {
		t.Errorf("what the grammar does not allow: %q, %v", text, err)
	}
}

// What cannot be gone on with is said to be so, and nothing is said twice.
func TestCannotGoOn(t *testing.T) {
	l := newLocal(t, nil)
	for name, edit := range map[string]func(p *Prompt){
		"no text":     func(p *Prompt) { p.Begun.Text = "a\x00b" },
		"a thought":   func(p *Prompt) { p.Begun.Thought = "hm" },
		"likelihoods": func(p *Prompt) { p.Logprobs = 1 },
		"a stop text": func(p *Prompt) { p.Stop = []string{"am"} },
	} {
		p := ask(l, "Who are you?")
		p.Begun = &Begun{Text: "I am", Tokens: 2}
		edit(p)
		if text, _, err := answer(l, p); !errors.Is(err, ErrCannot) || text != "" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	for _, n := range []int{-1, maxBegun + 1} {
		p := ask(l, "Who are you?")
		p.Begun = &Begun{Text: "I am", Tokens: n}
		if _, _, err := answer(l, p); !errors.Is(err, ErrBadPrompt) {
			t.Errorf("%d tokens: %v", n, err)
		}
	}
	// Longer than the context: there is nothing to be added.
	p := ask(l, "Who are you?")
	p.Begun, p.MaxTokens = &Begun{Text: strings.Repeat("a river ", 2000), Tokens: 4000}, 0
	if text, u, err := answer(l, p); err != nil || text != "" || u.Finish != FinishLength {
		t.Errorf("%q, %+v, %v", text, u, err)
	}
	if text, _, err := answer(l, ask(l, exact[0].question)); err != nil || text != exact[0].answer {
		t.Errorf("afterwards: %q, %v", text, err)
	}
}
