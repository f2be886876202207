package worker

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"omx/node/engine/frame"
	"omx/node/engine/text"
)

// command is a Submit (with job) or a Cancel.
type command struct {
	request uint32
	job     *frame.Job
}

// loop answers requests with a model. It belongs to one goroutine.
type loop struct {
	model model
	out   io.Writer
	slots []slot
	rates rates

	arrived uint64
	batch   []entry
	draws   []draw
	frames  []byte // to be written at the end of a step
	broken  error  // a frame could not be made
}

// draw says that a slot's next token is drawn after a batch entry.
type draw struct{ slot, entry int }

func newLoop(m model, slots int, out io.Writer) *loop {
	l := &loop{model: m, out: out, slots: make([]slot, slots)}
	for i := range l.slots {
		l.slots[i].index = i
	}
	return l
}

// run answers until ctx ends, or the model or the other end fails.
func (l *loop) run(ctx context.Context, commands <-chan command) error {
	for {
		if !l.working() {
			select {
			case c := <-commands:
				l.do(c)
			case <-ctx.Done():
				return nil
			}
		}
		for more := true; more; {
			select {
			case c := <-commands:
				l.do(c)
			case <-ctx.Done():
				return nil
			default:
				more = false
			}
		}
		if err := cmp.Or(l.step(), l.broken); err != nil {
			return err
		}
		if len(l.frames) > 0 {
			if _, err := l.out.Write(l.frames); err != nil {
				return fmt.Errorf("write to node: %w", err)
			}
			l.frames = l.frames[:0]
		}
	}
}

func (l *loop) working() bool {
	for i := range l.slots {
		if l.slots[i].busy() {
			return true
		}
	}
	return false
}

func (l *loop) do(c command) {
	if c.job != nil {
		l.start(c)
		return
	}
	for i := range l.slots {
		if s := &l.slots[i]; s.request == c.request && s.busy() {
			l.finish(s, frame.Result{Failure: frame.Failure{Code: frame.Canceled}})
		}
	}
}

// start puts a request into the free slot that remembers most of its prompt.
func (l *loop) start(c command) {
	refuse := func(f frame.Failure) { l.send(frame.End, c.request, frame.Result{Failure: f}) }
	room := l.model.context()
	prompt, n, err := l.model.encode(c.job, room-1)
	switch {
	case err != nil:
		refuse(frame.Failure{Code: frame.BadPrompt, Message: err.Error()})
		return
	case n > room-1:
		refuse(frame.Failure{Code: frame.TooLong, Tokens: n, Limit: room - 1})
		return
	case n == 0:
		refuse(frame.Failure{Code: frame.BadPrompt, Message: "the prompt is empty"})
		return
	}
	best, known := l.choose(prompt, c.job.Scope)
	if best == nil {
		refuse(frame.Failure{Code: frame.BadPrompt, Message: "no slot is free"})
		return
	}
	draws, err := l.model.sampler(c.job)
	if err != nil {
		refuse(frame.Failure{Code: frame.BadPrompt, Message: err.Error()})
		return
	}
	if !l.model.forget(best.index, known) {
		known = 0
		l.model.forget(best.index, 0)
	}
	l.arrived++
	limit := room - n
	if c.job.MaxTokens > 0 {
		limit = min(limit, c.job.MaxTokens)
	}
	*best = slot{index: best.index, held: best.held[:known], scope: c.job.Scope, request: c.request, since: l.arrived, prompt: prompt, read: known, cached: known,
		limit: limit, sampler: draws, text: text.New(c.job.Stop)}
}

// choose returns the free slot that remembers most of a prompt, and how much; of
// equals, the one unused for longest.
func (l *loop) choose(prompt []token, scope uint64) (best *slot, known int) {
	for i := range l.slots {
		s := &l.slots[i]
		if s.busy() {
			continue
		}
		if n := s.common(prompt, scope); best == nil || n > known || n == known && s.since < best.since {
			best, known = s, n
		}
	}
	return best, known
}

// step decodes one token of every answer and a piece of the prompts, oldest
// first.
func (l *loop) step() error {
	l.batch, l.draws = l.batch[:0], l.draws[:0]
	for i := range l.slots {
		if s := &l.slots[i]; s.busy() && !s.reading() {
			l.add(s, s.last, true)
		}
	}
	outputs := len(l.batch)
	room := min(l.rates.chunk(), batchTokens-outputs)
	for room > 0 {
		s := l.oldestReading()
		if s == nil {
			break
		}
		for ; room > 0 && s.reading(); room-- {
			s.read++
			l.add(s, s.prompt[s.read-1], s.read == len(s.prompt))
		}
	}
	if len(l.batch) == 0 {
		return nil
	}
	began := time.Now()
	if err := l.model.decode(l.batch); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	for _, d := range l.draws {
		s := &l.slots[d.slot]
		l.take(s, s.sampler.sample(d.entry))
	}
	now := time.Now()
	l.rates.step(now.Sub(began), len(l.batch)-outputs, outputs)
	l.sendRates(now, false)
	return nil
}

func (l *loop) add(s *slot, t token, sample bool) {
	if sample {
		l.draws = append(l.draws, draw{s.index, len(l.batch)})
	}
	l.batch = append(l.batch, entry{token: t, pos: len(s.held), slot: s.index, sample: sample})
	s.held = append(s.held, t)
}

func (l *loop) oldestReading() *slot {
	var oldest *slot
	for i := range l.slots {
		if s := &l.slots[i]; s.reading() && (oldest == nil || s.since < oldest.since) {
			oldest = s
		}
	}
	return oldest
}

// take adds a drawn token to a slot's answer.
func (l *loop) take(s *slot, t token) {
	if l.model.end(t) {
		l.piece(s, s.text.Flush())
		l.finish(s, frame.Result{Finish: "stop"})
		return
	}
	s.last = t
	s.output++
	s.pending++
	out, stopped := s.text.Add(l.model.text(t))
	switch {
	case stopped:
		l.piece(s, out)
		l.finish(s, frame.Result{Finish: "stop"})
	case s.output == s.limit:
		l.piece(s, out+s.text.Flush())
		l.finish(s, frame.Result{Finish: "length"})
	default:
		l.piece(s, out)
	}
}

func (l *loop) piece(s *slot, out string) {
	if out == "" {
		return
	}
	l.frames = frame.Append(l.frames, frame.Frame{Kind: frame.Piece, Request: s.request, Tokens: uint32(s.pending), Payload: []byte(out)})
	s.pending = 0
}

// finish frees the slot; what it holds stays for a prompt that begins the same.
func (l *loop) finish(s *slot, r frame.Result) {
	s.sampler.free()
	r.Prompt, r.Cached, r.Output = len(s.prompt), s.cached, s.output
	l.sendRates(time.Now(), true)
	l.send(frame.End, s.request, r)
	*s = slot{index: s.index, held: s.held, scope: s.scope, since: s.since}
}

func (l *loop) sendRates(now time.Time, force bool) {
	if r, due := l.rates.due(now, force); due {
		l.send(frame.Speed, 0, r)
	}
}

func (l *loop) send(kind frame.Kind, request uint32, payload any) {
	f, err := frame.Make(kind, request, payload)
	if err != nil {
		l.broken = err
		return
	}
	l.frames = frame.Append(l.frames, f)
}
