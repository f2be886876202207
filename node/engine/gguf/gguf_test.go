package gguf

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"
)

const model = "../demo/omx-demo-q8_0.gguf"

func demo(t testing.TB) []byte {
	t.Helper()
	whole, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

func TestCheckDemoModel(t *testing.T) {
	h, err := Check(model)
	if err != nil {
		t.Fatal(err)
	}
	if h.Version != 3 || h.Architecture != "llama" || h.Name != "omx-demo" || h.Context != 2048 || h.Tensors == 0 {
		t.Errorf("header is %+v", h)
	}
	// What README.md beside the model says.
	if h.Layers != 5 || h.Width != 192 || h.Heads.At(4) != 6 || h.KVHeads.At(0) != 2 || h.FeedForward.At(0) != 512 || h.Vocabulary != 1536 || h.ParameterSize() != "2.26M" {
		t.Errorf("shape is %+v, %s parameters", h, h.ParameterSize())
	}
	if h.KeyLength != 32 || h.ValueLength != 32 || !h.Causal || h.Experts != 0 || h.Type != "model" || h.Quantization != "Q8_0" || h.License != "WordNet-3.0" {
		t.Errorf("header is %+v", h)
	}
	if h.Tokenizer != "gpt2" || h.BOS != 0 || h.EOS != 2 || h.BOSText != "<|endoftext|>" || h.EOSText != "<|im_end|>" || h.AddBOS == nil || *h.AddBOS || !strings.Contains(h.Template, "im_start") {
		t.Errorf("tokenizer is %+v", h)
	}
	sum := h.Embedding + h.Output
	for _, n := range h.Blocks {
		sum += n
	}
	if len(h.Blocks) != 5 || slices.Min(h.Blocks) != slices.Max(h.Blocks) || sum != h.TensorBytes || h.TensorBytes >= h.Bytes || h.TensorBytes < h.Bytes*9/10 || !h.Tied {
		t.Errorf("weights are %d of %d bytes: blocks %v, embedding %d, output %d", h.TensorBytes, h.Bytes, h.Blocks, h.Embedding, h.Output)
	}
}

// header builds the start of a file; what is not of a fixed size is a text.
func header(version uint32, tensors, pairs uint64, rest ...any) []byte {
	return values("GGUF", append([]any{version, tensors, pairs}, rest...)...)
}

func values(start string, rest ...any) []byte {
	b := bytes.NewBufferString(start)
	for _, v := range rest {
		if s, ok := v.(string); ok {
			_ = binary.Write(b, binary.LittleEndian, uint64(len(s)))
			b.WriteString(s)
			continue
		}
		_ = binary.Write(b, binary.LittleEndian, v)
	}
	return b.Bytes()
}

var arch = []any{"general.architecture", typeString, "llama"}

// pairs is a file with an architecture, these pairs, and one tensor of 4 bytes.
func pairs(n int, rest ...any) []byte {
	all := slices.Concat(arch, rest, []any{"t", uint32(1), uint64(1), uint32(F32), uint64(0)})
	b := header(3, 1, uint64(1+n), all...)
	return append(b, make([]byte, -len(b)&31+32)...)
}

// tensors is a file with an architecture, these tensors, and 1024 bytes of weights.
func tensors(n int, rest ...any) []byte {
	b := header(3, uint64(n), 1, slices.Concat(arch, rest)...)
	return append(b, make([]byte, -len(b)&31+1024)...)
}

func read(t *testing.T, data []byte) Header {
	t.Helper()
	h, err := Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestIntegersOfAllTypes(t *testing.T) {
	for _, kv := range [][]any{
		{typeU8, uint8(7)}, {typeI8, int8(7)}, {typeU16, uint16(7)}, {typeI16, int16(7)},
		{typeU32, uint32(7)}, {typeI32, int32(7)}, {typeU64, uint64(7)}, {typeI64, int64(7)},
	} {
		if h := read(t, pairs(1, append([]any{"llama.block_count"}, kv...)...)); h.Layers != 7 {
			t.Errorf("type %d: %d layers, want 7", kv[0], h.Layers)
		}
	}
}

func TestFiguresForEachLayer(t *testing.T) {
	h := read(t, pairs(3, "llama.embedding_length", typeU32, uint32(64),
		"llama.attention.head_count", typeArray, typeI32, uint64(3), []int32{2, 4, 8},
		"llama.attention.head_count_kv", typeArray, typeU8, uint64(3), []uint8{1, 0, 2}))
	if !slices.Equal(h.Heads, []int{2, 4, 8}) || !slices.Equal(h.KVHeads, []int{1, 0, 2}) || h.KeyLength != 8 || h.KVHeads.At(2) != 2 || h.KVHeads.At(3) != 0 || h.Heads.Max() != 8 {
		t.Errorf("heads %v, of keys %v, key length %d", h.Heads, h.KVHeads, h.KeyLength)
	}
	if h = read(t, pairs(1, "llama.attention.head_count", typeU32, uint32(4))); h.KVHeads.At(99) != 4 {
		t.Errorf("without a figure of their own, there are %v heads of keys, want 4", h.KVHeads)
	}
}

func TestWhatFilesSay(t *testing.T) {
	tests := []struct {
		name string
		data []byte
		ok   func(Header) bool
	}{
		{"adapter", pairs(3, "general.type", typeString, "adapter", "adapter.type", typeString, "lora", "adapter.lora.alpha", typeF32, float32(16)),
			func(h Header) bool { return h.Type == "adapter" && h.AdapterType == "lora" && h.LoRAAlpha == 16 }},
		{"embedding model", pairs(2, "llama.pooling_type", typeU32, uint32(1), "llama.attention.causal", typeBool, uint8(0)),
			func(h Header) bool { return h.Pooling == "mean" && !h.Causal }},
		{"file type", pairs(1, "general.file_type", typeU32, uint32(15)), func(h Header) bool { return h.Quantization == "Q4_K_M" }},
		{"file type that was guessed", pairs(1, "general.file_type", typeU32, uint32(1024+7)), func(h Header) bool { return h.Quantization == "Q8_0" }},
		{"no file type", tensors(2, "a", uint32(1), uint64(1), uint32(F32), uint64(0), "b", uint32(1), uint64(64), uint32(Q8_0), uint64(32)),
			func(h Header) bool { return h.Quantization == "Q8_0" && h.Parameters == 65 && h.TensorBytes == 4+68 }},
		{"vocabulary of no tokens", pairs(1, "llama.vocab_size", typeU32, uint32(99)), func(h Header) bool { return h.Vocabulary == 99 && h.BOS == -1 && h.AddBOS == nil }},
		{"tokens after their numbers", pairs(3, "tokenizer.ggml.bos_token_id", typeU32, uint32(1), "tokenizer.ggml.eos_token_id", typeU32, uint32(1),
			"tokenizer.ggml.tokens", typeArray, typeString, uint64(2), "a", "<s>"), func(h Header) bool { return h.BOSText == "<s>" && h.EOSText == "<s>" && h.Vocabulary == 2 }},
		{"token that is none", pairs(2, "tokenizer.ggml.bos_token_id", typeU32, uint32(1<<32-1), "tokenizer.ggml.tokens", typeArray, typeString, uint64(1), "a"),
			func(h Header) bool { return h.BOS == -1 && h.BOSText == "" }},
		{"architecture after its keys", header(3, 1, 2, "llama.block_count", typeU32, uint32(3), "general.architecture", typeString, "llama",
			"output.weight", uint32(0), uint32(F32), uint64(0), [64]byte{}), func(h Header) bool { return h.Layers == 3 && !h.Tied && h.Output == 4 }},
		{"name for a terminal", pairs(1, "general.name", typeString, "a\x1b[31m\nb"), func(h Header) bool { return h.Name == "a[31mb" }},
		{"name too long to show", pairs(1, "general.name", typeString, strings.Repeat("a", 300)), func(h Header) bool { return h.Name == "" }},
		{"name that is a number", pairs(1, "general.name", typeU32, uint32(7)), func(h Header) bool { return h.Name == "" }},
		{"context beyond all numbers", pairs(1, "llama.context_length", typeU64, uint64(1<<63)), func(h Header) bool { return h.Context == 1<<31-1 }},
		{"experts", pairs(3, "llama.expert_count", typeU32, uint32(8), "llama.expert_used_count", typeU32, uint32(2), "llama.expert_feed_forward_length", typeU32, uint32(64)),
			func(h Header) bool { return h.Experts == 8 && h.ExpertsUsed == 2 && h.ExpertWidth == 64 }},
		{"other people's keys", pairs(2, "x", typeArray, typeF64, uint64(2), [16]byte{}, "y", typeBool, uint8(1)), func(h Header) bool { return h.Tensors == 1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if h := read(t, tt.data); !tt.ok(h) {
				t.Errorf("header is %+v", h)
			}
		})
	}
}

// The figures are those that Ollama shows for these models.
func TestParameterSize(t *testing.T) {
	for n, want := range map[int64]string{999: "999", 22_600: "23K", 137_000_000: "137M", 494_032_768: "494.03M", 7_248_023_552: "7.2B", 70_000_000_000: "70B"} {
		if got := (&Header{Parameters: n}).ParameterSize(); got != want {
			t.Errorf("%d parameters read as %s, want %s", n, got, want)
		}
	}
}
