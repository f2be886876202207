package worker

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"unsafe"

	"github.com/hybridgroup/yzma/pkg/llama"

	"omx/node/engine/chat"
	"omx/node/engine/frame"
)

// loaded is a model in memory with its context. It implements model.
type loaded struct {
	model    llama.Model
	ctx      llama.Context // 0: the model generates no text
	memory   llama.Memory
	vocab    llama.Vocab
	batch    llama.Batch
	chat     *chat.Template // nil: template is used
	template string         // for llama.cpp's own forms
	source   string         // of chat
	thinks   bool           // the model may think before it answers
	controls controls
	room     int
	threads  int
	buf      []byte // template output and token text
	pooling  llama.PoolingType
	adapters []llama.AdapterLora
	scales   []float32
	embed    *embedder // nil until it is asked for
}

var (
	errNoText    = errors.New("the model does not generate text; it makes embeddings")
	errDiffusion = errors.New("models that write by diffusion are not supported")
)

// open loads the model of cfg. The library must have been started. progress is told
// how much is loaded, from 0 to 1.
func open(cfg *frame.LoadConfig, progress func(float32)) (*loaded, error) {
	params := llama.ModelDefaultParams()
	var none [1]uintptr // a list of no devices: without one all are used, and be it for a few operations
	if cfg.GPULayers == 0 {
		params.Devices = uintptr(unsafe.Pointer(&none))
	}
	defer runtime.KeepAlive(&none)
	params.NGpuLayers = int32(cfg.GPULayers)
	split := make([]float32, llama.MaxDevices())
	for i, n := range cfg.Split {
		if i < len(split) {
			split[i] = float32(n)
		}
	}
	if len(cfg.Split) > 0 && len(split) > 0 {
		params.TensorSplit = &split[0]
	}
	defer runtime.KeepAlive(split)
	params.SetProgressCallback(func(p float32, _ uintptr) uint8 {
		progress(p)
		return 1 // go on
	})
	m := &loaded{buf: make([]byte, 4096), threads: cfg.Threads}
	var err error
	if m.model, err = llama.ModelLoadFromFile(cfg.Model, params); err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	if llama.ModelIsDiffusion(m.model) {
		return nil, errDiffusion
	}
	m.vocab = llama.ModelGetVocab(m.model)
	m.pooling = poolingOf(m.model)
	for _, a := range cfg.Adapters {
		adapter, err := llama.AdapterLoraInit(m.model, a.Path)
		if err == nil && adapter == 0 {
			err = errors.New("it was not made for this model")
		}
		if err != nil {
			return nil, fmt.Errorf("load adapter %s: %w", a.Path, err)
		}
		m.adapters, m.scales = append(m.adapters, adapter), append(m.scales, a.Scale)
	}
	if m.writes() {
		err = m.openText(cfg)
	}
	return m, err
}

// writes tells whether the model generates text: those that read a text both ways,
// or are made to rank, do not.
func (m *loaded) writes() bool {
	return llama.ModelHasDecoder(m.model) && m.pooling != llama.PoolingTypeCLS && m.pooling != llama.PoolingTypeRank &&
		metaOf(m.model, ".attention.causal") != "false"
}

// openText makes the context that requests share.
func (m *loaded) openText(cfg *frame.LoadConfig) (err error) {
	if err := m.openTemplate(); err != nil {
		return err
	}
	m.controls = controlsOf(m.vocab)
	m.room = cfg.Context
	if trained := int(llama.ModelNCtxTrain(m.model)); trained > 0 {
		m.room = min(m.room, trained)
	}
	cp := llama.ContextDefaultParams()
	// A step is not larger than all slots together.
	cp.NCtx, cp.NSeqMax = uint32(max(m.room*cfg.Slots, batchTokens)), uint32(cfg.Slots)
	cp.NBatch, cp.NUbatch = batchTokens, batchTokens
	cp.KVUnified = 0 // each slot has memory of its own: shared cells would shift for all
	if cfg.GPULayers == 0 {
		// On CPUs flash attention is the slower one where it matters, in long contexts:
		// 2,036 tokens of the demonstration model took 7.6 s with it and 1.8 s without
		// (one thread), a prompt of 1,515 tokens for a model of 125 M parameters 3.7 s
		// and 2.4 s (two threads; 2026-11).
		cp.FlashAttentionType = llama.FlashAttentionTypeDisabled
	}
	if m.threads > 0 {
		cp.NThreads, cp.NThreadsBatch = int32(m.threads), int32(m.threads)
	}
	if m.ctx, err = llama.InitFromModel(m.model, cp); err != nil {
		return fmt.Errorf("make room for %d slots of %d tokens: %w", cfg.Slots, m.room, err)
	}
	if err := m.adapt(m.ctx); err != nil {
		return err
	}
	m.room = min(m.room, int(llama.NCtxSeq(m.ctx)))
	if m.memory, err = llama.GetMemory(m.ctx); err != nil {
		return fmt.Errorf("load model: %w", err)
	}
	if n := int(llama.NBatch(m.ctx)); n < batchTokens {
		return fmt.Errorf("load model: a batch has room for %d tokens, want %d", n, batchTokens)
	}
	m.batch = llama.BatchInit(batchTokens, 0, 1)
	return nil
}

// adapt puts the adapters onto a context.
func (m *loaded) adapt(ctx llama.Context) error {
	if len(m.adapters) > 0 && llama.SetAdaptersLora(ctx, m.adapters, m.scales) != 0 {
		return errors.New("the adapters cannot be put onto the model")
	}
	return nil
}

// metaOf is a figure of the model's architecture, as text; "" if it is not there.
func metaOf(m llama.Model, name string) string {
	arch, _ := llama.ModelMetaValStr(m, "general.architecture")
	v, _ := llama.ModelMetaValStr(m, arch+name)
	return v
}

// poolingOf is how the model makes vectors; None for one that is made for text.
func poolingOf(m llama.Model) llama.PoolingType {
	n, err := strconv.Atoi(metaOf(m, ".pooling_type"))
	if err != nil {
		return llama.PoolingTypeNone
	}
	return llama.PoolingType(n)
}

func (m *loaded) context() int { return m.room }

func (m *loaded) info() frame.Info {
	return frame.Info{Context: m.room, Embeds: true, Ranks: m.pooling == llama.PoolingTypeRank}
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

// share copies to one slot what another remembers, up to n tokens of it, in place of
// what it had. It returns false where the model cannot, and the slot is empty then.
func (m *loaded) share(from, to, n int) bool {
	if !m.forget(to, 0) {
		return false
	}
	// Between slots llama.cpp copies all or nothing.
	if llama.MemorySeqCp(m.memory, llama.SeqId(from), llama.SeqId(to), -1, -1) == nil && m.forget(to, n) {
		return true
	}
	m.forget(to, 0)
	return false
}

func (m *loaded) forget(slot, from int) bool {
	ok, err := llama.MemorySeqRm(m.memory, llama.SeqId(slot), llama.Pos(from), -1)
	return ok && err == nil
}

func (m *loaded) end(t token) bool { return llama.VocabIsEOG(m.vocab, llama.Token(t)) }

// text is valid until the next call of any method. Control tokens read as "" unless
// they are marks that somebody looks for.
func (m *loaded) text(t token, marks bool) []byte {
	n := llama.TokenToPiece(m.vocab, llama.Token(t), m.buf, 0, marks)
	if n < 0 {
		m.buf = make([]byte, -n)
		n = llama.TokenToPiece(m.vocab, llama.Token(t), m.buf, 0, marks)
	}
	return m.buf[:max(n, 0)]
}
