package gguf

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrNotModel says that a file is not a usable GGUF model.
var ErrNotModel = errors.New("not a usable GGUF model")

// Header is what is taken from a model file. A figure or text that the file does
// not have is zero, unless its field says otherwise.
type Header struct {
	Version      uint32
	Bytes        int64  // of the file
	Type         string // "model"; "adapter" for LoRA, "mmproj" and others
	Architecture string // also the model's family, as Ollama calls it

	// For people. Control characters are taken out; what is too long is left out.
	Name, Basename, Finetune, SizeLabel, License, QuantizedBy string

	// Quantization is named as llama.cpp does, "Q4_K_M". If the file names none, it
	// is the type of most of its weights.
	Quantization string

	Context       int // tokens the model was made for
	Layers        int // blocks
	Width         int // of an embedding
	FeedForward   PerLayer
	Heads         PerLayer // of attention
	KVHeads       PerLayer // as many as Heads if the file does not say
	KeyLength     int      // of one head; Width / Heads if the file does not say
	ValueLength   int
	SlidingWindow int    // tokens that some of the layers look back on; 0: all look back on all
	Vocabulary    int    // tokens
	Experts       int    // of each layer; 0: not a mixture of experts
	ExpertsUsed   int    // for one token
	ExpertWidth   int    // feed-forward length of one expert
	Pooling       string // of embeddings: "none", "mean", "cls", "last", "rank"; "" if it does not say
	Causal        bool   // a token sees only those before it; true if the file does not say

	Tokenizer string // "gpt2", "llama", "bert", …
	Template  string // of chats, in Jinja
	BOS, EOS  int    // tokens that begin and end a text; -1: none
	// What they read as, in chat templates.
	BOSText, EOSText string
	AddBOS           *bool // whether each text begins with BOS; nil if the file does not say

	AdapterType string // "lora"
	LoRAAlpha   float32

	Tensors     int
	Parameters  int64
	TensorBytes int64
	Blocks      []int64 // bytes of blk.0.*, blk.1.*, …
	Embedding   int64   // bytes of the tensors that tokens are looked up in
	Output      int64   // bytes of all other tensors
	Tied        bool    // the output matrix is the embedding
}

// PerLayer is one figure for all layers, or one for each.
type PerLayer []int

// At returns the figure of a layer; 0 if there is none.
func (p PerLayer) At(layer int) int {
	switch {
	case len(p) == 1:
		return p[0]
	case layer < len(p):
		return p[layer]
	}
	return 0
}

// Max returns the largest figure.
func (p PerLayer) Max() int {
	most := 0
	for _, n := range p {
		most = max(most, n)
	}
	return most
}

// ParameterSize tells the parameters as Ollama does: "7.2B", "494.03M".
func (h *Header) ParameterSize() string {
	const million, billion = 1_000_000, 1_000_000_000
	n, unit, decimals := float64(h.Parameters), "", 0
	switch {
	case h.Parameters >= billion:
		n, unit, decimals = n/billion, "B", 1
	case h.Parameters >= million:
		n, unit, decimals = n/million, "M", 2
	case h.Parameters >= 1000:
		n, unit = n/1000, "K"
	}
	if n == float64(int64(n)) {
		decimals = 0
	}
	return fmt.Sprintf("%.*f%s", decimals, n, unit)
}

// Check reads the header of a file and sees that its tensors lie within it.
func Check(path string) (Header, error) {
	f, err := os.Open(path)
	if err != nil {
		return Header{}, fmt.Errorf("open model: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Header{}, fmt.Errorf("open model: %w", err)
	}
	if !st.Mode().IsRegular() {
		return Header{}, fmt.Errorf("%w: %s is not a file", ErrNotModel, path)
	}
	h, err := Read(f, st.Size())
	if err != nil {
		return h, fmt.Errorf("%w: %s: %w", ErrNotModel, path, err)
	}
	return h, nil
}

// Read reads a header from a file of size bytes.
func Read(r io.ReaderAt, size int64) (Header, error) {
	h := Header{Bytes: size, BOS: -1, EOS: -1, Causal: true}
	d := newDecoder(r, size)
	if magic := d.u32(); d.err == nil && magic != 0x46554747 { // "GGUF"
		return h, errors.New("it does not begin with GGUF")
	}
	h.Version = d.u32()
	if d.err == nil && h.Version != 2 && h.Version != 3 {
		return h, fmt.Errorf("its version is %d, known are 2 and 3", h.Version)
	}
	h.Tensors = d.count("tensors", "", maxTensors)
	pairs := d.count("metadata pairs", "", maxPairs)
	m := &meta{d: d, at: map[string]value{}}
	m.index(pairs)
	infos := d.off
	m.read(&h)
	if d.err == nil && h.Tensors == 0 {
		return h, errors.New("it holds no tensors")
	}
	d.seek(infos)
	d.tensors(&h, int64(m.alignment()))
	if h.Quantization == "" {
		h.Quantization = d.commonest.String()
	}
	return h, d.err
}
