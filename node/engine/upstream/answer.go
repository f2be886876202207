package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"omx/node/engine"
	"omx/node/engine/text"
)

// errStopped says that a stop text has come which the server does not know.
var errStopped = errors.New("a stop text came")

// answer hands on what comes of one answer and keeps account of it.
type answer struct {
	run   context.Context // of the request
	emit  func(engine.Token) error
	gone  error // of emit: who asked is away
	texts []string
	stops []string
	one   bool // call at most
	began time.Time
	slot  time.Time // when a slot was free
	watch *time.Timer
	idle  time.Duration
	heard *atomic.Int64

	usage    engine.Usage
	told     bool // the server has said how many tokens there were
	buf      *text.Buffer
	held     int // tokens whose text is held back, and their likelihoods
	logprobs []engine.Logprob
	calls    []call
	size     int // bytes of the calls' arguments

	first, last time.Time     // pieces
	counted     int           // output tokens by pieces
	away        time.Duration // in emit, until last
	slow        time.Duration // in emit
}

func newAnswer(run context.Context, p *engine.Prompt, emit func(engine.Token) error, began time.Time, watch *time.Timer, idle time.Duration, heard *atomic.Int64) *answer {
	now := time.Now()
	return &answer{run: run, emit: emit, texts: promptTexts(p), stops: p.Stop, one: p.OneCall, began: began, slot: now, watch: watch, idle: idle, heard: heard,
		usage: engine.Usage{QueueWait: now.Sub(began)}, buf: text.New(p.Stop)}
}

// promptTexts are what no error may tell. A schema is not among them: what is
// wrong with it must be said in its words.
func promptTexts(p *engine.Prompt) []string {
	texts := append([]string{p.Raw}, p.Stop...)
	for i := range p.Messages {
		m := &p.Messages[i]
		texts = append(texts, m.Content, m.Thinking)
		for _, c := range m.Calls {
			texts = append(texts, string(c.Arguments))
		}
	}
	for _, t := range p.Tools {
		texts = append(texts, string(t))
	}
	return texts
}

// piece notes that something new has come.
func (a *answer) piece(n int) {
	a.last, a.away = time.Now(), a.slow
	if a.first.IsZero() {
		a.first = a.last
	}
	a.heard.Store(a.last.UnixNano())
	a.watch.Reset(a.idle)
	a.counted += n
	if !a.told {
		a.usage.OutputTokens = a.counted
	}
}

// text takes a piece of the answer.
func (a *answer) text(s string, l []engine.Logprob) error {
	if s == "" && len(l) == 0 {
		return nil
	}
	n := max(1, len(l))
	a.piece(n)
	a.held += n
	a.logprobs = append(a.logprobs, l...)
	out, stopped := a.buf.Add([]byte(s))
	if err := a.give(out); err != nil {
		return err
	}
	if stopped {
		a.usage.Finish = engine.FinishStop
		return errStopped
	}
	return nil
}

// give emits text with all that was held back for it.
func (a *answer) give(out string) error {
	if out == "" {
		return nil
	}
	t := engine.Token{Text: out, N: a.held, Logprobs: a.logprobs}
	a.held, a.logprobs = 0, nil
	return a.send(t)
}

// thought takes a piece of what the model thinks before it answers.
func (a *answer) thought(s string, l []engine.Logprob) error {
	if s == "" {
		return nil
	}
	n := max(1, len(l))
	a.piece(n)
	return a.send(engine.Token{Text: s, N: n, Thought: true, Logprobs: l})
}

func (a *answer) send(t engine.Token) error {
	if err := a.run.Err(); err != nil { // what has come already is not wanted any more
		return err
	}
	began := time.Now()
	if a.usage.TTFT == 0 {
		a.usage.TTFT = max(began.Sub(a.began), 1)
	}
	a.watch.Stop() // a slow client is not the server's fault
	a.gone = a.emit(t)
	a.watch.Reset(a.idle)
	a.slow += time.Since(began)
	return a.gone
}

