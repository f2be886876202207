package enginetest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"omx/node/catalog"
	"omx/node/engine"
	"omx/node/nodetest"
)

func testAnswers(t *testing.T, s Subject) {
	var text string
	covered := 0
	u, err := s.Generate(t.Context(), Ask(s, "Who are you?"), func(tok engine.Token) error {
		if tok.Text == "" || !utf8.ValidString(tok.Text) || tok.N < 1 {
			t.Errorf("token %+v", tok)
		}
		text += tok.Text
		covered += tok.N
		return nil
	})
	if err != nil || text == "" || u.Finish != engine.FinishStop {
		t.Fatalf("%q, %+v, %v", text, u, err)
	}
	if covered != u.OutputTokens || u.PromptTokens < 4 {
		t.Errorf("%d tokens covered, usage %+v", covered, u)
	}
	if u.QueueWait > u.TTFT || u.TTFT > u.Total || u.TTFT <= 0 || u.Prefill < 0 || u.Prefill > u.TTFT-u.QueueWait {
		t.Errorf("times out of order: %+v", u)
	}
	st := Status(s)
	if st.State != catalog.Loaded || st.Load.Running != 0 || st.Load.Slots != 4 || st.Speed.DecodeUS == 0 || st.Speed.PrefillNS == 0 || st.Context != 2048 {
		t.Errorf("status %+v", st)
	}
}

func testSameAgain(t *testing.T, s Subject) {
	for _, temperature := range []float32{0, 1} {
		p := Ask(s, "What is a river?")
		p.Temperature, p.TopP, p.TopK, p.Seed = temperature, 0.9, 40, 7
		first, _, err := Answer(s, p)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := Answer(s, p)
		if err != nil || again.Text != first.Text {
			t.Errorf("temperature %v: %q, then %q, %v", temperature, first.Text, again.Text, err)
		}
	}
}

func testLength(t *testing.T, s Subject) {
	p := Ask(s, "Hello")
	p.MaxTokens = 5
	got, u, err := Answer(s, p)
	if err != nil || u.Finish != engine.FinishLength || u.OutputTokens != 5 || got.Text == "" {
		t.Errorf("%q, %+v, %v", got.Text, u, err)
	}
	p.MaxTokens = 0
	_, u, err = Answer(s, p)
	if err != nil || u.Finish != engine.FinishLength || u.PromptTokens+u.OutputTokens != Status(s).Context {
		t.Errorf("to the end of the context: %+v, %v", u, err)
	}
}

// A stop text ends an answer wherever it stands among the stop texts: a server may
// take fewer of them than an engine does.
func testStopText(t *testing.T, s Subject) {
	p := Ask(s, "Who are you?")
	got, _, err := Answer(s, p)
	whole := got.Text
	if err != nil || len(whole) < 12 {
		t.Fatal(whole, err)
	}
	for _, stop := range []string{whole[len(whole)/2 : len(whole)/2+5], whole[3:10], whole[:2]} {
		stop = strings.ToValidUTF8(stop, "")
		want, _, _ := strings.Cut(whole, stop)
		for _, others := range []int{0, 1, 6} {
			p.Stop = nil
			for range others {
				p.Stop = append(p.Stop, "never said")
			}
			p.Stop = append(p.Stop, stop)
			got, u, err := Answer(s, p)
			if err != nil || got.Text != want || u.Finish != engine.FinishStop {
				t.Errorf("stop %q behind %d others: %q, want %q, %+v, %v", stop, others, got.Text, want, u, err)
			}
		}
	}
	nodetest.Eventually(t, "all slots are free", func() bool { return Status(s).Load.Running == 0 })
}

func testCount(t *testing.T, s Subject) {
	p := Ask(s, "Who are you?")
	n, err := s.Count(t.Context(), p)
	_, u, err2 := Answer(s, p)
	if err != nil || err2 != nil || n != u.PromptTokens {
		t.Errorf("%d tokens, the answer says %d; %v %v", n, u.PromptTokens, err, err2)
	}
	p.Model = nodetest.Model(t, "other")
	if _, err := s.Count(t.Context(), p); !errors.Is(err, engine.ErrNoModel) {
		t.Error(err)
	}
}

func testEmbed(t *testing.T, s Subject) {
	id := Status(s).ID
	texts := []string{"A river runs to the sea.", "A river runs into the ocean.", "The node keeps a model.", strings.Repeat("a river ", 100)}
	for len(texts) < 80 { // more than one step takes
		texts = append(texts, fmt.Sprintf("This is text number %d, of some length.", len(texts)))
	}
	all, err := s.Embed(t.Context(), &engine.EmbedRequest{Model: id, Input: texts})
	if err != nil || len(all.Vectors) != len(texts) || all.PromptTokens < len(texts) || all.Total <= 0 {
		t.Fatalf("%d vectors, %d tokens, %v", len(all.Vectors), all.PromptTokens, err)
	}
	for i, v := range all.Vectors {
		if length := dot(v, v); math.Abs(length-1) > 1e-4 || len(v) != len(all.Vectors[0]) {
			t.Errorf("vector %d: %d numbers, length %v", i, len(v), length)
		}
	}
	// The same text alone has the same vector.
	for _, i := range []int{0, 3, 79} {
		one, err := s.Embed(t.Context(), &engine.EmbedRequest{Model: id, Input: texts[i : i+1]})
		if err != nil || dot(one.Vectors[0], all.Vectors[i]) < 0.999 {
			t.Errorf("text %d alone: %v, %v", i, err, one)
		}
	}
	if dot(all.Vectors[0], all.Vectors[2]) > 0.9999 {
		t.Error("different texts have the same vector")
	}
	for _, c := range []struct {
		r    engine.EmbedRequest
		want error
	}{
		{engine.EmbedRequest{Model: nodetest.Model(t, "other"), Input: texts}, engine.ErrNoModel},
		{engine.EmbedRequest{Model: id}, engine.ErrBadPrompt},
		{engine.EmbedRequest{Model: id, Input: []string{"a", ""}}, engine.ErrBadPrompt},
		{engine.EmbedRequest{Model: id, Input: []string{strings.Repeat("a river ", 4000)}}, engine.ErrTooLong},
	} {
		if _, err := s.Embed(t.Context(), &c.r); !errors.Is(err, c.want) {
			t.Errorf("%.60v: %v, want %v", c.r, err, c.want)
		}
	}
	if cut, err := s.Embed(t.Context(), &engine.EmbedRequest{Model: id, Input: []string{strings.Repeat("a river ", 4000)}, Truncate: true}); err != nil || cut.PromptTokens > 2048 {
		t.Errorf("cut: %d tokens, %v", cut.PromptTokens, err)
	}
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
