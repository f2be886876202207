package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"omx/node/catalog"
)

// setup is what a case of the suite asks of an engine.
type setup struct {
	slots, queue int
	context      int
	endless      bool // answers go on to the end of the context
}

type maker func(t *testing.T, s setup) Engine

// freeWithin is how long a slot may stay taken after a request was given up.
const freeWithin = 100 * time.Millisecond

func TestConformance(t *testing.T) {
	engines := map[string]maker{
		"sim": func(t *testing.T, s setup) Engine {
			cfg := SimConfig{Models: []Status{{ID: model(t, "sim")}}, Slots: s.slots, QueueLimit: s.queue, ContextTokens: s.context, Prefill: 20 * time.Microsecond, Decode: 200 * time.Microsecond}
			if s.endless {
				cfg.Output = 1 << 20
			}
			e, err := NewSim(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close() })
			return e
		},
		"local": func(t *testing.T, s setup) Engine {
			return newLocal(t, func(c *LocalConfig) {
				c.Slots, c.QueueLimit, c.ContextTokens = s.slots, s.queue, s.context
				if s.endless {
					c.Models[0].Path = endlessModel(t)
				}
			})
		},
	}
	cases := map[string]struct {
		setup
		run func(t *testing.T, e Engine)
	}{
		"answers":                  {setup{}, testAnswers},
		"same again":               {setup{}, testSameAgain},
		"length":                   {setup{endless: true}, testLength},
		"context shift":            {setup{endless: true, context: 128}, testShift},
		"stop text":                {setup{}, testStopText},
		"refusals":                 {setup{}, testRefusals},
		"reader gives up":          {setup{slots: 1, endless: true}, testReaderGivesUp},
		"context ends":             {setup{slots: 1, endless: true}, testContextEnds},
		"context ends in queue":    {setup{slots: 1, endless: true}, testContextEndsInQueue},
		"first come, first served": {setup{slots: 1, queue: 3, endless: true}, testFirstCome},
		"all slots at once":        {setup{slots: 4, endless: true}, testSlots},
		"many at once":             {setup{slots: 3}, testMany},
		"close":                    {setup{slots: 1, endless: true}, testClose},
		"embeddings":               {setup{}, testEmbed},
		"count":                    {setup{}, testCount},
	}
	for name, makeEngine := range engines {
		t.Run(name, func(t *testing.T) {
			for name, c := range cases {
				t.Run(name, func(t *testing.T) { c.run(t, makeEngine(t, c.setup)) })
			}
		})
	}
}

func testAnswers(t *testing.T, e Engine) {
	p := ask(e, "Who are you?")
	var text string
	covered := 0
	u, err := e.Generate(t.Context(), p, func(tok Token) error {
		if tok.Text == "" || !utf8.ValidString(tok.Text) || tok.N < 1 {
			t.Errorf("token %+v", tok)
		}
		text += tok.Text
		covered += tok.N
		return nil
	})
	if err != nil || text == "" || u.Finish != FinishStop {
		t.Fatalf("%q, %+v, %v", text, u, err)
	}
	if covered != u.OutputTokens || u.PromptTokens < 4 {
		t.Errorf("%d tokens covered, usage %+v", covered, u)
	}
	if u.QueueWait > u.TTFT || u.TTFT > u.Total || u.TTFT <= 0 {
		t.Errorf("times out of order: %+v", u)
	}
	st := status(e)
	if st.State != catalog.Loaded || st.Load.Running != 0 || st.Load.Slots != 4 || st.Speed.DecodeUS == 0 || st.Speed.PrefillNS == 0 || st.Context != 2048 {
		t.Errorf("status %+v", st)
	}
}

func testSameAgain(t *testing.T, e Engine) {
	for _, temperature := range []float32{0, 1} {
		p := ask(e, "What is a river?")
		p.Temperature, p.TopP, p.TopK, p.Seed = temperature, 0.9, 40, 7
		first, _, err := answer(e, p)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := answer(e, p)
		if err != nil || again != first {
			t.Errorf("temperature %v: %q, then %q, %v", temperature, first, again, err)
		}
	}
}

func testLength(t *testing.T, e Engine) {
	p := ask(e, "Hello")
	p.MaxTokens = 5
	text, u, err := answer(e, p)
	if err != nil || u.Finish != FinishLength || u.OutputTokens != 5 || text == "" {
		t.Errorf("%q, %+v, %v", text, u, err)
	}
	p.MaxTokens = 0
	_, u, err = answer(e, p)
	if err != nil || u.Finish != FinishLength || u.PromptTokens+u.OutputTokens != status(e).Context {
		t.Errorf("to the end of the context: %+v, %v", u, err)
	}
}

func testStopText(t *testing.T, e Engine) {
	p := ask(e, "Who are you?")
	whole, _, err := answer(e, p)
	if err != nil || len(whole) < 12 {
		t.Fatal(whole, err)
	}
	for _, stop := range []string{whole[len(whole)/2 : len(whole)/2+5], whole[3:10], whole[:2]} {
		p.Stop = []string{"never said", strings.ToValidUTF8(stop, "")}
		want, _, _ := strings.Cut(whole, p.Stop[1])
		text, u, err := answer(e, p)
		if err != nil || text != want || u.Finish != FinishStop {
			t.Errorf("stop %q: %q, want %q, %+v, %v", stop, text, want, u, err)
		}
	}
}

