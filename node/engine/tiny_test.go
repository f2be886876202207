package engine

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"omx/node/engine/gguf"
)

const (
	tinyWidth = 32 // of two heads
	tinyVocab = 257
)

// tinyModel writes a model with random weights: of its kind of memory, and good for
// nothing else. Its tokens are the 256 bytes, and the end.
func tinyModel(t testing.TB, arch string, layers int) string {
	t.Helper()
	var g gguf.Writer
	g.Set("general.architecture", arch)
	number := func(key string, v int) { g.Set(key, uint32(v)) }
	for key, v := range map[string]int{"context_length": 4096, "embedding_length": tinyWidth, "block_count": layers, "feed_forward_length": 2 * tinyWidth,
		"attention.head_count": 2, "attention.head_count_kv": 2, "rope.dimension_count": tinyWidth / 2, "vocab_size": tinyVocab} {
		number(arch+"."+key, v)
	}
	g.Set(arch+".attention.layer_norm_rms_epsilon", float32(1e-5))
	var tokens []string
	for b, other := rune(0), rune(256); b < 256; b++ { // as GPT-2 writes bytes
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			tokens = append(tokens, string(b))
		} else {
			tokens = append(tokens, string(other))
			other++
		}
	}
	types := make([]int32, tinyVocab)
	for i := range types {
		types[i] = 1 + 2*int32(i/256) // normal, and one control token
	}
	g.Set("tokenizer.ggml.model", "gpt2")
	g.Set("tokenizer.ggml.pre", "gpt-2")
	g.Set("tokenizer.ggml.tokens", append(tokens, "<|im_end|>"))
	g.Set("tokenizer.ggml.token_type", types)
	g.Set("tokenizer.ggml.merges", []string{"a a"})
	number("tokenizer.ggml.eos_token_id", 256)
	number("tokenizer.ggml.bos_token_id", 256)
	g.Set("tokenizer.ggml.add_bos_token", false)

	rnd := rand.New(rand.NewPCG(3, 4))
	add := func(name string, middle, spread float64, dims ...int) {
		n := 1
		for _, d := range dims {
			n *= d
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(middle + spread*rnd.NormFloat64())
		}
		g.Tensor(name, gguf.F32, func(w *bufio.Writer) { gguf.Floats(values...)(w) }, dims...)
	}
	add("token_embd.weight", 0, 1, tinyWidth, tinyVocab)
	add("output_norm.weight", 1, 0, tinyWidth)
	for i := range layers {
		layer := func(name string, middle, spread float64, dims ...int) {
			add(fmt.Sprintf("blk.%d.%s", i, name), middle, spread, dims...)
		}
		const w = tinyWidth
		layer("attn_norm.weight", 1, 0, w)
		if arch == "mamba" {
			const inner = 2 * w
			layer("ssm_in.weight", 0, .2, w, 2*inner)
			layer("ssm_conv1d.weight", 0, .2, 4, inner)
			layer("ssm_conv1d.bias", 0, .2, inner)
			layer("ssm_x.weight", 0, .2, inner, 4+2*8)
			layer("ssm_dt.weight", 0, .2, 4, inner)
			layer("ssm_dt.bias", 0, .2, inner)
			layer("ssm_a", -1, .2, 8, inner)
			layer("ssm_d", 1, .2, inner)
			layer("ssm_out.weight", 0, .2, inner, w)
			continue
		}
		for _, m := range []string{"attn_q", "attn_k", "attn_v", "attn_output"} {
			layer(m+".weight", 0, .3, w, w)
		}
		for _, m := range []string{"ffn_gate", "ffn_up"} {
			layer(m+".weight", 0, .3, w, 2*w)
		}
		layer("ffn_down.weight", 0, .3, 2*w, w)
		layer("ffn_norm.weight", 1, 0, w)
		switch arch {
		case "gemma2":
			layer("post_attention_norm.weight", 9, 0, w) // else it says one token for ever
			layer("post_ffw_norm.weight", 9, 0, w)
		case "qwen2vl":
			for _, m := range []string{"attn_q", "attn_k", "attn_v"} {
				layer(m+".bias", 0, .1, w)
			}
		}
	}
	switch arch {
	case "mamba":
		for key, v := range map[string]int{"conv_kernel": 4, "inner_size": 2 * tinyWidth, "state_size": 8, "time_step_rank": 4} {
			number("mamba.ssm."+key, v)
		}
	case "gemma2":
		number("gemma2.attention.sliding_window", 48)
	case "qwen2vl":
		g.Set("qwen2vl.rope.dimension_sections", []int32{4, 2, 2, 0})
	}
	path := filepath.Join(t.TempDir(), arch+".gguf")
	if err := g.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}
