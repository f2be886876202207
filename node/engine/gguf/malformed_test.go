package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"omx/node/nodetest"
)

type malformed struct {
	name, want string
	data       []byte
}

// after is the model's bytes with others in place of what follows the first
// occurrence of a text.
func after(t testing.TB, whole []byte, text string, rest ...any) []byte {
	t.Helper()
	i := bytes.Index(whole, []byte(text))
	if i < 0 {
		t.Fatalf("the demonstration model has no %s", text)
	}
	b := values("", rest...)
	return slices.Concat(whole[:i+len(text)], b, whole[i+len(text)+len(b):])
}

func corpus(t testing.TB) []malformed {
	whole := demo(t)
	change := func(text string, rest ...any) []byte { return after(t, whole, text, rest...) }
	with := func(rest ...any) []any { return slices.Concat(arch, rest) }
	f32 := func(name string, offset uint64) []any {
		return []any{name, uint32(1), uint64(8), uint32(F32), offset}
	}
	many := func(n int, one ...any) []any {
		var all []any
		for range n {
			all = append(all, one...)
		}
		return all
	}
	keys := func(n int) []any {
		var all []any
		for i := range n {
			all = append(all, string([]byte{byte(i), byte(i >> 8)}), typeU8, uint8(0))
		}
		return all
	}
	const info = "blk.0.attn_q.weight" // of 2 dimensions, 192 × 192, Q8_0
	return []malformed{
		{"empty", "cut off", nil},
		{"one byte", "cut off", []byte("G")},
		{"other file", "does not begin with GGUF", []byte("\x7fELF and so on")},
		{"the older format", "does not begin with GGUF", []byte("tjgg and so on")},
		{"version", "version is 99", header(99, 0, 0)},
		{"version 1", "version is 1", header(1, 0, 0)},
		{"big endian", "version is 50331648", values("GGUF", [4]byte{0, 0, 0, 3}, [16]byte{})},
		{"tensors", "tensors", header(3, 1<<40, 0)},
		{"most tensors", "tensors", header(3, 1<<64-1, 0)},
		{"pairs", "metadata pairs", header(3, 1, 1<<40)},
		{"no architecture", "no architecture", header(3, 1, 0)},
		{"empty architecture", "no architecture", header(3, 1, 1, "general.architecture", typeString, "")},
		{"architecture that is a number", "general.architecture is not a text", header(3, 1, 1, "general.architecture", typeU32, uint32(1))},
		{"architecture that breaks lines", `architecture is "a\nb"`, header(3, 1, 1, "general.architecture", typeString, "a\nb")},
		{"no tensors", "no tensors", header(3, 0, 1, arch...)},
		{"long key", "bytes of a key", header(3, 1, 1, uint64(1<<50))},
		{"key of all bytes there are", "bytes of a key", header(3, 1, 1, uint64(1<<64-1))},
		{"key beyond the end", "header goes beyond", header(3, 1, 1, uint64(1000), "k")},
		{"key twice", "key general.architecture twice", header(3, 1, 2, with(arch...)...)},
		{"unprintable key twice", `key "\x1b" twice`, header(3, 1, 3, with("\x1b", typeU8, uint8(0), "\x1b", typeU8, uint8(0))...)},
		{"keys without end", "header goes beyond", header(3, 1, 4096, keys(4000)...)},
		{"long array", "items of k", header(3, 1, 2, with("k", typeArray, uint32(0), uint64(1<<60))...)},
		{"array whose bytes overflow", "items of k", header(3, 1, 2, with("k", typeArray, typeU64, uint64(1<<61))...)},
		{"array beyond the end", "header goes beyond", header(3, 1, 2, with("k", typeArray, typeF64, uint64(1<<20))...)},
		{"nested array", "unknown type 9", header(3, 1, 2, with("k", typeArray, typeArray, uint64(1))...)},
		{"arrays nested a thousand deep", "unknown type 9", header(3, 1, 2, with(append([]any{"k"}, many(1000, typeArray, typeArray, uint64(1))...)...)...)},
		{"endless texts", "header goes beyond", header(3, 1, 2, with(append([]any{"k", typeArray, typeString, uint64(maxTexts)}, many(5000, "")...)...)...)},
		{"too many texts", "texts, at most", header(3, 1, 2, with("k", typeArray, typeString, uint64(maxTexts+1))...)},
		{"text of a terabyte", "bytes of k", header(3, 1, 2, with("k", typeString, uint64(1<<40))...)},
		{"text beyond the end", "header goes beyond", header(3, 1, 2, with("k", typeString, uint64(1<<20))...)},
		{"text in an array of all bytes there are", "bytes in a text", header(3, 1, 2, with("k", typeArray, typeString, uint64(1), uint64(1<<64-1))...)},
		{"unknown type", "unknown type 77", header(3, 1, 2, with("k", uint32(77))...)},
		{"array of an unknown type", "unknown type 13", header(3, 1, 2, with("k", typeArray, uint32(13), uint64(0))...)},
		{"alignment", "alignment is 3", header(3, 1, 2, with("general.alignment", typeU32, uint32(3))...)},
		{"alignment of 0", "alignment is 0", pairs(1, "general.alignment", typeU32, uint32(0))},
		{"alignment of a gigabyte", "alignment is 1073741824", pairs(1, "general.alignment", typeU32, uint32(1<<30))},
		{"negative alignment", "general.alignment is -8", pairs(1, "general.alignment", typeI32, int32(-8))},
		{"layers", "llama.block_count is 4294967295", change("llama.block_count", typeU32, uint32(1<<32-1))},
		{"layers as a fraction", "llama.block_count is not a whole number", change("llama.block_count", typeF32, float32(5))},
		{"negative width", "llama.embedding_length is -1", change("llama.embedding_length", typeI32, int32(-1))},
		{"heads beyond all numbers", "llama.attention.head_count is 9223372036854775807", pairs(1, "llama.attention.head_count", typeU64, uint64(1<<64-1))},
		{"heads of a million layers", "items of llama.attention.head_count", pairs(1, "llama.attention.head_count", typeArray, typeU8, uint64(1<<20), [1 << 20]byte{})},
		{"heads that are texts", "head_count is not a whole number", pairs(1, "llama.attention.head_count", typeArray, typeString, uint64(1), "8")},
		{"negative context", "llama.context_length is -5", change("llama.context_length", typeI32, int32(-5))},
		{"one of three parts", "one of 3 parts", pairs(1, "split.count", typeU16, uint16(3))},
		{"template too long", "bytes of tokenizer.chat_template", pairs(1, "tokenizer.chat_template", typeString, strings.Repeat("{", maxTemplate+1))},
		{"tokens that are numbers", "tokens are not texts", pairs(1, "tokenizer.ggml.tokens", typeArray, typeU32, uint64(1), uint32(1))},
		{"tokens that are one text", "tokens are not texts", pairs(1, "tokenizer.ggml.tokens", typeString, "a")},
		{"dimensions", "9 dimensions", header(3, 1, 1, with("t", uint32(9))...)},
		{"dimensions of a tensor of the model", "4294967295 dimensions", change(info, uint32(1<<32-1))},
		{"dimensions whose product overflows", "larger than any file", change(info, uint32(2), uint64(1<<40), uint64(1<<40))},
		{"dimensions whose product wraps to 0", "larger than any file", change(info, uint32(2), uint64(1<<32), uint64(1<<32))},
		{"dimension of all there is", "larger than any file", change(info, uint32(2), uint64(1<<63), uint64(2))},
		{"rows that are not whole blocks", "not whole blocks of 32", change(info, uint32(2), uint64(191), uint64(192))},
		{"type of a tensor", "unknown type 99", change(info, uint32(2), uint64(192), uint64(192), uint32(99))},
		{"type that was removed", "unknown type 4;", change(info, uint32(2), uint64(192), uint64(192), uint32(4))},
		{"type of all bits", "unknown type 4294967295", change(info, uint32(2), uint64(192), uint64(192), uint32(1<<32-1))},
		{"offset beyond the end", "begins at byte 1099511627776", change(info, uint32(2), uint64(192), uint64(192), uint32(Q8_0), uint64(1<<40))},
		{"offset that overflows", "begins at byte 18446744073709551584", change(info, uint32(2), uint64(192), uint64(192), uint32(Q8_0), uint64(1<<64-32))},
		{"offset out of line", "begins at byte 33", tensors(2, slices.Concat(f32("a", 0), f32("b", 33))...)},
		{"tensors that overlap", "begins at byte 0", tensors(2, slices.Concat(f32("a", 0), f32("b", 0))...)},
		{"tensors with a gap", "begins at byte 64", tensors(2, slices.Concat(f32("a", 0), f32("b", 64))...)},
		{"tensor beyond the end", "ends beyond", tensors(1, "a", uint32(1), uint64(1<<20), uint32(F32), uint64(0))},
		{"tensor that ends a byte late", "last tensor ends beyond", whole[:len(whole)-1]},
		{"tensor's name", "bytes of a tensor's name", tensors(1, uint64(1<<40))},
		{"tensor's name beyond the end", "header goes beyond", header(3, 1, 1, with(uint64(1000), uint64(0))...)},
		{"block of all there are", "of no block", tensors(1, f32("blk.99999999999999999999.x", 0)...)},
		{"negative block", "of no block", tensors(1, f32("blk.-1.x", 0)...)},
		{"tensors without end", "header goes beyond", header(3, maxTensors, 1, arch...)},
		{"cut in the magic", "cut off", whole[:3]},
		{"cut in the counts", "header goes beyond", whole[:20]},
		{"cut in the header", "header goes beyond", whole[:1000]},
		{"cut in the tensors", "cut off", whole[:bytes.Index(whole, []byte("blk.4.ffn_down"))]},
		{"cut where the weights begin", "ends beyond", whole[:len(whole)-int(good(whole).TensorBytes)]},
		{"cut in the data", "ends beyond", whole[:len(whole)/2]},
	}
}

