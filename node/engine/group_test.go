package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// member is a Sim of which single models may be unusable.
type member struct {
	*Sim
	bad             string
	started, closed int
}

func (p *member) Models() []Status {
	all := p.Sim.Models()
	for i := range all {
		if all[i].ID.String() == p.bad {
			all[i].Err = p.bad + " is broken"
		}
	}
	return all
}

func (p *member) Start(context.Context) error { p.started++; return nil }

func (p *member) Close() error {
	p.closed++
	if err := p.Sim.Close(); err != nil {
		return err
	}
	return fmt.Errorf("closed %d", p.Sim.cfg.Seed)
}

func newPart(t *testing.T, seed uint64, bad string, models ...string) *member {
	t.Helper()
	cfg := SimConfig{Seed: seed}
	for _, m := range models {
		cfg.Models = append(cfg.Models, Status{ID: model(t, m), Bytes: int64(seed)})
	}
	s, err := NewSim(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &member{Sim: s, bad: bad}
}

func TestGroup(t *testing.T) {
	parts := []*member{newPart(t, 1, "b", "a", "b"), newPart(t, 2, "c", "b", "a", "c"), newPart(t, 3, "", "d")}
	g := NewGroup(parts[0], parts[1], parts[2])
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, st := range g.Models() {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %d %s", st.ID, st.Bytes, st.Err)))
	}
	if all := strings.Join(got, ","); all != "a 1,b 2,c 2 c is broken,d 3" {
		t.Errorf("models %q", all)
	}
	for name, by := range map[string]*member{"a": parts[0], "b": parts[1], "c": parts[1], "d": parts[2]} {
		p := &Prompt{Model: model(t, name), Messages: []Message{{Role: "user", Content: "Who are you?"}}}
		want, _, err := answer(by, p)
		if err != nil {
			t.Fatal(err)
		}
		if text, u, err := answer(g, p); err != nil || text != want || u.OutputTokens == 0 {
			t.Errorf("%s: %q, want %q, %v", name, text, want, err)
		}
		r := &EmbedRequest{Model: p.Model, Input: []string{"x"}}
		e, err := g.Embed(t.Context(), r)
		one, _ := by.Embed(t.Context(), r)
		if err != nil || fmt.Sprint(e.Vectors) != fmt.Sprint(one.Vectors) {
			t.Errorf("%s: %v, %v", name, e, err)
		}
		if n, err := g.Count(t.Context(), p); n != 7 || err != nil {
			t.Errorf("%s: counted %d, %v", name, n, err)
		}
	}
	none := &Prompt{Model: model(t, "e"), Raw: "x"}
	if _, _, err := answer(g, none); !errors.Is(err, ErrNoModel) {
		t.Error(err)
	}
	if _, err := g.Count(t.Context(), none); !errors.Is(err, ErrNoModel) {
		t.Error(err)
	}
	if _, err := g.Embed(t.Context(), &EmbedRequest{Model: none.Model, Input: []string{"x"}}); !errors.Is(err, ErrNoModel) {
		t.Error(err)
	}
	if err := g.Close(); err == nil || strings.Count(err.Error(), "closed") != 3 {
		t.Errorf("close = %v", err)
	}
	for _, p := range parts {
		if p.started != 1 || p.closed != 1 {
			t.Errorf("started %d times, closed %d times", p.started, p.closed)
		}
	}
}
