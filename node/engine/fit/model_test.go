package fit

import (
	"bufio"
	"bytes"
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
	var meta bytes.Buffer
	pairs := 0
	put := func(v any) { _ = binary.Write(&meta, binary.LittleEndian, v) }
	text := func(v string) { put(uint64(len(v))); meta.WriteString(v) }
	pair := func(key string, v any) {
		pairs++
		text(key)
		switch v := v.(type) {
		case string:
			put(uint32(8))
			text(v)
		case int:
			put(uint32(4))
			put(uint32(v))
		case float32:
			put(uint32(6))
			put(v)
		case []int32:
			put([]uint32{9, 5})
			put(uint64(len(v)))
			put(v)
		case []string:
			put([]uint32{9, 8})
			put(uint64(len(v)))
			for _, x := range v {
				text(x)
			}
		}
	}
	pair("general.architecture", "llama")
	pair("llama.context_length", 1<<17)
	pair("llama.embedding_length", s.width)
	pair("llama.block_count", s.layers)
	pair("llama.feed_forward_length", s.ff)
	pair("llama.attention.head_count", s.heads)
	if s.experts > 0 {
		pair("llama.expert_count", s.experts)
		pair("llama.expert_used_count", 2)
	}
	pair("llama.attention.head_count_kv", s.kvHeads)
	pair("llama.rope.dimension_count", s.width/s.heads)
	pair("llama.attention.layer_norm_rms_epsilon", float32(1e-5))
	tokens, types := vocabulary(s.vocab)
	pair("tokenizer.ggml.model", "gpt2")
	pair("tokenizer.ggml.pre", "gpt-2")
	pair("tokenizer.ggml.tokens", tokens)
	pair("tokenizer.ggml.token_type", types)
	pair("tokenizer.ggml.merges", []string{"a a"})
	pair("tokenizer.ggml.eos_token_id", s.vocab-1)
	pair("tokenizer.ggml.bos_token_id", s.vocab-1)

	var infos bytes.Buffer
	offset := int64(0)
	all := s.tensors()
	for _, x := range all {
		_ = binary.Write(&infos, binary.LittleEndian, uint64(len(x.name)))
		infos.WriteString(x.name)
		_ = binary.Write(&infos, binary.LittleEndian, uint32(len(x.dims)))
		for _, d := range x.dims {
			_ = binary.Write(&infos, binary.LittleEndian, uint64(d))
		}
		_ = binary.Write(&infos, binary.LittleEndian, uint32(x.kind))
		_ = binary.Write(&infos, binary.LittleEndian, uint64(offset))
		offset += (x.bytes() + 31) / 32 * 32
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	start := bytes.NewBufferString("GGUF")
	_ = binary.Write(start, binary.LittleEndian, []uint32{3})
	_ = binary.Write(start, binary.LittleEndian, []uint64{uint64(len(all)), uint64(pairs)})
	start.Write(meta.Bytes())
	start.Write(infos.Bytes())
	start.Write(make([]byte, -start.Len()&31))
	head := int64(start.Len())
	if _, err := start.WriteTo(w); err != nil {
		t.Fatal(err)
	}
	if !s.sparse {
		rnd := rand.New(rand.NewPCG(1, 2))
		for _, x := range all {
			if err := weights(w, rnd, x); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(head + offset); err != nil {
		t.Fatal(err)
	}
	return path
}

// weights writes small random ones: for quantised blocks, bytes below a scale.
func weights(w io.Writer, rnd *rand.Rand, x tensor) error {
	buf := make([]byte, (x.bytes()+31)/32*32)
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
	_, err := w.Write(buf)
	return err
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
