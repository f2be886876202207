package worker

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hybridgroup/yzma/pkg/llama"

	"omx/node/engine/frame"
)

// An answer that fills its context goes on, if that was asked for: half of the tokens
// behind those that are kept are forgotten, and the rest moves up. The rest has been
// read after what is gone, so it is not what a prompt of these tokens would leave, and
// serves no other request.

var errNoShift = errors.New("its memory cannot shift (shift, context_shift); ask without, and the answer ends where the context does")

// bounds says how many tokens an answer may have and, for one that may go beyond its
// context, how many of its prompt a shift keeps.
func (l *loop) bounds(job *frame.Job, in *encoded) (limit, keep int, failure *frame.Failure) {
	context := l.model.context()
	room := context - len(in.tokens)
	if limit = room; job.Shift {
		limit = frame.ShiftContexts * context
	}
	if job.MaxTokens > 0 {
		limit = min(limit, job.MaxTokens)
	}
	if keep = job.Keep; keep >= 0 && in.bos {
		keep++
	}
	if keep < 0 || keep > len(in.tokens) {
		keep = len(in.tokens)
	}
	most := context - context/leastShift
	switch {
	case job.Shift && !l.model.canShift():
		return 0, 0, &frame.Failure{Code: frame.Cannot, Message: errNoShift.Error()}
	case len(in.begun) >= room && len(in.begun) < limit: // it has shifted, and what went is not known
		return 0, 0, &cannotGoOn
	case limit > room && keep > most:
		return 0, 0, &frame.Failure{Code: frame.BadPrompt, Message: fmt.Sprintf("a shift is to keep %d tokens of the prompt, and can keep %d of a context of %d; keep fewer (num_keep, n_keep, --keep)", keep, most, context)}
	case len(in.begun) >= room: // there is no room to read it, and no need
		limit = min(limit, len(in.begun))
	}
	return limit, keep, nil
}

// makeRoom has the context of an answer shift if it is full. One that cannot, though
// its model said so, ends where the context does; false says that.
func (l *loop) makeRoom(s *slot) bool {
	if len(s.held) < l.model.context() {
		return true
	}
	n := max((len(s.held)-s.keep)/2, 1)
	intact, ok := l.model.shift(s.index, s.keep, n)
	if !ok {
		s.held, s.intact = s.held[:0], 0
		l.over(s, s.text.Flush(), frame.Result{Finish: "length"})
		return false
	}
	s.held = slices.Delete(s.held, s.keep, s.keep+n)
	s.shifts, s.intact = s.shifts+1, intact
	return true
}

// settle has a slot that is freed hold no more than what serves other requests.
func (l *loop) settle(s *slot) {
	if s.shifts == 0 {
		return
	}
	if !l.model.forget(s.index, s.intact) {
		l.model.forget(s.index, 0)
		s.intact = 0
	}
	s.held = s.held[:s.intact]
}

// canShift leaves out what llama.cpp says of recurrent memory: its positions can be
// changed, but no tokens taken out of its middle.
func (m *loaded) canShift() bool {
	can, err := llama.MemoryCanShift(m.memory)
	return can && err == nil && !llama.ModelIsRecurrent(m.model) && !llama.ModelIsHybrid(m.model)
}

func (m *loaded) shift(slot, keep, n int) (int, bool) {
	seq, from, to := llama.SeqId(slot), llama.Pos(keep), llama.Pos(keep+n)
	ok, err := llama.MemorySeqRm(m.memory, seq, from, to)
	if !ok || err != nil || llama.MemorySeqAdd(m.memory, seq, to, -1, -llama.Pos(n)) != nil {
		m.forget(slot, 0)
		return 0, false
	}
	if llama.ModelNSWA(m.model) > 0 {
		// From now on llama.cpp may write over what is out of a layer's window, and
		// that is what has been kept.
		return 0, true
	}
	return keep, true
}
