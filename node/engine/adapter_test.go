package engine

import (
	"bufio"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/node/catalog"
	"omx/node/engine/gguf"
)

// adapter writes a LoRA adapter of rank 1 for the demonstration model's output: it
// adds strength times the sum of what comes in to one token.
func adapter(t *testing.T, token int, strength float32) string {
	t.Helper()
	path := demoModel(t)
	h, err := gguf.Check(path)
	if err != nil {
		t.Fatal(err)
	}
	var w gguf.Writer
	w.Set("general.type", "adapter")
	w.Set("general.architecture", h.Architecture)
	w.Set("adapter.type", "lora")
	w.Set("adapter.lora.alpha", float32(1))
	a, b := make([]float32, h.Width), make([]float32, h.Vocabulary)
	for i := range a {
		a[i] = strength * float32(math.Sin(float64(i)))
	}
	b[token] = 1
	name := "output.weight"
	if h.Tied {
		name = "blk.0.ffn_up.weight"
		b = make([]float32, h.FeedForward.At(0))
		for i := range b {
			b[i] = float32(math.Cos(float64(i)))
		}
	}
	w.Tensor(name+".lora_a", gguf.F32, gguf.Floats(a...), len(a), 1)
	w.Tensor(name+".lora_b", gguf.F32, gguf.Floats(b...), 1, len(b))
	path = filepath.Join(t.TempDir(), "adapter.gguf")
	if err := w.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// An adapter changes what a model says, as much as its scale says; the same model
// without it is served beside it.
func TestAdapter(t *testing.T) {
	path := adapter(t, 300, 1)
	l := newLocal(t, func(c *LocalConfig) {
		plain := c.Models[0]
		for name, scale := range map[string]float32{"tuned": 1, "off": 0} {
			m := plain
			m.ID, m.Adapters = model(t, name), []Adapter{{Path: path, Scale: scale}}
			c.Models = append(c.Models, m)
		}
	})
	say := func(name string) string {
		p := ask(l, "What is a river?")
		p.Model = model(t, name)
		text, _, err := answer(l, p)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	plain := say(DemoID)
	if got := say("off"); got != plain {
		t.Errorf("with a scale of 0: %q, want %q", got, plain)
	}
	if got := say("tuned"); got == plain {
		t.Errorf("the adapter changes nothing: %q", got)
	}
}

func TestBadAdapter(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other.gguf")
	var w gguf.Writer
	w.Set("general.type", "adapter")
	w.Set("general.architecture", "llama")
	w.Set("adapter.type", "lora")
	w.Set("adapter.lora.alpha", float32(1))
	w.Tensor("blk.99.attn_q.weight.lora_a", gguf.F32, gguf.Floats(1, 2), 2, 1)
	w.Tensor("blk.99.attn_q.weight.lora_b", gguf.F32, gguf.Floats(1, 2), 1, 2)
	if err := w.Write(other); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(t.TempDir(), "none.gguf")
	if err := os.WriteFile(none, []byte("no adapter"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{other, none, filepath.Join(t.TempDir(), "absent")} {
		l := newLocal(t, func(c *LocalConfig) { c.Models[0].Adapters = []Adapter{{Path: path, Scale: 1}} })
		if _, _, err := answer(l, ask(l, "x")); !errors.Is(err, ErrNoModel) || !strings.Contains(err.Error(), "adapter") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
}

// ranker writes the demonstration model as one that ranks: what it says of a text is
// the first number of its vector.
func ranker(t *testing.T) string {
	t.Helper()
	const width, vocabulary = 32, 300
	var w gguf.Writer
	w.Set("general.architecture", "bert")
	for key, v := range map[string]uint32{"context_length": 64, "embedding_length": width, "block_count": 1, "feed_forward_length": 64, "attention.head_count": 2, "pooling_type": 4} {
		w.Set("bert."+key, v)
	}
	w.Set("tokenizer.ggml.token_type_count", uint32(2))
	w.Set("bert.attention.causal", false)
	w.Set("bert.attention.layer_norm_epsilon", float32(1e-5))
	tokens, kinds := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}, []int32{3, 2, 3, 3, 3}
	for len(tokens) < vocabulary {
		n := len(tokens) - 5
		text := "\u2581" + string(rune('a'+n%26))
		if n >= 26 {
			text = string(rune('a'+n%26)) + string(rune('a'+n/26))
		}
		tokens, kinds = append(tokens, text), append(kinds, 1)
	}
	w.Set("tokenizer.ggml.model", "bert")
	w.Set("tokenizer.ggml.tokens", tokens)
	w.Set("tokenizer.ggml.token_type", kinds)
	for key, v := range map[string]uint32{"bos": 2, "cls": 2, "eos": 3, "seperator": 3, "unknown": 1, "padding": 0, "mask": 4} {
		w.Set("tokenizer.ggml."+key+"_token_id", v)
	}
	seed := 0.0
	random := func(name string, dims ...int) {
		n := 1
		for _, d := range dims {
			n *= d
		}
		v := make([]float32, n)
		for i := range v {
			seed += 0.7
			v[i] = float32(math.Sin(seed*seed)) * 0.3
		}
		w.Tensor(name, gguf.F32, gguf.Floats(v...), dims...)
	}
	fill := func(name string, value float32, n int) {
		w.Tensor(name, gguf.F32, func(b *bufio.Writer) {
			for range n {
				gguf.Floats(value)(b)
			}
		}, n)
	}
	random("token_embd.weight", width, vocabulary)
	random("position_embd.weight", width, 64)
	random("token_types.weight", width, 2)
	fill("token_embd_norm.weight", 1, width)
	fill("token_embd_norm.bias", 0, width)
	for _, name := range []string{"attn_q", "attn_k", "attn_v", "attn_output"} {
		random("blk.0."+name+".weight", width, width)
		fill("blk.0."+name+".bias", 0, width)
	}
	for _, name := range []string{"attn_output_norm", "layer_output_norm"} {
		fill("blk.0."+name+".weight", 1, width)
		fill("blk.0."+name+".bias", 0, width)
	}
	random("blk.0.ffn_up.weight", width, 64)
	fill("blk.0.ffn_up.bias", 0, 64)
	random("blk.0.ffn_down.weight", 64, width)
	fill("blk.0.ffn_down.bias", 0, width)
	random("cls.weight", width, width)
	fill("cls.bias", 0, width)
	random("cls.output.weight", width, 1)
	fill("cls.output.bias", 0, 1)
	path := filepath.Join(t.TempDir(), "ranker.gguf")
	if err := w.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// A model that ranks gives each text a score that depends on the query; it writes
// nothing and makes no embeddings.
func TestRank(t *testing.T) {
	l := newLocal(t, func(c *LocalConfig) { c.Models[0].Path = ranker(t) })
	id := status(l).ID
	texts := []string{"a b c", "d e f", "a b c"}
	one, err := l.Embed(t.Context(), &EmbedRequest{Model: id, Input: texts, Query: "a b"})
	if err != nil || len(one.Vectors) != 3 || len(one.Vectors[0]) != 1 {
		t.Fatalf("%+v, %v", one, err)
	}
	two, err := l.Embed(t.Context(), &EmbedRequest{Model: id, Input: texts, Query: "x y z"})
	if err != nil {
		t.Fatal(err)
	}
	if v := one.Vectors; v[0][0] == v[1][0] || math.Abs(float64(v[0][0]-v[2][0])) > 1e-4 || v[0][0] == two.Vectors[0][0] {
		t.Errorf("scores %v, of another query %v", one.Vectors, two.Vectors)
	}
	if _, err := l.Embed(t.Context(), &EmbedRequest{Model: id, Input: texts}); !errors.Is(err, ErrCannot) {
		t.Errorf("embeddings: %v", err)
	}
	if _, _, err := answer(l, ask(l, "a b")); !errors.Is(err, ErrCannot) {
		t.Errorf("text: %v", err)
	}
	if st := status(l); st.State != catalog.Loaded || st.Writes || !st.Embeds {
		t.Errorf("%+v", st)
	}
	demo := newLocal(t, nil)
	if _, err := demo.Embed(t.Context(), &EmbedRequest{Model: status(demo).ID, Input: texts, Query: "a"}); !errors.Is(err, ErrCannot) {
		t.Errorf("a model that does not rank: %v", err)
	}
}
