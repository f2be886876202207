package worker

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"omx/node/engine/chat"
	"omx/node/engine/frame"
	"omx/node/engine/text"
)

// command is a Submit or Count (with job), an Embed (with texts), a Save or a Cancel.
type command struct {
	request uint32
	job     *frame.Job
	count   bool
	texts   *frame.Texts
	save    *frame.State
}

// loop answers requests with a model. It belongs to one goroutine.
type loop struct {
	model model
	out   io.Writer
	slots []slot
	rates rates

	arrived uint64
	vectors []vectoring // first come, first served
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

// source is where commands come from; see input.
type source interface {
	ready() bool
	next() (command, error)
}

// run answers until there are no more commands, or the model or the other end fails.
func (l *loop) run(in source) error {
	for {
		for idle := !l.working(); idle || in.ready(); idle = !l.working() {
			if idle { // it may wait
				if err := l.flush(); err != nil {
					return err
				}
			}
			switch c, err := in.next(); {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return err
			default:
				l.do(c)
			}
		}
		if err := l.step(); err != nil {
			return err
		}
		if err := l.flush(); err != nil {
			return err
		}
	}
}

// flush sends what has been said.
func (l *loop) flush() error {
	if l.broken != nil || len(l.frames) == 0 {
		return l.broken
	}
	if _, err := l.out.Write(l.frames); err != nil {
		return fmt.Errorf("write to node: %w", err)
	}
	l.frames = l.frames[:0]
	return nil
}

func (l *loop) working() bool {
	if len(l.vectors) > 0 {
		return true
	}
	for i := range l.slots {
		if l.slots[i].busy() {
			return true
		}
	}
	return false
}

func (l *loop) do(c command) {
	switch {
	case c.save != nil:
		l.saveState(c)
		return
	case c.texts != nil:
		l.embed(c)
		return
	case c.count:
		l.count(c)
		return
	case c.job != nil:
		l.start(c)
		return
	}
	l.vectors = slices.DeleteFunc(l.vectors, func(v vectoring) bool {
		if v.request == c.request {
			l.send(frame.End, c.request, frame.Result{Failure: frame.Failure{Code: frame.Canceled}})
		}
		return v.request == c.request
	})
	for i := range l.slots {
		if s := &l.slots[i]; s.request == c.request && s.busy() {
			l.finish(s, frame.Result{Failure: frame.Failure{Code: frame.Canceled}})
		}
	}
}

// start puts a request into the free slot that remembers most of its prompt.
func (l *loop) start(c command) {
	refuse := func(f frame.Failure) { l.send(frame.End, c.request, frame.Result{Failure: f}) }
	began := time.Now()
	in, failure := l.encode(c.job)
	encoded := time.Since(began)
	if failure != nil {
		refuse(*failure)
		return
	}
	limit, keep, failure := l.bounds(c.job, in)
	if failure != nil {
		refuse(*failure)
		return
	}
	prompt := slices.Concat(in.tokens, in.begun)
	c.job.Grammar = in.grammar
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
	if !acceptAll(draws, in.begun) {
		draws.free()
		refuse(cannotGoOn)
		return
	}
	known = l.recall(best, known, prompt, c.job.Scope)
	l.arrived++
	*best = slot{index: best.index, held: best.held[:known], scope: c.job.Scope, request: c.request, since: l.arrived, prompt: prompt, prefill: encoded, read: known, cached: known,
		limit: limit, keep: keep, sampler: draws, text: text.New(c.job.Stop), parser: in.parser, one: c.job.OneCall, top: c.job.Logprobs}
	if c.job.Begun != nil {
		l.goOn(best, in, c.job.Begun)
	}
}

// encode turns a request into tokens that leave room for an answer.
func (l *loop) encode(job *frame.Job) (*encoded, *frame.Failure) {
	most := l.model.context() - 1
	in, err := l.model.encode(job, most)
	switch {
	case errors.Is(err, errNoText), errors.Is(err, errGoOn):
		return nil, &frame.Failure{Code: frame.Cannot, Message: err.Error()}
	case err != nil:
		return nil, &frame.Failure{Code: frame.BadPrompt, Message: err.Error()}
	case in.n > most:
		return nil, &frame.Failure{Code: frame.TooLong, Tokens: in.n, Limit: most}
	case in.n == 0:
		return nil, &frame.Failure{Code: frame.BadPrompt, Message: "the prompt is empty"}
	}
	return in, nil
}

// count answers how many tokens a prompt has.
func (l *loop) count(c command) {
	var r frame.Result
	switch in, failure := l.encode(c.job); {
	case failure == nil:
		r.Prompt = in.n
	case failure.Code == frame.TooLong: // that is an answer, too
		r.Prompt = failure.Tokens
	default:
		r.Failure = *failure
	}
	l.send(frame.End, c.request, r)
}

// recall has a free slot remember as much of a prompt as it can: what it knows, or
// what another slot of the same scope does, a busy one too. It returns how much.
func (l *loop) recall(s *slot, known int, prompt []token, scope uint64) int {
	from, most := -1, known+minShared-1
	for i := range l.slots {
		if n := l.slots[i].common(prompt, scope); i != s.index && n > most {
			from, most = i, n
		}
	}
	if from >= 0 {
		if l.model.share(from, s.index, most) {
			s.held = append(s.held[:0], prompt[:most]...)
			return most
		}
		return 0
	}
	if l.model.forget(s.index, known) {
		return known
	}
	l.model.forget(s.index, 0)
	return 0
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
		if s := &l.slots[i]; s.busy() && !s.reading() && l.makeRoom(s) {
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
		return l.stepVectors()
	}
	began := time.Now()
	if err := l.model.decode(l.batch); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	for _, d := range l.draws {
		s := &l.slots[d.slot]
		t := s.sampler.sample(d.entry)
		if s.output == s.begun {
			s.prefill += time.Since(began)
		}
		if s.top > 0 && !l.model.end(t) {
			s.logprobs = append(s.logprobs, l.model.logprob(d.entry, t, s.top-1))
		}
		l.take(s, t)
	}
	now := time.Now()
	for i := range l.slots {
		if s := &l.slots[i]; s.reading() {
			s.prefill += now.Sub(began)
		}
	}
	l.rates.step(now.Sub(began), len(l.batch)-outputs, outputs)
	l.sendRates(now, false)
	return l.stepVectors()
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
		l.over(s, s.text.Flush(), frame.Result{Finish: "stop"})
		return
	}
	s.last = t
	s.output++
	s.pending++
	out, stopped := s.text.Add(l.model.text(t, s.parser != nil))
	switch {
	case stopped:
		l.over(s, out, frame.Result{Finish: "stop", Stop: s.text.Stop()})
	case s.output == s.limit:
		l.over(s, out+s.text.Flush(), frame.Result{Finish: "length"})
	default:
		l.say(s, out)
		if s.said.astray || s.one && len(s.calls) > 0 {
			l.finish(s, frame.Result{Finish: "stop"})
		}
	}
}

