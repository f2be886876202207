package upstream

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"omx/node/catalog"
	"omx/node/engine"
)

// setup is what a case asks of the upstream and of the engine behind it.
type setup struct {
	slots, queue int
	endless      bool // answers go on to the end of the context
}

// freeWithin is how long a slot may stay taken after a request was given up;
// leftWithin the same at the server, which has to notice first. Endless answers
// take ten times as long.
const (
	freeWithin = 100 * time.Millisecond
	leftWithin = time.Second
)

// The suite of package engine, as far as it makes sense for an engine elsewhere.
func TestConformance(t *testing.T) {
	cases := map[string]struct {
		setup
		run func(t *testing.T, u *Upstream, behind *engine.Sim)
	}{
		"answers":                  {setup{}, testAnswers},
		"same again":               {setup{}, testSameAgain},
		"raw":                      {setup{}, testRaw},
		"length":                   {setup{endless: true}, testLength},
		"stop text":                {setup{}, testStopText},
		"embeds":                   {setup{}, testEmbeds},
		"refusals":                 {setup{}, testRefusals},
		"reader gives up":          {setup{slots: 1, endless: true}, testReaderGivesUp},
		"context ends":             {setup{slots: 1, endless: true}, testContextEnds},
		"context ends in queue":    {setup{slots: 1, endless: true}, testContextEndsInQueue},
		"first come, first served": {setup{slots: 1, queue: 3, endless: true}, testFirstCome},
		"many at once":             {setup{slots: 3}, testMany},
		"close":                    {setup{slots: 1, endless: true}, testClose},
	}
	for _, kind := range []Kind{OpenAI, Ollama} {
		t.Run(string(kind), func(t *testing.T) {
			for name, c := range cases {
				t.Run(name, func(t *testing.T) {
					cfg := engine.SimConfig{Models: []engine.Status{{ID: id(t, "sim")}}, Slots: 16, Prefill: 20 * time.Microsecond, Decode: 200 * time.Microsecond}
					if c.endless {
						cfg.Output = 1 << 20
					}
					if c.slots == 1 {
						cfg.Decode = 5 * time.Millisecond
					}
					sim, err := engine.NewSim(cfg)
					if err != nil {
						t.Fatal(err)
					}
					handler := fakeOpenAI(sim)
					if kind == Ollama {
						handler = fakeOllama(sim)
					}
					// The API is found out.
					c.run(t, start(t, Config{URL: serve(t, handler).URL, Slots: c.slots, QueueLimit: c.queue}), sim)
				})
			}
		})
	}
}

func testAnswers(t *testing.T, u *Upstream, behind *engine.Sim) {
	want, _, err := answerOf(behind, ask(behind, "Who are you?"))
	if err != nil {
		t.Fatal(err)
	}
	text, covered := "", 0
	use, err := u.Generate(t.Context(), ask(u, "Who are you?"), func(tok engine.Token) error {
		if tok.Text == "" || !utf8.ValidString(tok.Text) || tok.N < 1 {
			t.Errorf("token %+v", tok)
		}
		text, covered = text+tok.Text, covered+tok.N
		return nil
	})
	if err != nil || text != want.Text || use.Finish != engine.FinishStop {
		t.Fatalf("%q, want %q, %+v, %v", text, want.Text, use, err)
	}
	if covered != use.OutputTokens || use.PromptTokens < 4 {
		t.Errorf("%d tokens covered, usage %+v", covered, use)
	}
	if use.QueueWait > use.TTFT || use.TTFT > use.Total || use.TTFT <= 0 {
		t.Errorf("times out of order: %+v", use)
	}
	st := status(u)
	if st.ID.String() != "sim" || st.State != catalog.Loaded || st.Load.Running != 0 || st.Load.Slots != 4 || st.Speed.DecodeUS == 0 || st.Speed.PrefillNS < 20_000 || st.Context != 2048 {
		t.Errorf("status %+v", st)
	}
}

func testSameAgain(t *testing.T, u *Upstream, _ *engine.Sim) {
	said := map[string]bool{}
	for _, temperature := range []float32{0, 1} {
		p := ask(u, "What is a river?")
		p.Temperature, p.TopP, p.TopK, p.Seed = temperature, 0.9, 40, 7
		first, _, err := answerOf(u, p)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := answerOf(u, p)
		if err != nil || again.Text != first.Text {
			t.Errorf("temperature %v: %q, then %q, %v", temperature, first.Text, again.Text, err)
		}
		said[first.Text] = true
	}
	if len(said) != 2 {
		t.Error("temperature and seed did not arrive")
	}
}

