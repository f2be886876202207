package engine

import (
	"fmt"
	"runtime"
	"time"

	"github.com/hybridgroup/yzma/pkg/llama"
)

// bareBatch is the most one step decodes, as the worker has it.
const bareBatch = 512

// bare is a model in memory, with the settings that the worker gives it.
type bare struct {
	vocab  llama.Vocab
	ctx    llama.Context
	memory llama.Memory
	batch  llama.Batch
	draws  []int // of the batch: whose token is drawn after which entry
	piece  []byte
	seqs   []sequence
}

// sequence is one answer.
type sequence struct {
	last    llama.Token
	pos     int
	sampler llama.Sampler
}

func openBare(cfg *bareLoad) (*bare, error) {
	runtime.LockOSThread() // as the worker does
	if err := llama.Load(cfg.Library); err != nil {
		return nil, err
	}
	llama.LogSet(llama.LogSilent())
	llama.BackendInit()
	if err := llama.GGMLBackendLoadAllFromPath(cfg.Library); err != nil {
		return nil, err
	}
	params := llama.ModelDefaultParams()
	params.SetCPUOnly()
	model, err := llama.ModelLoadFromFile(cfg.Model, params)
	if err != nil {
		return nil, err
	}
	cp := llama.ContextDefaultParams()
	cp.NCtx, cp.NSeqMax = uint32(cfg.Context*cfg.Slots), uint32(cfg.Slots)
	cp.NBatch, cp.NUbatch = bareBatch, bareBatch
	cp.FlashAttentionType = llama.FlashAttentionTypeDisabled
	cp.NThreads, cp.NThreadsBatch = int32(cfg.Threads), int32(cfg.Threads)
	b := &bare{vocab: llama.ModelGetVocab(model), piece: make([]byte, 4096)}
	if b.ctx, err = llama.InitFromModel(model, cp); err != nil {
		return nil, err
	}
	if b.memory, err = llama.GetMemory(b.ctx); err != nil {
		return nil, err
	}
	b.batch = llama.BatchInit(bareBatch, 0, 1)
	return b, nil
}

// do answers all prompts at once, from an empty memory.
func (b *bare) do(job *bareJob) (took bareTook, err error) {
	if err := llama.MemoryClear(b.memory, false); err != nil {
		return took, err
	}
	began := time.Now()
	b.seqs = make([]sequence, len(job.Prompts))
	for i, text := range job.Prompts {
		tokens := llama.Tokenize(b.vocab, text, true, true)
		if i == 0 {
			took.Prompt = len(tokens)
		}
		if job.Tokens == 0 {
			continue
		}
		s := llama.SamplerChainInit(llama.SamplerChainDefaultParams())
		defer llama.SamplerFree(s)
		llama.SamplerChainAdd(s, llama.SamplerInitGreedy())
		b.seqs[i].sampler = s
		for j, t := range tokens {
			if err := b.add(i, t, j == len(tokens)-1); err != nil {
				return took, err
			}
		}
	}
	if job.Tokens == 0 {
		return took, nil
	}
	if err := b.step(); err != nil {
		return took, err
	}
	took.First = time.Since(began)
	for range job.Tokens - 1 {
		for i := range b.seqs {
			if err := b.add(i, b.seqs[i].last, true); err != nil {
				return took, err
			}
		}
		if err := b.step(); err != nil {
			return took, err
		}
	}
	took.Whole = time.Since(began)
	return took, nil
}

// add puts a token into the batch, which is decoded first if it is full.
func (b *bare) add(i int, t llama.Token, draw bool) error {
	if b.batch.NTokens == bareBatch {
		if err := b.step(); err != nil {
			return err
		}
	}
	whose := -1
	if draw {
		whose = i
	}
	b.draws = append(b.draws, whose)
	s := &b.seqs[i]
	s.pos++
	seq := [1]llama.SeqId{llama.SeqId(i)}
	return b.batch.Add(t, llama.Pos(s.pos-1), seq[:], draw)
}

// step decodes the batch, draws the tokens that are due and reads them as text.
func (b *bare) step() error {
	if rc, err := llama.Decode(b.ctx, b.batch); err != nil {
		return err
	} else if rc != 0 {
		return fmt.Errorf("llama.cpp returned %d", rc)
	}
	for entry, i := range b.draws {
		if i < 0 {
			continue
		}
		s := &b.seqs[i]
		s.last = llama.SamplerSample(s.sampler, b.ctx, int32(entry))
		llama.TokenToPiece(b.vocab, s.last, b.piece, 0, false)
	}
	b.draws = b.draws[:0]
	return b.batch.Clear()
}
