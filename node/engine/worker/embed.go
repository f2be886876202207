package worker

import (
	"errors"
	"fmt"
	"math"

	"github.com/hybridgroup/yzma/pkg/llama"

	"omx/node/engine/frame"
)

// embedder makes vectors with a context of its own, which is made when the first
// are asked for: its figures differ from those of a context for text.
type embedder struct {
	ctx   llama.Context
	mem   llama.Memory
	batch llama.Batch
	room  int // tokens of one step
	dims  int
	rank  bool
}

var errNoRank = errors.New("the model does not rank; use one made for it")

// openEmbedder makes the context. A text must be read in one step, since the mean of
// its tokens is taken there; so the step is as long as texts may be.
func (m *loaded) openEmbedder() (*embedder, error) {
	e := &embedder{dims: int(llama.ModelNEmbdOut(m.model)), room: min(maxEmbedTokens, max(int(llama.ModelNCtxTrain(m.model)), 1))}
	cp := llama.ContextDefaultParams()
	cp.NCtx, cp.NBatch, cp.NUbatch = uint32(e.room), uint32(e.room), uint32(e.room)
	cp.NSeqMax, cp.KVUnified = maxEmbedTexts, 1
	cp.Embeddings = 1
	if m.threads > 0 {
		cp.NThreads, cp.NThreadsBatch = int32(m.threads), int32(m.threads)
	}
	if m.pooling == llama.PoolingTypeNone {
		cp.PoolingType = llama.PoolingTypeMean // a model for text: the usual way to make a vector of it
	}
	var err error
	if e.ctx, err = llama.InitFromModel(m.model, cp); err != nil {
		return nil, fmt.Errorf("make room for embeddings: %w", err)
	}
	if err := m.adapt(e.ctx); err != nil {
		return nil, err
	}
	e.room = min(e.room, int(llama.NUBatch(e.ctx)), int(llama.NCtx(e.ctx)))
	if e.mem, err = llama.GetMemory(e.ctx); err != nil {
		e.mem = 0 // models that only read have none
	}
	e.rank = llama.GetPoolingType(e.ctx) == llama.PoolingTypeRank
	if e.rank {
		e.dims = int(llama.ModelNClsOut(m.model))
	}
	e.batch = llama.BatchInit(int32(e.room), 0, 1)
	return e, nil
}

// texts turns inputs into tokens, each of at most what one step reads.
func (m *loaded) texts(t *frame.Texts) ([][]token, int, *frame.Failure) {
	if m.embed == nil {
		var err error
		if m.embed, err = m.openEmbedder(); err != nil {
			return nil, 0, &frame.Failure{Code: frame.Cannot, Message: err.Error()}
		}
	}
	if t.Query != "" && !m.embed.rank {
		return nil, 0, &frame.Failure{Code: frame.Cannot, Message: errNoRank.Error()}
	}
	if t.Query == "" && m.embed.rank {
		return nil, 0, &frame.Failure{Code: frame.Cannot, Message: "the model ranks texts by a query; it makes no embeddings"}
	}
	all := make([][]token, len(t.Input))
	for i, text := range t.Input {
		tokens := m.embedTokens(t.Query, clean(text))
		if len(tokens) > m.embed.room {
			if !t.Truncate {
				return nil, 0, &frame.Failure{Code: frame.TooLong, Tokens: len(tokens), Limit: m.embed.room}
			}
			tokens = append(tokens[:m.embed.room-1], tokens[len(tokens)-1]) // its end may be a mark
		}
		if len(tokens) == 0 {
			return nil, 0, &frame.Failure{Code: frame.BadPrompt, Message: fmt.Sprintf("input %d has no text", i)}
		}
		all[i] = tokens
	}
	return all, m.embed.room, nil
}

// embedTokens are those of a text, or of a query and a text that may answer it.
func (m *loaded) embedTokens(query, text string) []token {
	if query == "" {
		return tokens(llama.Tokenize(m.vocab, text, true, true))
	}
	out := tokens(llama.Tokenize(m.vocab, clean(query), true, false))
	for _, mark := range []llama.Token{llama.VocabEOS(m.vocab), llama.VocabSEP(m.vocab)} {
		if mark >= 0 && (len(out) == 0 || out[len(out)-1] != token(mark)) {
			out = append(out, token(mark))
		}
	}
	out = append(out, tokens(llama.Tokenize(m.vocab, text, false, false))...)
	if eos := llama.VocabEOS(m.vocab); eos >= 0 {
		out = append(out, token(eos))
	}
	return out
}

// vectors reads texts of together at most embed.room tokens, and gives one vector
// for each; valid until the next call.
func (m *loaded) vectors(texts [][]token) ([][]float32, error) {
	e := m.embed
	if e.mem != 0 {
		if err := llama.MemoryClear(e.mem, true); err != nil {
			return nil, err
		}
	}
	if err := e.batch.Clear(); err != nil {
		return nil, err
	}
	var seq [1]llama.SeqId
	for i, text := range texts {
		seq[0] = llama.SeqId(i)
		for pos, t := range text {
			if err := e.batch.Add(llama.Token(t), llama.Pos(pos), seq[:], true); err != nil {
				return nil, err
			}
		}
	}
	if rc, err := llama.Decode(e.ctx, e.batch); err != nil {
		return nil, err
	} else if rc != 0 {
		return nil, fmt.Errorf("llama.cpp returned %d", rc)
	}
	out := make([][]float32, len(texts))
	for i := range texts {
		v, err := llama.GetEmbeddingsSeq(e.ctx, llama.SeqId(i), int32(e.dims))
		if err != nil || len(v) == 0 {
			return nil, fmt.Errorf("the model gives no vector: %v", err)
		}
		if !e.rank {
			normalise(v)
		}
		out[i] = v
	}
	return out, nil
}

// normalise makes v one of length 1.
func normalise(v []float32) {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if length := math.Sqrt(sum); length > 0 {
		for i := range v {
			v[i] = float32(float64(v[i]) / length)
		}
	}
}