// tokens is a count that a server tells, 0 for one that cannot be.
func tokens(n int) int {
	if n < 0 || n > maxTokens {
		return 0
	}
	return n
}

// tell takes the server's own counts.
func (a *answer) tell(prompt, cached, output int) {
	if n := tokens(prompt); n > 0 {
		a.usage.PromptTokens, a.usage.CachedTokens = n, min(tokens(cached), n)
	}
	if n := tokens(output); n > 0 {
		a.usage.OutputTokens, a.told = n, true
	}
}

// took takes the server's word for how long its model took for the prompt, in
// nanoseconds, as far as there was time for it.
func (a *answer) took(prefill float64) {
	if most := a.usage.TTFT - a.usage.QueueWait; prefill > 0 && most > 0 {
		a.usage.Prefill = time.Duration(min(prefill, float64(most)))
	}
}

// stopped takes the stop text that the server says has come.
func (a *answer) stopped(by string) {
	for _, s := range a.stops {
		if s == by {
			a.usage.Stop = s
		}
	}
}

// call is a tool's call, of which parts may be missing yet.
type call struct {
	id, name string
	args     []byte
}

// delta takes a piece of the call with that index; below 0 it is not told, and a
// piece with a name or another id begins the next.
func (a *answer) delta(index int, id, name string, args []byte) error {
	a.piece(1)
	if index < 0 {
		index = len(a.calls) - 1
		if index < 0 || name != "" || id != "" && id != a.calls[index].id {
			index++
		}
	}
	if index > len(a.calls) || index >= maxCalls {
		return fmt.Errorf("%w: call %d of a tool, at most %d in order", errGarbage, index, maxCalls)
	}
	if index == len(a.calls) {
		a.calls = append(a.calls, call{})
	}
	c := &a.calls[index]
	if c.id == "" {
		c.id = id
	}
	if c.name += name; len(c.name) > maxCallName || len(c.id) > maxCallName {
		return fmt.Errorf("%w: the name of a call has more than %d bytes", errGarbage, maxCallName)
	}
	c.args = append(c.args, args...)
	if a.size += len(args); a.size > maxArguments {
		return fmt.Errorf("%w: calls of tools have more than %d bytes", errGarbage, maxArguments)
	}
	return nil
}

// finish ends an answer that came whole.
func (a *answer) finish() error {
	if err := a.give(a.buf.Flush()); err != nil {
		return err
	}
	if a.usage.Finish == "" {
		a.usage.Finish = engine.FinishStop
	}
	for _, c := range a.calls {
		args := bytes.TrimSpace(c.args)
		if len(args) == 0 {
			args = []byte("{}")
		}
		if c.name == "" || args[0] != '{' || !json.Valid(args) {
			if a.usage.Finish == engine.FinishLength {
				break // it was cut off
			}
			return fmt.Errorf("%w: a call of a tool whose arguments are no JSON object", errGarbage)
		}
		a.usage.Calls = append(a.usage.Calls, engine.Call{ID: c.id, Name: c.name, Arguments: args})
		if a.one {
			break
		}
	}
	return nil
}

// end takes the server's word for why the answer ended.
func (a *answer) end(reason string) error {
	switch reason {
	case "length":
		a.usage.Finish = engine.FinishLength
	case "abort", "error":
		return errors.New("it gave the answer up")
	default: // "stop", "tool_calls", "content_filter": more is not told
		a.usage.Finish = engine.FinishStop
	}
	return nil
}

// measure adds what this answer says of the model's speed.
func (a *answer) measure(s *speed) {
	if a.first.IsZero() {
		return
	}
	s.add(a.first.Sub(a.slot), a.usage.PromptTokens-a.usage.CachedTokens, a.last.Sub(a.first)-a.away, max(a.usage.OutputTokens, a.counted)-1)
}
