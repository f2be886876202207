package worker

import (
	"errors"
	"math"
	"math/rand/v2"

	"github.com/hybridgroup/yzma/pkg/llama"

	"omx/node/engine/frame"
)

// chain draws tokens with llama.cpp's sampler chain and, beside it, a grammar.
type chain struct {
	m       *loaded
	s       llama.Sampler
	grammar llama.Sampler // 0: none
	open    []llama.TokenData
	one     [1]llama.TokenData
	array   llama.TokenDataArray
}

var errGrammar = errors.New("its grammar cannot be read")

func (m *loaded) sampler(job *frame.Job) (sampler, error) {
	j := bounded(job, m.room)
	c := &chain{m: m}
	if j.Grammar != "" {
		if c.grammar = llama.SamplerInitGrammar(m.vocab, clean(j.Grammar), "root"); c.grammar == 0 {
			return nil, errGrammar
		}
	}
	c.s = llama.SamplerChainInit(llama.SamplerChainDefaultParams())
	if j.Repeat != 1 || j.Frequency != 0 || j.Presence != 0 {
		llama.SamplerChainAdd(c.s, llama.SamplerInitPenalties(llama.VocabNTokens(m.vocab), int32(j.RepeatLast), j.Repeat, j.Frequency, j.Presence))
	}
	if j.Temperature == 0 {
		llama.SamplerChainAdd(c.s, llama.SamplerInitGreedy())
		return c, nil
	}
	if j.TopK > 0 {
		llama.SamplerChainAdd(c.s, llama.SamplerInitTopK(int32(j.TopK)))
	}
	if j.TopP > 0 && j.TopP < 1 {
		llama.SamplerChainAdd(c.s, llama.SamplerInitTopP(j.TopP, 1))
	}
	if j.MinP > 0 {
		llama.SamplerChainAdd(c.s, llama.SamplerInitMinP(j.MinP, 1))
	}
	seed := j.Seed
	if seed == 0 {
		seed = rand.Uint32()
	}
	llama.SamplerChainAdd(c.s, llama.SamplerInitTemp(j.Temperature))
	llama.SamplerChainAdd(c.s, llama.SamplerInitDist(seed))
	return c, nil
}

// bounded gives figures that llama.cpp can work with, whatever a request says: a
// number that is none, or far out of range, ends the process there.
func bounded(job *frame.Job, room int) frame.Job {
	within := func(v, least, most, other float32) float32 {
		if !(v >= least && v <= most) { // not a number, too
			return other
		}
		return v
	}
	j := *job
	j.Temperature = within(j.Temperature, 0, maxTemperature, 0)
	j.TopP, j.MinP = within(j.TopP, 0, 1, 1), within(j.MinP, 0, 1, 0)
	j.Presence, j.Frequency = within(j.Presence, -maxPenalty, maxPenalty, 0), within(j.Frequency, -maxPenalty, maxPenalty, 0)
	j.Repeat = within(j.Repeat, minRepeat, maxPenalty, 1)
	switch {
	case j.RepeatLast == 0:
		j.RepeatLast = defaultRepeatLast
	case j.RepeatLast < 0:
		j.RepeatLast = room
	}
	j.RepeatLast = min(j.RepeatLast, room)
	j.TopK = min(max(j.TopK, 0), math.MaxInt32)
	return j
}

// sample draws after the i-th entry of the last batch.
func (c *chain) sample(i int) token {
	if c.grammar == 0 {
		return token(llama.SamplerSample(c.s, c.m.ctx, int32(i)))
	}
	// To try every token of a vocabulary against a grammar takes milliseconds; to
	// try the one that would be drawn without it, microseconds. Mostly it fits.
	t := c.draw(i, false)
	if !c.fits(t) {
		t = c.draw(i, true)
	}
	llama.SamplerAccept(c.grammar, t)
	llama.SamplerAccept(c.s, t)
	return token(t)
}

// accept notes a token that was drawn elsewhere. llama.cpp ends the process over one
// that the grammar does not allow, so that is asked first. The numbers that were
// drawn for it are not drawn again: above a temperature of 0, what follows is as
// likely as in one run, but need not be the same.
func (c *chain) accept(t token) bool {
	if c.grammar != 0 {
		if !c.fits(llama.Token(t)) {
			return false
		}
		llama.SamplerAccept(c.grammar, llama.Token(t))
	}
	llama.SamplerAccept(c.s, llama.Token(t))
	return true
}

// fits tells whether the grammar allows a token next.
func (c *chain) fits(t llama.Token) bool {
	c.one[0] = llama.TokenData{Id: t}
	one := llama.TokenDataArray{Data: &c.one[0], Size: 1, Selected: -1}
	llama.SamplerApply(c.grammar, &one)
	return !math.IsInf(float64(c.one[0].Logit), -1)
}

// draw takes a token from the whole vocabulary, or from what the grammar allows.
func (c *chain) draw(i int, allowed bool) llama.Token {
	logits := c.m.logits(i)
	if c.open == nil {
		c.open = make([]llama.TokenData, len(logits))
	}
	for t, logit := range logits {
		c.open[t] = llama.TokenData{Id: llama.Token(t), Logit: logit}
	}
	c.array = llama.TokenDataArray{Data: &c.open[0], Size: uint64(len(c.open)), Selected: -1}
	if allowed {
		llama.SamplerApply(c.grammar, &c.array)
	}
	llama.SamplerApply(c.s, &c.array)
	if c.array.Selected < 0 || c.array.Selected >= int64(c.array.Size) {
		return llama.VocabEOS(c.m.vocab) // the grammar allows nothing more
	}
	return c.open[c.array.Selected].Id
}

func (c *chain) free() {
	llama.SamplerFree(c.s)
	llama.SamplerFree(c.grammar)
}
