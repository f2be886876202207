package fit

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/hybridgroup/yzma/pkg/llama"

	"omx/node/engine/gguf"
	_ "omx/node/engine/libffi" // before the binding looks for it
)

// sizes are llama.cpp's own figures of a model and a context that it plans without
// allocating them.
type sizes struct {
	Parameters, Weights, Width, Layers, Heads, KVHeads int64
	Compute, Output                                    float64 // MiB
}

// tellSizes has the library's folder, a file, slots, context, a cache type and
// whether to use flash attention as arguments.
func tellSizes(args []string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := llama.Load(args[0]); err != nil {
		return fail(err)
	}
	var s sizes
	llama.LogSet(purego.NewCallback(func(_ int32, text, _ uintptr) uintptr {
		line := firstLine(text)
		for what, to := range map[string]*float64{"compute buffer size =": &s.Compute, "output buffer size =": &s.Output} {
			if _, figure, ok := strings.Cut(line, what); ok {
				_, _ = fmt.Sscan(figure, to)
			}
		}
		return 0
	}))
	llama.BackendInit()
	if err := llama.GGMLBackendLoadAllFromPath(args[0]); err != nil {
		return fail(err)
	}
	var slots, context, kv uint32
	var flash bool
	if _, err := fmt.Sscan(strings.Join(args[2:], " "), &slots, &context, &kv, &flash); err != nil {
		return fail(err)
	}
	mp := llama.ModelDefaultParams()
	mp.SetCPUOnly()
	mp.NoAlloc, mp.LoadMode = 1, llama.LoadModeNone
	m, err := llama.ModelLoadFromFile(args[1], mp)
	if err != nil {
		return fail(err)
	}
	cp := llama.ContextDefaultParams() // as the worker sets them
	cp.NCtx, cp.NSeqMax, cp.NBatch, cp.NUbatch = slots*context, slots, batch, batch
	cp.TypeK, cp.TypeV = llama.GGMLType(kv), llama.GGMLType(kv)
	cp.FlashAttentionType = llama.FlashAttentionTypeDisabled
	if flash {
		cp.FlashAttentionType = llama.FlashAttentionTypeEnabled
	}
	if _, err = llama.InitFromModel(m, cp); err != nil {
		return fail(err)
	}
	s.Parameters, s.Weights = int64(llama.ModelNParams(m)), int64(llama.ModelSize(m))
	s.Width, s.Layers = int64(llama.ModelNEmbd(m)), int64(llama.ModelNLayer(m))
	s.Heads, s.KVHeads = int64(llama.ModelNHead(m)), int64(llama.ModelNHeadKV(m))
	if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
		return fail(err)
	}
	return 0
}

// firstLine copies a C string up to its end and no further: what follows it may be
// nobody's memory.
func firstLine(address uintptr) string {
	if address == 0 {
		return ""
	}
	p, n := *(**[512]byte)(unsafe.Pointer(&address)), 0
	for n < len(p) && p[n] != 0 && p[n] != '\n' {
		n++
	}
	return string(p[:n])
}

func askLibrary(t *testing.T, path string, r Room) (s sizes) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "sizes", libraryDir(t), path, fmt.Sprint(r.Slots), fmt.Sprint(r.Context), fmt.Sprint(uint32(r.KV)), fmt.Sprint(r.Flash))
	var words strings.Builder
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &s)
	}
	if err != nil {
		t.Fatalf("llama.cpp does not plan it: %v %s", err, words.String())
	}
	return s
}

// What a model computes with is what llama.cpp reserves, for models of up to 70 G
// parameters; their files are holes, since nothing is read of them.
func TestComputeIsWhatTheLibraryReserves(t *testing.T) {
	sparse := func(s shape) shape { s.kind, s.sparse = gguf.Q8_0, true; return s }
	small := shape{vocab: 1024, width: 512, layers: 4, heads: 8, kvHeads: 4, ff: 1408}
	wide := shape{vocab: 1024, width: 512, layers: 4, heads: 8, kvHeads: 4, ff: 14080}
	seven := shape{vocab: 32000, width: 4096, layers: 32, heads: 32, kvHeads: 8, ff: 14336}
	words := shape{vocab: 128000, width: 2048, layers: 16, heads: 32, kvHeads: 8, ff: 8192, tied: true}
	seventy := shape{vocab: 32000, width: 8192, layers: 80, heads: 64, kvHeads: 8, ff: 28672}
	mixture := shape{vocab: 32000, width: 1024, layers: 8, heads: 16, kvHeads: 4, ff: 3584, experts: 8}
	tests := []struct {
		name  string
		shape shape
		room  Room
	}{
		{"small", small, Room{4, 2048, gguf.F16, false}},
		{"small, one slot", small, Room{1, 2048, gguf.F16, false}},
		{"small, shorter than a batch", small, Room{1, 256, gguf.F16, false}},
		{"small, 3 slots of 1000", small, Room{3, 1000, gguf.F16, false}},
		{"small, 64 slots", small, Room{64, 256, gguf.F16, false}},
		{"small, flash", small, Room{4, 2048, gguf.F16, true}},
		{"wide", wide, Room{4, 256, gguf.F16, false}},
		{"7 G", seven, Room{4, 2048, gguf.F16, false}},
		{"7 G, flash", seven, Room{4, 2048, gguf.F16, true}},
		{"7 G, long context", seven, Room{1, 32768, gguf.F16, false}},
		{"7 G, long context, flash", seven, Room{1, 32768, gguf.F16, true}},
		{"7 G, long context, flash, small cache", seven, Room{1, 32768, gguf.Q8_0, true}},
		{"large vocabulary", words, Room{4, 2048, gguf.F16, false}},
		{"70 G", seventy, Room{4, 4096, gguf.F16, false}},
		{"mixture of experts", mixture, Room{4, 2048, gguf.F16, false}},
		{"mixture of experts, short", mixture, Room{4, 256, gguf.F16, false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := sparse(tt.shape).write(t)
			h, err := gguf.Check(path)
			if err != nil {
				t.Fatal(err)
			}
			s, n := askLibrary(t, path, tt.room), Estimate(h, tt.room)
			theirs, ours := s.Compute+s.Output, float64(n.Compute)/(1<<20)
			t.Logf("compute: %.2f MiB reserved, %.2f estimated (%.3f)", theirs, ours, ours/theirs)
			if ours < theirs || ours > 1.15*theirs {
				t.Errorf("the library reserves %.2f MiB, the estimate is %.2f", theirs, ours)
			}
			if h.Parameters != s.Parameters || n.Weights != s.Weights || int64(h.Width) != s.Width || int64(h.Layers) != s.Layers || int64(h.Heads.At(0)) != s.Heads || int64(h.KVHeads.At(0)) != s.KVHeads {
				t.Errorf("the library says %+v, the header %+v", s, h)
			}
		})
	}
}
