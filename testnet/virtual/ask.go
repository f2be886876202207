package virtual

import (
	"context"
	"strings"
	"time"

	"omx/node/api"
	"omx/node/engine"
)

// Question is what a client asks. The engine's answer depends on the prompt alone.
type Question struct {
	Prompt    string
	MaxTokens int // 0: until the model ends
}

// Token is a piece of an answer, and when it came.
type Token struct {
	At   time.Duration // since the fleet began
	Text string
	N    int
}

// Answer is all that a client saw of a request.
type Answer struct {
	Question
	Via          int    // the node that was asked
	Node         string // the name of the one that answered; "" if none began to
	Asked, Ended time.Duration
	Begun        int // how often an answer began
	Tokens       []Token
	Result       api.Result
	Err          error
	Left         bool // the node that was asked was stopped, and its client with it
}

// Ask asks through a node and returns when the request has ended. A node that is
// stopped has no clients: nil.
func (f *Fleet) Ask(ctx context.Context, via int, q Question) *Answer {
	h := f.hosts[via]
	h.mu.Lock()
	n, alive := h.node, h.ctx
	h.mu.Unlock()
	if n == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(alive, cancel)()
	a := &Answer{Question: q, Via: via, Asked: f.Now()}
	zero := float32(0)
	c := &api.Chat{Model: f.model, Messages: []api.Message{{Role: "user", Content: q.Prompt}}, MaxTokens: q.MaxTokens, Temperature: &zero,
		Stream: true, Arrived: time.Now(), EstimatedPromptTokens: len(q.Prompt)/4 + 4}
	a.Result, a.Err = n.Chat(ctx, c, &listener{f: f, a: a})
	a.Ended, a.Left = f.Now(), alive.Err() != nil
	return a
}

// listener is a client. It is called by one goroutine, but a race detector should
// see it if that were not so.
type listener struct {
	f *Fleet
	a *Answer
}

// Begin implements api.Reply.
func (l *listener) Begin(m api.Meta) error {
	l.a.Begun++
	l.a.Node = m.NodeName
	return nil
}

// Token implements api.Reply.
func (l *listener) Token(t api.Token) error {
	l.a.Tokens = append(l.a.Tokens, Token{At: l.f.Now(), Text: t.Text, N: t.N})
	return nil
}

// Text is what was said.
func (a *Answer) Text() string {
	var b strings.Builder
	for _, t := range a.Tokens {
		b.WriteString(t.Text)
	}
	return b.String()
}

// Gap is the longest wait from one piece to the next, and when it began.
func (a *Answer) Gap() (longest, at time.Duration) {
	for i := 1; i < len(a.Tokens); i++ {
		if d := a.Tokens[i].At - a.Tokens[i-1].At; d > longest {
			longest, at = d, a.Tokens[i-1].At
		}
	}
	return longest, at
}

// Oracle tells what a whole answer must be.
func (f *Fleet) Oracle(q Question) (text string, usage engine.Usage, err error) {
	c := f.spec.Engine
	c.Prefill, c.Decode = 0, 0
	sim, err := f.engine(len(f.hosts)-1, c)
	if err != nil {
		return "", usage, err
	}
	defer sim.Close()
	var b strings.Builder
	p := engine.Prompt{Model: f.model, Messages: []engine.Message{{Role: "user", Content: q.Prompt}}, MaxTokens: q.MaxTokens}
	usage, err = sim.Generate(context.Background(), &p, func(t engine.Token) error {
		b.WriteString(t.Text)
		return nil
	})
	return b.String(), usage, err
}
