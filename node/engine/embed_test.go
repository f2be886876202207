package engine

import (
	"strings"
	"sync"
	"testing"
)

// Vectors and answers are made side by side.
func TestEmbedWhileAnswering(t *testing.T) {
	l := newLocal(t, nil)
	want, _, err := answer(l, ask(l, "Who are you?"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 5 {
				if text, _, err := answer(l, ask(l, "Who are you?")); err != nil || text != want {
					t.Errorf("%q, %v", text, err)
				}
				if _, err := l.Embed(t.Context(), &EmbedRequest{Model: status(l).ID, Input: []string{"a", "b c"}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestLogprobs(t *testing.T) {
	l := newLocal(t, nil)
	p := ask(l, "What is a river?")
	plain, _, err := answer(l, p)
	if err != nil {
		t.Fatal(err)
	}
	p.Logprobs = 4
	text, told := "", ""
	u, err := l.Generate(t.Context(), p, func(tok Token) error {
		text += tok.Text
		for _, x := range tok.Logprobs {
			told += string(x.Text)
			if x.Logprob > 0 || len(x.Top) != 3 || x.Top[0].Logprob < x.Top[1].Logprob || x.Top[1].Logprob < x.Top[2].Logprob {
				t.Errorf("%+v", x)
			}
			// At a temperature of 0 the likeliest is taken.
			if string(x.Top[0].Text) != string(x.Text) || x.Top[0].Logprob != x.Logprob {
				t.Errorf("took %q, likeliest was %q", x.Text, x.Top[0].Text)
			}
		}
		return nil
	})
	if err != nil || text != plain || told != text || u.OutputTokens < 4 {
		t.Errorf("%q, of tokens %q, plain %q, %+v, %v", text, told, plain, u, err)
	}
}

// A second question that begins like one under way is not read again, wherever a slot
// is free.
func TestPrefixIsShared(t *testing.T) {
	l := newLocal(t, func(c *LocalConfig) { c.Models[0].Path = endlessModel(t); c.Slots = 2 })
	prefix := strings.Repeat("A river runs to the sea, and the sea keeps it. ", 40)
	first := ask(l, prefix+"What is a river?")
	first.Scope, first.MaxTokens = 7, 200
	var second Usage
	var err error
	n := 0
	_, err2 := l.Generate(t.Context(), first, func(Token) error {
		if n++; n == 5 { // it holds a slot: the other one takes this
			p := ask(l, prefix+"What is the sea?")
			p.Scope, p.MaxTokens = 7, 5
			_, second, err = answer(l, p)
		}
		return nil
	})
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	if second.CachedTokens < second.PromptTokens*9/10 || second.PromptTokens < 400 {
		t.Errorf("%d of %d tokens were there", second.CachedTokens, second.PromptTokens)
	}
	// It answers as it would alone.
	alone := newLocal(t, func(c *LocalConfig) { c.Models[0].Path = endlessModel(t); c.Slots = 1 })
	p := ask(alone, prefix+"What is the sea?")
	p.MaxTokens = 30
	want, _, err := answer(alone, p)
	if err != nil {
		t.Fatal(err)
	}
	p.Scope = 7
	if got, u, err := answer(l, p); err != nil || got != want || u.CachedTokens == 0 {
		t.Errorf("%q, want %q; %d cached, %v", got, want, u.CachedTokens, err)
	}
	// Nor does another tenant find what was read for this one.
	p.Scope = 8
	if _, u, err := answer(l, p); err != nil || u.CachedTokens > 8 {
		t.Errorf("another tenant: %d tokens were there, %v", u.CachedTokens, err)
	}
}