// good is the header of a file that is known to be good.
func good(data []byte) Header {
	h, _ := Read(bytes.NewReader(data), int64(len(data)))
	return h
}

// measured reads a header and returns what that allocated.
func measured(data []byte, size int64) (Header, uint64, error) {
	r := bytes.NewReader(data)
	var before, behind runtime.MemStats
	runtime.ReadMemStats(&before)
	h, err := Read(r, size)
	runtime.ReadMemStats(&behind)
	return h, behind.TotalAlloc - before.TotalAlloc, err
}

// within checks what is promised for any file. Of a few tries the fastest counts:
// the machine has other work. The detector takes some 25 times as long on a quiet one.
func within(t *testing.T, data []byte) error {
	t.Helper()
	limit := 100 * time.Millisecond
	if nodetest.Race {
		limit *= 100
	}
	var err error
	took := time.Duration(1<<63 - 1)
	for try := 0; try < 5 && took > limit; try++ {
		var allocated uint64
		began := time.Now()
		_, allocated, err = measured(data, int64(len(data)))
		took = min(took, time.Since(began))
		if most := 2*uint64(len(data)) + 1<<20; allocated > most {
			t.Fatalf("%d bytes are allocated for a file of %d, at most %d", allocated, len(data), most)
		}
	}
	if took > limit {
		t.Errorf("it took %v, at most %v", took, limit)
	}
	t.Logf("%d bytes: %v", len(data), took)
	return err
}

