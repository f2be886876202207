package fit

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"omx/node/engine/gguf"
)

// shape is a llama model to be made up: its size is real, its weights are not.
type shape struct {
	vocab, width, layers, heads, kvHeads, ff int
	kind                                     gguf.Type // of the matrices
	experts                                  int       // of which 2 are used; 0: none
	tied                                     bool      // no output matrix
	sparse                                   bool      // the weights are a hole in the file
}

type tensor struct {
	name string
	dims []int
	kind gguf.Type
}

func (s shape) tensors() []tensor {
	head := s.width / s.heads
	all := []tensor{
		{"token_embd.weight", []int{s.width, s.vocab}, s.kind},
		{"output_norm.weight", []int{s.width}, gguf.F32},
	}
	if !s.tied {
		all = append(all, tensor{"output.weight", []int{s.width, s.vocab}, s.kind})
	}
	for i := range s.layers {
		layer := []tensor{
			{"attn_norm", []int{s.width}, gguf.F32},
			{"attn_q", []int{s.width, s.width}, s.kind},
			{"attn_k", []int{s.width, head * s.kvHeads}, s.kind},
			{"attn_v", []int{s.width, head * s.kvHeads}, s.kind},
			{"attn_output", []int{s.width, s.width}, s.kind},
			{"ffn_norm", []int{s.width}, gguf.F32},
		}
		if s.experts == 0 {
			layer = append(layer, tensor{"ffn_gate", []int{s.width, s.ff}, s.kind}, tensor{"ffn_up", []int{s.width, s.ff}, s.kind}, tensor{"ffn_down", []int{s.ff, s.width}, s.kind})
		} else {
			layer = append(layer, tensor{"ffn_gate_inp", []int{s.width, s.experts}, gguf.F32}, tensor{"ffn_gate_exps", []int{s.width, s.ff, s.experts}, s.kind},
				tensor{"ffn_up_exps", []int{s.width, s.ff, s.experts}, s.kind}, tensor{"ffn_down_exps", []int{s.ff, s.width, s.experts}, s.kind})
		}
		for _, t := range layer {
			t.name = fmt.Sprintf("blk.%d.%s.weight", i, t.name)
			all = append(all, t)
		}
	}
	return all
}

func (t tensor) bytes() int64 {
	n := int64(1)
	for _, d := range t.dims {
		n *= int64(d)
	}
	per, size := t.kind.Block()
	return n / per * size
}

// write makes the file. The weights are random, or a hole.
func (s shape) write(t testing.TB) string {
	t.Helper()
	var g gguf.Writer
	number := func(key string, v int) { g.Set(key, uint32(v)) }
	g.Set("general.architecture", "llama")
	number("llama.context_length", 1<<17)
	number("llama.embedding_length", s.width)
	number("llama.block_count", s.layers)
	number("llama.feed_forward_length", s.ff)
	number("llama.attention.head_count", s.heads)
	if s.experts > 0 {
		number("llama.expert_count", s.experts)
		number("llama.expert_used_count", 2)
	}
	number("llama.attention.head_count_kv", s.kvHeads)
	number("llama.rope.dimension_count", s.width/s.heads)
	g.Set("llama.attention.layer_norm_rms_epsilon", float32(1e-5))
	tokens, types := vocabulary(s.vocab)
	g.Set("tokenizer.ggml.model", "gpt2")
	g.Set("tokenizer.ggml.pre", "gpt-2")
	g.Set("tokenizer.ggml.tokens", tokens)
	g.Set("tokenizer.ggml.token_type", types)
	g.Set("tokenizer.ggml.merges", []string{"a a"})
	number("tokenizer.ggml.eos_token_id", s.vocab-1)
	number("tokenizer.ggml.bos_token_id", s.vocab-1)

	rnd := rand.New(rand.NewPCG(1, 2))
	size := int64(0)
	for _, x := range s.tensors() {
		g.Tensor(x.name, x.kind, func(w *bufio.Writer) {
			if !s.sparse {
				weights(w, rnd, x)
			}
		}, x.dims...)
		size += (x.bytes() + 31) / 32 * 32
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := g.Write(path); err != nil {
		t.Fatal(err)
	}
	if s.sparse { // what is not written is a hole
		st, err := os.Stat(path)
		if err == nil {
			err = os.Truncate(path, st.Size()+size)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// weights writes small random ones: for quantised blocks, bytes below a scale.
func weights(w io.Writer, rnd *rand.Rand, x tensor) {
	buf := make([]byte, x.bytes())
	var scale [2]byte
	binary.LittleEndian.PutUint16(scale[:], 0x0c00) // 2^-12
	_, size := x.kind.Block()
	for i := int64(0); i < x.bytes(); i += size {
		switch x.kind {
		case gguf.F32:
			binary.LittleEndian.PutUint32(buf[i:], 0x3f800000) // norms are 1
		case gguf.F16:
			binary.LittleEndian.PutUint16(buf[i:], uint16(rnd.Uint32())&0x83ff|0x2400)
		default:
			for j := i; j < i+size; j++ {
				buf[j] = byte(rnd.Uint32())
			}
			copy(buf[i:], scale[:])
		}
	}
	w.Write(buf) // the writer keeps an error
}

// vocabulary is one token for each byte, fillers, and the one that ends.
func vocabulary(n int) (tokens []string, types []int32) {
	other := rune(256)
	for b := rune(0); b < 256; b++ {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			tokens = append(tokens, string(b))
		} else {
			tokens = append(tokens, string(other))
			other++
		}
	}
	for len(tokens) < n-1 {
		tokens = append(tokens, fmt.Sprintf("filler%d", len(tokens)))
	}
	tokens = append(tokens, "<|im_end|>")
	types = make([]int32, n)
	for i := range types {
		types[i] = 1
	}
	types[n-1] = 3
	return tokens, types
}