func testRaw(t *testing.T, u *Upstream, behind *engine.Sim) {
	p := &engine.Prompt{Model: status(u).ID, Raw: "Once upon a time"}
	want, _, _ := answerOf(behind, p)
	got, use, err := answerOf(u, p)
	if err != nil || got.Text != want.Text || use.PromptTokens != 4 {
		t.Errorf("%q, want %q, %+v, %v", got.Text, want.Text, use, err)
	}
}

func testLength(t *testing.T, u *Upstream, _ *engine.Sim) {
	p := ask(u, "Hello")
	p.MaxTokens = 5
	got, use, err := answerOf(u, p)
	if err != nil || use.Finish != engine.FinishLength || use.OutputTokens != 5 || got.Text == "" {
		t.Errorf("%q, %+v, %v", got.Text, use, err)
	}
	p.MaxTokens = 0
	_, use, err = answerOf(u, p)
	if err != nil || use.Finish != engine.FinishLength || use.PromptTokens+use.OutputTokens != status(u).Context {
		t.Errorf("to the end of the context: %+v, %v", use, err)
	}
}

func testStopText(t *testing.T, u *Upstream, _ *engine.Sim) {
	whole, _, err := answerOf(u, ask(u, "Who are you?"))
	if err != nil || len(whole.Text) < 12 {
		t.Fatal(whole, err)
	}
	for _, first := range []int{0, 6} { // the seventh is more than OpenAI's API takes
		p := ask(u, "Who are you?")
		for range first {
			p.Stop = append(p.Stop, "never said")
		}
		stop := strings.ToValidUTF8(whole.Text[len(whole.Text)/2:len(whole.Text)/2+5], "")
		p.Stop = append(p.Stop, stop)
		want, _, _ := strings.Cut(whole.Text, stop)
		got, use, err := answerOf(u, p)
		if err != nil || got.Text != want || use.Finish != engine.FinishStop {
			t.Errorf("stop %q: %q, want %q, %+v, %v", stop, got.Text, want, use, err)
		}
	}
	eventually(t, "all slots are free", func() bool { return status(u).Load.Running == 0 })
}

