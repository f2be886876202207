package engine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"omx/node/engine"
	"omx/node/engine/gguf"
)

// A block of type Q8_0 is a scale as a half and then its values.
const (
	q8Values = 32
	q8Block  = 2 + q8Values
)

// shape is that of a model of random weights: honest for speed, useless for
// quality.
type shape struct {
	layers, width, heads, kvHeads, hidden, vocabulary, context int
}

var (
	largeShape = shape{layers: 8, width: 512, heads: 8, kvHeads: 4, hidden: 1536, vocabulary: 8192, context: 2048} // 33.6 M parameters
	tinyShape  = shape{layers: 2, width: 64, heads: 2, kvHeads: 1, hidden: 96, vocabulary: 512, context: 2048}
)

// endless writes the demonstration model with another end-of-turn token, one that
// it never says: its answers go on to the length that is asked for.
func endless(dir string) (string, error) {
	path, err := engine.DemoModel(dir)
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	end := append([]byte("tokenizer.ggml.eos_token_id"), 4, 0, 0, 0, 2, 0, 0, 0)
	if bytes.Count(data, end) != 1 {
		return "", errors.New("the demonstration model has no end-of-turn token")
	}
	never := append(bytes.Clone(end[:len(end)-4]), 0, 0, 0, 0)
	data = bytes.Replace(data, end, never, 1)
	data = bytes.ReplaceAll(data, []byte("<|im_end|>"), []byte("<|im_enx|>"))
	path = filepath.Join(dir, "endless.gguf")
	return path, os.WriteFile(path, data, 0o600)
}

// random writes a model of random weights. Its vocabulary is the bytes, the
// letters after a blank, and words that are only ever answered: rows of the
// output matrix that belong to anything else are zero, so it never ends an answer
// and never says half a character.
func (s shape) random(path string) error {
	var g gguf.Writer
	g.Set("general.architecture", "llama")
	g.Set("general.name", "random")
	g.Set("llama.context_length", uint32(s.context))
	g.Set("llama.embedding_length", uint32(s.width))
	g.Set("llama.block_count", uint32(s.layers))
	g.Set("llama.feed_forward_length", uint32(s.hidden))
	g.Set("llama.attention.head_count", uint32(s.heads))
	g.Set("llama.attention.head_count_kv", uint32(s.kvHeads))
	g.Set("llama.rope.dimension_count", uint32(s.width/s.heads))
	g.Set("llama.attention.layer_norm_rms_epsilon", float32(1e-5))
	g.Set("llama.vocab_size", uint32(s.vocabulary))
	silent := s.words(&g)

	weights := rand.New(rand.NewPCG(1, 2)) // the same file every time
	matrix := func(name string, in, out, zero int) {
		scale := half(float32(1 / (73 * math.Sqrt(float64(in))))) // 73: of bytes drawn evenly, so that sums have about the size of 1
		g.Tensor(name, gguf.Q8_0, func(w *bufio.Writer) {
			var block [q8Block]byte
			for i := range in / q8Values * out {
				clear(block[:])
				if i >= in/q8Values*zero {
					binary.LittleEndian.PutUint16(block[:], scale)
					for j := 2; j < q8Block; j += 8 {
						binary.LittleEndian.PutUint64(block[j:], weights.Uint64())
					}
				}
				w.Write(block[:])
			}
		}, in, out)
	}
	ones := func(name string) {
		g.Tensor(name, gguf.F32, func(w *bufio.Writer) {
			for range s.width {
				w.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(1)))
			}
		}, s.width)
	}
	kv := s.width / s.heads * s.kvHeads
	matrix("token_embd.weight", s.width, s.vocabulary, 0)
	for i := range s.layers {
		at := fmt.Sprintf("blk.%d.", i)
		ones(at + "attn_norm.weight")
		matrix(at+"attn_q.weight", s.width, s.width, 0)
		matrix(at+"attn_k.weight", s.width, kv, 0)
		matrix(at+"attn_v.weight", s.width, kv, 0)
		matrix(at+"attn_output.weight", s.width, s.width, 0)
		ones(at + "ffn_norm.weight")
		matrix(at+"ffn_gate.weight", s.width, s.hidden, 0)
		matrix(at+"ffn_up.weight", s.width, s.hidden, 0)
		matrix(at+"ffn_down.weight", s.hidden, s.width, 0)
	}
	ones("output_norm.weight")
	matrix("output.weight", s.width, s.vocabulary, silent)
	return g.Write(path)
}

// words sets a byte-level vocabulary and returns how many tokens at its start are
// never to be said.
func (s shape) words(g *gguf.Writer) (silent int) {
	const normal, control, blank = 1, 3, "Ġ"
	tokens, kinds, merges := []string{"<|end|>"}, []int32{control}, []string(nil)
	add := func(text string) { tokens, kinds = append(tokens, text), append(kinds, normal) }
	for b := range 256 {
		add(string(byteRune(b)))
	}
	for c := 'a'; c <= 'z'; c++ {
		add(blank + string(c))
		merges = append(merges, blank+" "+string(c))
	}
	silent = len(tokens)
	for len(tokens) < s.vocabulary {
		add(fmt.Sprintf("%sw%d", blank, len(tokens)))
	}
	g.Set("tokenizer.ggml.model", "gpt2")
	g.Set("tokenizer.ggml.pre", "gpt-2")
	g.Set("tokenizer.ggml.tokens", tokens)
	g.Set("tokenizer.ggml.token_type", kinds)
	g.Set("tokenizer.ggml.merges", merges)
	g.Set("tokenizer.ggml.bos_token_id", uint32(0))
	g.Set("tokenizer.ggml.eos_token_id", uint32(0))
	g.Set("tokenizer.ggml.add_bos_token", false)
	return silent
}

// byteRune is the character that stands for a byte in such vocabularies: itself
// where it can be seen, else one from 256 on.
func byteRune(b int) rune {
	seen := func(b int) bool { return b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xff && b != 0xad }
	if seen(b) {
		return rune(b)
	}
	n := 0
	for i := range b {
		if !seen(i) {
			n++
		}
	}
	return rune(256 + n)
}

// prompts makes texts of letters: about one token each, and no two that begin the
// same for long, so that nothing of one serves the next.
type prompts struct{ r *rand.Rand }

func newPrompts(seed uint64) *prompts { return &prompts{rand.New(rand.NewPCG(seed, 1))} }

func (p *prompts) next(letters int) string {
	b := make([]byte, 0, 2*letters)
	for range letters {
		b = append(b, ' ', 'a'+byte(p.r.IntN(26)))
	}
	return string(b)
}

func (p *prompts) list(n, letters int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = p.next(letters)
	}
	return list
}

// half is v in 16 bits: exact for what is not too small or large, but for its last
// digits, which are cut off.
func half(v float32) uint16 {
	bits := math.Float32bits(v)
	exponent := int(bits>>23&0xff) - 127 + 15
	if exponent <= 0 {
		return 0
	}
	return uint16(bits>>16&0x8000) | uint16(exponent)<<10 | uint16(bits>>13&0x3ff)
}