// over says the last of an answer, and ends it.
func (l *loop) over(s *slot, out string, r frame.Result) {
	l.say(s, out)
	if s.parser != nil {
		l.pieces(s, s.parser.Flush())
	}
	l.finish(s, r)
}

// say passes on what the model has written.
func (l *loop) say(s *slot, out string) {
	switch {
	case out == "":
	case s.parser == nil:
		l.piece(s, out, false)
	default:
		l.pieces(s, s.parser.Add(out))
	}
}

// pieces passes on what a parser has found; calls go with the result.
func (l *loop) pieces(s *slot, found []chat.Piece) {
	for _, p := range found {
		if p.Call == nil {
			l.piece(s, p.Text, p.Thought)
		} else if !s.one || len(s.calls) == 0 {
			s.calls = append(s.calls, frame.Call(*p.Call))
		}
	}
}

func (l *loop) piece(s *slot, out string, thought bool) {
	if out = s.said.cut(out, thought); out == "" {
		return
	}
	covered := uint32(max(s.pending, 0))
	called := len(s.calls) > 0
	f := frame.Frame{Kind: frame.Piece, Request: s.request, Tokens: covered, Payload: []byte(out)}
	if thought || called || len(s.logprobs) > 0 {
		var err error
		if f, err = frame.Make(frame.Rich, s.request, frame.Detail{Text: out, Thought: thought, Called: called, Logprobs: s.logprobs}); err != nil {
			l.broken = err
			return
		}
		f.Tokens = covered
	}
	l.frames = frame.Append(l.frames, f)
	s.pending, s.logprobs = s.pending-int(covered), s.logprobs[:0]
}

// finish frees the slot; what it holds stays for a prompt that begins the same.
func (l *loop) finish(s *slot, r frame.Result) {
	s.sampler.free()
	if s.said.astray && r.Code == frame.OK {
		r.Failure, r.Finish = cannotGoOn, ""
	}
	read := len(s.prompt) - s.begun
	r.Prompt, r.Cached, r.Output, r.Calls, r.Shifts = read, min(s.cached, read), max(s.output, s.output-s.pending), s.calls, s.shifts
	r.Prefill = int64(s.prefill)
	l.settle(s)
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