func testEmbeds(t *testing.T, u *Upstream, behind *engine.Sim) {
	r := &engine.EmbedRequest{Model: status(u).ID, Input: []string{"a river", "a stone", "light"}}
	want, err := behind.Embed(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := u.Embed(t.Context(), r)
	if err != nil || len(got.Vectors) != 3 || got.PromptTokens != want.PromptTokens || got.Total <= 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i := range want.Vectors {
		for j, x := range want.Vectors[i] {
			if d := got.Vectors[i][j] - x; d > 1e-6 || d < -1e-6 {
				t.Fatalf("vector %d: %v, want %v", i, got.Vectors[i], want.Vectors[i])
			}
		}
	}
	r.Input = []string{strings.Repeat("a river ", 4000)}
	if _, err := u.Embed(t.Context(), r); !errors.Is(err, engine.ErrTooLong) {
		t.Errorf("%v, want ErrTooLong", err)
	}
}

func testRefusals(t *testing.T, u *Upstream, _ *engine.Sim) {
	tests := []struct {
		name string
		edit func(*engine.Prompt)
		want error
	}{
		{"other model", func(p *engine.Prompt) { p.Model = id(t, "other") }, engine.ErrNoModel},
		{"no messages", func(p *engine.Prompt) { p.Messages = nil }, engine.ErrBadPrompt},
		{"too long", func(p *engine.Prompt) { p.Messages[0].Content = strings.Repeat("a river ", 4000) }, engine.ErrTooLong},
		{"a grammar alone", func(p *engine.Prompt) { p.Grammar = "root ::= [a-z]" }, engine.ErrCannot},
	}
	for _, tt := range tests {
		p := ask(u, "x")
		tt.edit(p)
		if got, _, err := answerOf(u, p); !errors.Is(err, tt.want) || got.Text != "" {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, _, err := answerOf(u, ask(u, "x")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// hold keeps a slot busy until the returned function is called.
func hold(t *testing.T, u *Upstream, behind *engine.Sim) (release func() error) {
	t.Helper()
	before := status(behind).Load.Running
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		p := ask(u, "Hello")
		p.MaxTokens = 0
		_, err := u.Generate(ctx, p, func(engine.Token) error { return nil })
		done <- err
	}()
	eventually(t, "the server works", func() bool { return status(behind).Load.Running > before })
	return func() error { cancel(); return <-done }
}

// isFree fails if a slot here or at the server is taken for long after a moment.
func isFree(t *testing.T, u *Upstream, behind *engine.Sim, since time.Time) {
	t.Helper()
	eventually(t, "the slot here is free", func() bool { return status(u).Load.Running == 0 })
	here := time.Since(since)
	eventually(t, "the slot there is free", func() bool { return status(behind).Load.Running == 0 })
	there := time.Since(since)
	if here > freeWithin || there > leftWithin {
		t.Errorf("the slot was free after %v here, %v there", here, there)
	}
	t.Logf("the slot was free after %v here, %v there", here.Round(time.Microsecond), there.Round(time.Microsecond))
}

func testReaderGivesUp(t *testing.T, u *Upstream, behind *engine.Sim) {
	boom := errors.New("boom")
	n := 0
	p := ask(u, "Hello")
	p.MaxTokens = 0
	var gone time.Time
	_, err := u.Generate(t.Context(), p, func(engine.Token) error {
		if n++; n < 3 {
			return nil
		}
		gone = time.Now()
		return boom
	})
	if !errors.Is(err, boom) || n != 3 {
		t.Errorf("error %v after %d tokens", err, n)
	}
	isFree(t, u, behind, gone)
}

func testContextEnds(t *testing.T, u *Upstream, behind *engine.Sim) {
	release := hold(t, u, behind)
	began := time.Now()
	if err := release(); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	isFree(t, u, behind, began)
}

func testContextEndsInQueue(t *testing.T, u *Upstream, behind *engine.Sim) {
	release := hold(t, u, behind)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := u.Generate(ctx, ask(u, "x"), func(engine.Token) error { return nil })
		done <- err
	}()
	eventually(t, "one waits", func() bool { return status(u).Load.Queued == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if l := status(u).Load; l.Queued != 0 || l.Running != 1 {
		t.Errorf("load %+v", l)
	}
	release()
}

func testFirstCome(t *testing.T, u *Upstream, behind *engine.Sim) {
	release := hold(t, u, behind)
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			p := ask(u, "x")
			p.MaxTokens = 1
			if _, err := u.Generate(t.Context(), p, func(engine.Token) error {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
		eventually(t, "it waits", func() bool { return status(u).Load.Queued == uint32(i+1) })
	}
	if _, _, err := answerOf(u, ask(u, "x")); !errors.Is(err, engine.ErrBusy) {
		t.Errorf("with a full queue: %v, want ErrBusy", err)
	}
	release()
	wg.Wait()
	if len(order) != 3 || order[0] != 0 || order[1] != 1 || order[2] != 2 {
		t.Errorf("served in the order %v", order)
	}
}

func testMany(t *testing.T, u *Upstream, _ *engine.Sim) {
	want, _, err := answerOf(u, ask(u, "Who are you?"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if got, _, err := answerOf(u, ask(u, "Who are you?")); err != nil || got.Text != want.Text {
				t.Errorf("%q, %v", got.Text, err)
			}
		})
	}
	wg.Wait()
}

func testClose(t *testing.T, u *Upstream, behind *engine.Sim) {
	done := make(chan error, 2)
	for range 2 { // one runs, one waits
		go func() {
			p := ask(u, "Hello")
			p.MaxTokens = 0
			_, err := u.Generate(context.Background(), p, func(engine.Token) error { return nil })
			done <- err
		}()
	}
	eventually(t, "one runs and one waits", func() bool { l := status(u).Load; return l.Running == 1 && l.Queued == 1 })
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-done; !errors.Is(err, engine.ErrLost) {
			t.Errorf("error %v, want ErrLost", err)
		}
	}
	if _, _, err := answerOf(u, ask(u, "x")); !errors.Is(err, engine.ErrLost) {
		t.Errorf("after Close: %v, want ErrLost", err)
	}
	eventually(t, "the server is left", func() bool { return status(behind).Load.Running == 0 })
	if err := u.Close(); err != nil {
		t.Error("second Close:", err)
	}
}
