package gguf

import (
	"math"
	"strings"
)

// poolings are the ways of pooling, by number.
var poolings = [...]string{"none", "mean", "cls", "last", "rank"}

// read takes what h has fields for.
func (m *meta) read(h *Header) {
	d := m.d
	if parts := m.number("split.count", 0, math.MaxInt32); parts > 1 {
		d.fail("it is one of %d parts; join them into one file with llama-gguf-split --merge", parts)
	}
	h.Architecture = m.text("general.architecture", maxArchitecture)
	switch {
	case d.err != nil:
		return
	case h.Architecture == "":
		d.fail("it names no architecture")
	case strings.Trim(h.Architecture, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "":
		d.fail("its architecture is %s", plain(h.Architecture))
	}
	m.arch = h.Architecture
	h.Type = m.label("general.type")
	if h.Type == "" {
		h.Type = "model"
	}
	h.Name, h.Basename = m.label("general.name"), m.label("general.basename")
	h.Finetune, h.SizeLabel = m.label("general.finetune"), m.label("general.size_label")
	h.License, h.QuantizedBy = m.label("general.license"), m.label("general.quantized_by")
	h.Quantization = quantization(m.number("general.file_type", -1, math.MaxInt32))
	m.shape(h)
	m.tokenizer(h)
	h.AdapterType, h.LoRAAlpha = m.label("adapter.type"), m.float("adapter.lora.alpha")
}

func (m *meta) shape(h *Header) {
	h.Context = m.context()
	h.Layers = m.number(".block_count", 0, maxBlocks)
	h.Width = m.number(".embedding_length", 0, maxWidth)
	h.FeedForward = m.numbers(".feed_forward_length", maxWidth)
	h.Heads = m.numbers(".attention.head_count", maxWidth)
	if h.KVHeads = m.numbers(".attention.head_count_kv", maxWidth); h.KVHeads == nil {
		h.KVHeads = h.Heads
	}
	whole := 0
	if n := h.Heads.Max(); n > 0 {
		whole = h.Width / n
	}
	h.KeyLength = m.number(".attention.key_length", whole, maxWidth)
	h.ValueLength = m.number(".attention.value_length", whole, maxWidth)
	h.SlidingWindow = m.number(".attention.sliding_window", 0, math.MaxInt32)
	h.Experts = m.number(".expert_count", 0, maxWidth)
	h.ExpertsUsed = m.number(".expert_used_count", 0, maxWidth)
	h.ExpertWidth = m.number(".expert_feed_forward_length", 0, maxWidth)
	if n := m.number(".pooling_type", -1, math.MaxInt32); n >= 0 && n < len(poolings) {
		h.Pooling = poolings[n]
	}
	if causal := m.flag(".attention.causal"); causal != nil {
		h.Causal = *causal
	}
}

// context is as large as a file says, even if no number here is.
func (m *meta) context() int {
	kind, key, ok := m.find(".context_length")
	if !ok {
		return 0
	}
	n := m.d.integer(kind, key)
	if n < 0 {
		m.d.fail("its %s is %d", plain(key), n)
	}
	return int(min(max(n, 0), math.MaxInt32))
}

func (m *meta) tokenizer(h *Header) {
	h.Tokenizer = m.label("tokenizer.ggml.model")
	h.Template = m.template()
	h.BOS, h.EOS = m.id("tokenizer.ggml.bos_token_id"), m.id("tokenizer.ggml.eos_token_id")
	h.AddBOS = m.flag("tokenizer.ggml.add_bos_token")
	var n int
	h.BOSText, h.EOSText, n = m.tokens(h.BOS, h.EOS)
	if h.Vocabulary = n; n == 0 {
		h.Vocabulary = m.number(".vocab_size", 0, maxWidth)
	}
}

// id reads a token's number; -1, and whatever is none, is no token.
func (m *meta) id(key string) int {
	kind, key, ok := m.find(key)
	if !ok {
		return -1
	}
	n := m.d.integer(kind, key)
	if n < 0 || n > maxWidth {
		return -1
	}
	return int(n)
}

// template refuses one that is too long: without it a model would be asked in a
// form it does not know.
func (m *meta) template() string {
	const key = "tokenizer.chat_template"
	kind, _, ok := m.find(key)
	if ok && kind == typeString {
		return m.d.text(m.d.count("bytes", key, maxTemplate))
	}
	return ""
}

// alignment of the tensors.
func (m *meta) alignment() int {
	n := m.number("general.alignment", 32, math.MaxInt32)
	if n == 0 || n > maxAlign || n&(n-1) != 0 {
		m.d.fail("its alignment is %d", n)
		return 1
	}
	return n
}
