package engine

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"omx/node/engine/grammar"
)

// Whatever the model would say, its answer meets the grammar.
func TestAnswersMeetTheGrammar(t *testing.T) {
	l := newLocal(t, nil)
	schema := `{"type":"object","required":["word","kind","sure"],"properties":{
		"word":{"type":"string","minLength":1,"maxLength":12},"kind":{"enum":["noun","verb"]},
		"sure":{"type":"boolean"},"more":{"type":"array","items":{"type":"integer"},"maxItems":2}},"additionalProperties":false}`
	g, err := grammar.FromSchema([]byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	for _, temperature := range []float32{0, 1.5} {
		p := ask(l, "What is a river?")
		p.Grammar, p.Temperature, p.Seed, p.MaxTokens = g, temperature, 7, 200
		text, u, err := answer(l, p)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Word *string
			Kind string
			Sure *bool
			More []int
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.Word == nil || len(*got.Word) == 0 || got.Kind != "noun" && got.Kind != "verb" || got.Sure == nil || len(got.More) > 2 {
			t.Errorf("temperature %v: %v: %s (%+v)", temperature, err, text, u)
		}
	}
	p := ask(l, "Who are you?")
	p.Grammar, p.MaxTokens = grammar.JSON(), 400
	if text, u, err := answer(l, p); err != nil || !strings.HasPrefix(text, "{") || u.Finish == FinishStop && !json.Valid([]byte(text)) {
		t.Errorf("%q, %+v, %v", text, u, err)
	}
}

// A grammar that is none is the prompt's fault, and the worker lives.
func TestBadGrammars(t *testing.T) {
	l := newLocal(t, nil)
	for _, g := range []string{"root", "root ::= missing", "other ::= \"a\"", "root ::= root \"a\"", "root ::= \"a", "\x00", strings.Repeat("root ::= \"a\"\n", 3) + "(((((("} {
		p := ask(l, "Hello")
		p.Grammar, p.MaxTokens = g, 4
		if text, _, err := answer(l, p); err != nil && !errors.Is(err, ErrBadPrompt) {
			t.Errorf("%.40q: %q, %v", g, text, err)
		}
	}
	if text, _, err := answer(l, ask(l, exact[0].question)); err != nil || text != exact[0].answer {
		t.Errorf("%q, %v", text, err)
	}
}

// No number ends the worker. Those that are none cannot be sent to it.
func TestWildNumbers(t *testing.T) {
	l := newLocal(t, nil)
	for _, v := range []float32{-1e30, -1, 0, 1e-30, 1e30} {
		p := ask(l, "Hello")
		p.Temperature, p.TopP, p.MinP, p.PresencePenalty, p.FrequencyPenalty, p.RepeatPenalty = v, v, v, v, v, v
		p.TopK, p.RepeatLast, p.MaxTokens = math.MaxInt, math.MinInt, 4
		if _, _, err := answer(l, p); err != nil {
			t.Errorf("%v: %v", v, err)
		}
	}
	if text, _, err := answer(l, ask(l, exact[0].question)); err != nil || text != exact[0].answer {
		t.Errorf("%q, %v", text, err)
	}
}

// Text goes on as it is, and is counted.
func TestRawPrompt(t *testing.T) {
	l := newLocal(t, nil)
	p := &Prompt{Model: ask(l, "x").Model, Raw: "A river is", MaxTokens: 8}
	text, u, err := answer(l, p)
	if err != nil || text == "" || u.PromptTokens == 0 || u.PromptTokens > 10 {
		t.Errorf("%q, %+v, %v", text, u, err)
	}
	p.Messages = ask(l, "x").Messages
	if _, _, err := answer(l, p); !errors.Is(err, ErrBadPrompt) {
		t.Errorf("messages and text: %v", err)
	}
}

// A second prompt that begins the same is not read again; one of another scope
// learns nothing of it.
func TestPrefixIsKept(t *testing.T) {
	l := newLocal(t, nil)
	long := strings.Repeat("A river is a large stream of water that flows to the sea. ", 40)
	request := func(end string, scope uint64) Usage {
		p := ask(l, long+end)
		p.Scope, p.MaxTokens = scope, 2
		_, u, err := answer(l, p)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	if u := request("What is a lake?", 1); u.CachedTokens > 8 || u.PromptTokens < 500 {
		t.Errorf("the first: %+v", u)
	}
	if u := request("What is a sea?", 1); float64(u.CachedTokens) < 0.95*float64(u.PromptTokens-20) {
		t.Errorf("the second: %+v", u)
	}
	if u := request("What is a sea?", 2); u.CachedTokens != 0 {
		t.Errorf("of another scope: %+v", u)
	}
}