func TestRefuses(t *testing.T) {
	all := corpus(t)
	if len(all) < 40 {
		t.Errorf("the corpus has %d files", len(all))
	}
	dir := t.TempDir()
	for _, tt := range all {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, "m.gguf")
			if err := os.WriteFile(path, tt.data, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Check(path)
			if !errors.Is(err, ErrNotModel) || !strings.Contains(err.Error(), tt.want) || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
			if err := within(t, tt.data); err == nil {
				t.Error("Read takes what Check refuses")
			}
		})
	}
}

// The bounds hold for files that are made to cost as much as can be, also where
// nothing is wrong with them.
func TestBoundsOfTheLargest(t *testing.T) {
	var b bytes.Buffer
	number := func(n uint64) { b.Write(binary.LittleEndian.AppendUint64(nil, n)) }
	keys := func(n, size int) {
		for i := range n {
			number(uint64(size))
			b.Write(binary.LittleEndian.AppendUint32(nil, uint32(i)))
			b.Write(make([]byte, size-4))
			b.Write(binary.LittleEndian.AppendUint32(nil, typeU8))
			b.WriteByte(0)
		}
	}
	tests := []struct {
		name string
		want string // "" if it is taken
		make func()
	}{
		{"all texts that are possible", "", func() {
			b.Write(header(3, 1, 4, arch...))
			b.Write(values("", "tokenizer.ggml.bos_token_id", typeU32, uint32(maxTexts-1), "tokenizer.ggml.eos_token_id", typeU32, uint32(maxTexts-2)))
			b.Write(values("", "tokenizer.ggml.tokens", typeArray, typeString, uint64(maxTexts)))
			b.Write(make([]byte, 8*maxTexts))
		}},
		{"all keys that are possible", "", func() {
			b.Write(header(3, 1, maxPairs, arch...))
			keys(maxPairs-1, 4)
		}},
		{"keys as long as possible", "", func() {
			b.Write(header(3, 1, maxPairs, arch...))
			keys(maxPairs-1, maxKey)
		}},
		{"header as long as possible", "header is longer", func() {
			b.Write(header(3, 1, 2, arch...))
			b.Write(values("", "k", typeArray, typeU8, uint64(maxHeader-100)))
			b.Write(make([]byte, maxHeader-100))
		}},
		{"all tensors that are possible", "", func() {
			b.Write(header(3, maxTensors, 1, arch...))
			for i := range maxTensors - 1 {
				b.Write(values("", "blk.0.", uint32(1), uint64(1), uint32(F32), uint64(32*i)))
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b.Reset()
			tt.make()
			offset := uint64(0)
			if strings.Contains(tt.name, "tensors") {
				offset = 32 * (maxTensors - 1)
			}
			b.Write(values("", "t", uint32(1), uint64(1), uint32(F32), offset))
			b.Write(make([]byte, 32+offset+32))
			err := within(t, b.Bytes())
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	whole := demo(f)
	f.Add(whole[:4096], int64(1<<20))
	f.Add(whole[:bytes.Index(whole, []byte("blk.1."))], int64(len(whole)))
	for _, m := range corpus(f) {
		if len(m.data) < 4096 {
			f.Add(m.data, int64(len(m.data)))
		}
	}
	f.Add(pairs(1, "llama.attention.head_count", typeArray, typeU8, uint64(3), [3]byte{1, 2, 3}), int64(400))
	f.Fuzz(func(t *testing.T, data []byte, size int64) {
		if size < int64(len(data)) {
			size = int64(len(data)) // a file is not shorter than what can be read of it
		}
		h, allocated, err := measured(data, size)
		// What a file claims to have and has not is not allocated either, but for
		// one text.
		if allocated > 2*uint64(len(data))+1<<20 {
			t.Errorf("%d bytes are allocated for %d", allocated, len(data))
		}
		if err != nil {
			return
		}
		sum := h.Embedding + h.Output
		for _, n := range h.Blocks {
			sum += n
		}
		if h.Architecture == "" || h.Tensors == 0 || h.Context < 0 || h.Layers < 0 || h.Layers > maxBlocks || h.Parameters < 0 || sum != h.TensorBytes || sum < 0 || sum > size {
			t.Errorf("accepted %+v", h)
		}
	})
}