func testRefusals(t *testing.T, e Engine) {
	eventually(t, "loaded", func() bool { return status(e).State == catalog.Loaded })
	tests := []struct {
		name string
		edit func(*Prompt)
		want error
		says string
	}{
		{"other model", func(p *Prompt) { p.Model = model(t, "other") }, ErrNoModel, "other"},
		{"no messages", func(p *Prompt) { p.Messages = nil }, ErrBadPrompt, "no messages"},
		{"many messages", func(p *Prompt) { p.Messages = make([]Message, maxMessages+1) }, ErrBadPrompt, "4097 messages"},
		{"huge", func(p *Prompt) { p.Messages[0].Content = strings.Repeat("x", maxPrompt+1) }, ErrBadPrompt, "bytes"},
		{"many stops", func(p *Prompt) { p.Stop = make([]string, maxStops+1) }, ErrBadPrompt, "17 stop"},
		{"long stop", func(p *Prompt) { p.Stop = []string{strings.Repeat("x", maxStop+1)} }, ErrBadPrompt, "1025 bytes"},
		{"too long", func(p *Prompt) { p.Messages[0].Content = strings.Repeat("a river ", 4000) }, ErrTooLong, "at most 2047"},
		{"far too long", func(p *Prompt) { p.Messages[0].Content = strings.Repeat("<", maxPrompt-4) }, ErrTooLong, "at most 2047"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := ask(e, "x")
			tt.edit(p)
			text, _, err := answer(e, p)
			if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.says) || text != "" {
				t.Errorf("error %v, want %v with %q", err, tt.want, tt.says)
			}
		})
	}
	if _, _, err := answer(e, ask(e, "x")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// hold keeps a slot busy until the returned function is called; it waits until
// the slot is taken, and afterwards until the request has ended.
func hold(t *testing.T, e Engine) (release func() error) {
	t.Helper()
	before := status(e).Load.Running
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		p := ask(e, "Hello")
		p.MaxTokens = 0
		_, err := e.Generate(ctx, p, func(Token) error { return nil })
		done <- err
	}()
	eventually(t, "a slot is taken", func() bool { return status(e).Load.Running > before })
	return func() error { cancel(); return <-done }
}

func testReaderGivesUp(t *testing.T, e Engine) {
	boom := errors.New("boom")
	n := 0
	p := ask(e, "Hello")
	p.MaxTokens = 0
	var gone time.Time
	_, err := e.Generate(t.Context(), p, func(Token) error {
		if n++; n < 3 {
			return nil
		}
		gone = time.Now()
		return boom
	})
	if !errors.Is(err, boom) || n != 3 {
		t.Errorf("error %v after %d tokens", err, n)
	}
	eventually(t, "the slot is free", func() bool { return status(e).Load.Running == 0 })
	if d := time.Since(gone); d > freeWithin {
		t.Errorf("the slot was free after %v", d)
	}
}

func testContextEnds(t *testing.T, e Engine) {
	release := hold(t, e)
	began := time.Now()
	if err := release(); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	eventually(t, "the slot is free", func() bool { return status(e).Load.Running == 0 })
	d := time.Since(began)
	if d > freeWithin {
		t.Errorf("the slot was free after %v", d)
	}
	t.Logf("slot free after %v", d)
}

func testContextEndsInQueue(t *testing.T, e Engine) {
	release := hold(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := e.Generate(ctx, ask(e, "x"), func(Token) error { return nil })
		done <- err
	}()
	eventually(t, "one waits", func() bool { return status(e).Load.Queued == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if l := status(e).Load; l.Queued != 0 || l.Running != 1 {
		t.Errorf("load %+v", l)
	}
	release()
}

func testFirstCome(t *testing.T, e Engine) {
	release := hold(t, e)
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			p := ask(e, "x")
			p.MaxTokens = 2
			seen := false
			_, err := e.Generate(t.Context(), p, func(Token) error {
				mu.Lock()
				defer mu.Unlock()
				if !seen {
					order = append(order, i)
				}
				seen = true
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		eventually(t, "it waits", func() bool { return status(e).Load.Queued == uint32(i+1) })
	}
	if _, _, err := answer(e, ask(e, "x")); !errors.Is(err, ErrBusy) {
		t.Errorf("with a full queue: %v, want ErrBusy", err)
	}
	release()
	wg.Wait()
	if fmt.Sprint(order) != "[0 1 2]" {
		t.Errorf("served in the order %v", order)
	}
}

func testSlots(t *testing.T, e Engine) {
	var release []func() error
	for range 4 {
		release = append(release, hold(t, e))
	}
	if l := status(e).Load; l.Running != 4 || l.Queued != 0 {
		t.Errorf("load %+v", l)
	}
	for _, r := range release {
		if err := r(); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
}

func testMany(t *testing.T, e Engine) {
	want, _, err := answer(e, ask(e, "Who are you?"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if text, _, err := answer(e, ask(e, "Who are you?")); err != nil || text != want {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
	wg.Wait()
}

func testClose(t *testing.T, e Engine) {
	done := make(chan error, 2)
	for range 2 { // one runs, one waits
		go func() {
			p := ask(e, "Hello")
			p.MaxTokens = 0
			_, err := e.Generate(context.Background(), p, func(Token) error { return nil })
			done <- err
		}()
	}
	eventually(t, "one runs and one waits", func() bool { l := status(e).Load; return l.Running == 1 && l.Queued == 1 })
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-done; !errors.Is(err, ErrLost) {
			t.Errorf("error %v, want ErrLost", err)
		}
	}
	if _, _, err := answer(e, ask(e, "x")); !errors.Is(err, ErrLost) {
		t.Errorf("after Close: %v, want ErrLost", err)
	}
	if err := e.Close(); err != nil {
		t.Error("second Close:", err)
	}
}
