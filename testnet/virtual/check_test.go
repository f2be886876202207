package virtual

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"omx/node"
	"omx/node/api"
	"omx/node/engine"
	"omx/node/nodetest"
)

// twice is an engine that says a token twice.
type twice struct{ engine.Engine }

func (e twice) Generate(ctx context.Context, p *engine.Prompt, emit func(engine.Token) error) (engine.Usage, error) {
	n := 0
	return e.Engine.Generate(ctx, p, func(t engine.Token) error {
		if n++; n == 2 {
			if err := emit(t); err != nil {
				return err
			}
		}
		return emit(t)
	})
}

// A checker that finds nothing may be one that looks at nothing: fleets with a fault
// of their own must be found out.
func TestFaultyFleetsAreFoundOut(t *testing.T) {
	death := Fault{Kind: Death, At: time.Second, Node: []int{1}}
	cut := Fault{Kind: Split, At: time.Second, For: 8 * time.Second, Node: []int{0}}
	q := []Asked{{At: 100 * time.Millisecond, Question: Question{Prompt: "x", MaxTokens: 10}}}
	for name, c := range map[string]struct {
		fault  Fault
		adjust func(i int, c *node.Config)
		want   string
	}{
		"nobody notices a death": {death, func(_ int, c *node.Config) { c.PeerTimeout = 10 * time.Second }, "is a candidate in the eyes of"},
		"tokens come twice":      {death, func(_ int, c *node.Config) { c.Engine = twice{c.Engine} }, "is not how"},
		"a node does not know its peers": {cut, func(i int, c *node.Config) {
			if i == 0 {
				c.Peers = c.Peers[:1]
			}
		}, "up: false"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			nodetest.Bubble(t, func(t *testing.T) {
				s := &Scenario{Seed: 1, Nodes: 3, Holders: 3, RTT: 20 * time.Millisecond, Faults: []Fault{c.fault}, Asked: q}
				r, err := Play(t.Context(), s, Spec{Dir: dir, Adjust: c.adjust})
				switch {
				case err != nil && strings.Contains(err.Error(), c.want): // it never came up
				case err != nil || !strings.Contains(strings.Join(r.Broken, "\n"), c.want):
					t.Errorf("want %q: %v, %+v", c.want, err, r)
				}
			})
		})
	}
}

func TestWrongAnswersAreFoundOut(t *testing.T) {
	m := nodetest.Model(t, model)
	f := &Fleet{spec: Spec{Nodes: 1, Holders: 1}, model: m, hosts: make([]*host, 1)}
	r := &play{Scenario: &Scenario{}, f: f}
	q := Question{Prompt: "x", MaxTokens: 5}
	text, usage, err := f.Oracle(q)
	if err != nil {
		t.Fatal(err)
	}
	whole := func() *Answer {
		return &Answer{Question: q, Begun: 1, Tokens: []Token{{Text: text, N: usage.OutputTokens}},
			Result: api.Result{OutputTokens: usage.OutputTokens, Finish: string(usage.Finish)}}
	}
	if w := r.wrong(whole()); len(w) > 0 {
		t.Fatalf("a good answer: %v", w)
	}
	for name, spoil := range map[string]func(a *Answer){
		"cut off":     func(a *Answer) { a.Tokens[0].Text = text[:3] },
		"other words": func(a *Answer) { a.Tokens[0].Text = "?" + text[1:] },
		"doubled":     func(a *Answer) { a.Tokens = append(a.Tokens, a.Tokens[0]) },
		"begun twice": func(a *Answer) { a.Begun = 2 },
		"not begun":   func(a *Answer) { a.Begun = 0 },
		"miscounted":  func(a *Answer) { a.Result.OutputTokens++ },
		"late":        func(a *Answer) { a.Ended = endIn + time.Second },
		"bare error":  func(a *Answer) { a.Err = errors.New("eof") },
		"left":        func(a *Answer) { a.Err, a.Left = errors.New("eof"), true },
	} {
		a := whole()
		if spoil(a); len(r.wrong(a)) == 0 {
			t.Errorf("%s: not found out", name)
		}
	}
}

// The same seed draws the same scenario, each kind of fault is drawn, and no two
// that cannot be told apart afterwards.
func TestDraw(t *testing.T) {
	kinds := map[Kind]int{}
	for seed := range uint64(500) {
		s := Draw(seed)
		if s.String() != Draw(seed).String() {
			t.Fatalf("seed %d draws two scenarios", seed)
		}
		moved, touched := 0, map[int]int{}
		for _, f := range s.Faults {
			kinds[f.Kind]++
			switch f.Kind {
			case Rebind:
				moved++
				fallthrough
			case Pause, Restart, Death:
				touched[f.Node[0]]++
			}
		}
		for n, k := range touched {
			if k > 1 || moved > 1 {
				t.Errorf("seed %d: node %d is touched %d times, %d move", seed, n, k, moved)
			}
		}
	}
	for _, k := range []Kind{Loss, Bursts, Mess, Slow, Split, OneWay, Pause, Rebind, Restart, Death} {
		if kinds[k] < 20 {
			t.Errorf("%s was drawn %d times in 500 seeds", k, kinds[k])
		}
	}
}
