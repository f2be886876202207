package worker

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"

	"github.com/hybridgroup/yzma/pkg/llama"

	"omx/node/engine/frame"
)

// loaded is a model in memory with its context. It implements model.
type loaded struct {
	model    llama.Model
	ctx      llama.Context
	memory   llama.Memory
	vocab    llama.Vocab
	batch    llama.Batch
	template string
	room     int
	buf      []byte // template output and token text
}

var (
	errNoTemplate = errors.New("the model's chat template is not one the engine knows")
	errNoText     = errors.New("the model does not generate text")
)

// open loads the model of cfg. The library must have been started.
func open(cfg *frame.LoadConfig) (*loaded, error) {
	params := llama.ModelDefaultParams()
	params.SetCPUOnly()
	m := &loaded{buf: make([]byte, 4096)}
	var err error
	if m.model, err = llama.ModelLoadFromFile(cfg.Model, params); err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	if !llama.ModelHasDecoder(m.model) || llama.ModelIsDiffusion(m.model) {
		return nil, errNoText
	}
	m.vocab = llama.ModelGetVocab(m.model)
	if m.template = llama.ModelChatTemplate(m.model, ""); m.template == "" {
		m.template = "chatml" // what llama.cpp takes for models that name none
	}
	if _, err := m.render([]frame.Message{{Role: "user", Content: "hi"}}); err != nil {
		return nil, err
	}

	m.room = cfg.Context
	if trained := int(llama.ModelNCtxTrain(m.model)); trained > 0 {
		m.room = min(m.room, trained)
	}
	cp := llama.ContextDefaultParams()
	cp.NCtx, cp.NSeqMax = uint32(m.room*cfg.Slots), uint32(cfg.Slots)
	cp.NBatch, cp.NUbatch = batchTokens, batchTokens
	// On CPUs flash attention is the slower one where it matters, in long contexts:
	// 2,036 tokens of the demonstration model took 7.6 s with it and 1.8 s without
	// (one thread), a prompt of 1,515 tokens for a model of 125 M parameters 3.7 s
	// and 2.4 s (two threads; 2026-11).
	cp.FlashAttentionType = llama.FlashAttentionTypeDisabled
	if cfg.Threads > 0 {
		cp.NThreads, cp.NThreadsBatch = int32(cfg.Threads), int32(cfg.Threads)
	}
	if m.ctx, err = llama.InitFromModel(m.model, cp); err != nil {
		return nil, fmt.Errorf("make room for %d slots of %d tokens: %w", cfg.Slots, m.room, err)
	}
	m.room = min(m.room, int(llama.NCtxSeq(m.ctx)))
	if m.memory, err = llama.GetMemory(m.ctx); err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	if n := int(llama.NBatch(m.ctx)); n < batchTokens {
		return nil, fmt.Errorf("load model: a batch has room for %d tokens, want %d", n, batchTokens)
	}
	m.batch = llama.BatchInit(batchTokens, 0, 1)
	return m, nil
}

func (m *loaded) context() int { return m.room }

// render applies the model's chat template.
func (m *loaded) render(messages []frame.Message) (string, error) {
	chat := make([]llama.ChatMessage, len(messages))
	for i, x := range messages {
		chat[i] = llama.NewChatMessage(clean(x.Role), clean(x.Content))
	}
	defer runtime.KeepAlive(chat)
	for {
		n := int(llama.ChatApplyTemplate(m.template, chat, true, m.buf))
		switch {
		case n < 0:
			return "", errNoTemplate
		case n <= len(m.buf):
			return string(m.buf[:n]), nil
		case n > maxTemplate:
			return "", fmt.Errorf("the conversation is longer than %d bytes", maxTemplate)
		}
		m.buf = make([]byte, n)
	}
}

// clean makes a string fit for C and for the tokenizer.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}

func (m *loaded) encode(job *frame.Job, limit int) ([]token, int, error) {
	text := clean(job.Raw)
	if job.Raw == "" {
		var err error
		if text, err = m.render(job.Messages); err != nil {
			return nil, 0, err
		}
	}
	if len(text) > (limit+1)*maxTokenBytes {
		return nil, len(text) / 4, nil
	}
	tokens := llama.Tokenize(m.vocab, text, true, true)
	out := make([]token, len(tokens))
	for i, t := range tokens {
		out[i] = token(t)
	}
	return out, len(out), nil
}

func (m *loaded) decode(batch []entry) error {
	if err := m.batch.Clear(); err != nil {
		return err
	}
	var seq [1]llama.SeqId
	for _, e := range batch {
		seq[0] = llama.SeqId(e.slot)
		if err := m.batch.Add(llama.Token(e.token), llama.Pos(e.pos), seq[:], e.sample); err != nil {
			return err
		}
	}
	if rc, err := llama.Decode(m.ctx, m.batch); err != nil {
		return err
	} else if rc != 0 {
		return fmt.Errorf("llama.cpp returned %d", rc)
	}
	return nil
}

func (m *loaded) forget(slot, from int) bool {
	ok, err := llama.MemorySeqRm(m.memory, llama.SeqId(slot), llama.Pos(from), -1)
	return ok && err == nil
}

func (m *loaded) end(t token) bool { return llama.VocabIsEOG(m.vocab, llama.Token(t)) }

// text is valid until the next call of any method. Control tokens read as "".
func (m *loaded) text(t token) []byte {
	n := llama.TokenToPiece(m.vocab, llama.Token(t), m.buf, 0, false)
	if n < 0 {
		m.buf = make([]byte, -n)
		n = llama.TokenToPiece(m.vocab, llama.Token(t), m.buf, 0, false)
	}
	return m.buf[:max(n, 0)]
}

// chain is llama.cpp's sampler chain.
type chain struct {
	m *loaded
	s llama.Sampler
}

var errGrammar = errors.New("its grammar cannot be read")

func (m *loaded) sampler(job *frame.Job) (sampler, error) {
	j := bounded(job, m.room)
	s := llama.SamplerChainInit(llama.SamplerChainDefaultParams())
	if j.Grammar != "" {
		g := llama.SamplerInitGrammar(m.vocab, clean(j.Grammar), "root")
		if g == 0 {
			llama.SamplerFree(s)
			return nil, errGrammar
		}
		llama.SamplerChainAdd(s, g)
	}
	if j.Repeat != 1 || j.Frequency != 0 || j.Presence != 0 {
		llama.SamplerChainAdd(s, llama.SamplerInitPenalties(llama.VocabNTokens(m.vocab), int32(j.RepeatLast), j.Repeat, j.Frequency, j.Presence))
	}
	if j.Temperature == 0 {
		llama.SamplerChainAdd(s, llama.SamplerInitGreedy())
		return chain{m, s}, nil
	}
	if j.TopK > 0 {
		llama.SamplerChainAdd(s, llama.SamplerInitTopK(int32(j.TopK)))
	}
	if j.TopP > 0 && j.TopP < 1 {
		llama.SamplerChainAdd(s, llama.SamplerInitTopP(j.TopP, 1))
	}
	if j.MinP > 0 {
		llama.SamplerChainAdd(s, llama.SamplerInitMinP(j.MinP, 1))
	}
	seed := j.Seed
	if seed == 0 {
		seed = rand.Uint32()
	}
	llama.SamplerChainAdd(s, llama.SamplerInitTemp(j.Temperature))
	llama.SamplerChainAdd(s, llama.SamplerInitDist(seed))
	return chain{m, s}, nil
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

func (c chain) sample(i int) token { return token(llama.SamplerSample(c.s, c.m.ctx, int32(i))) }
func (c chain) free()              { llama.SamplerFree(c.s) }
