package fit

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"omx/node/engine/gguf"
)

const mib, gib = int64(1) << 20, int64(1) << 30

// ten is a model of ten layers of 110 MiB each, with 100 MiB besides on a host and
// as much on a device.
func ten() Need {
	n := Need{Weights: 1100 * mib, KV: 100 * mib, Compute: 60 * mib, Process: 20 * mib, Embedding: 20 * mib, Output: 80 * mib, Edge: 10 * mib}
	n.PerLayer = slices.Repeat([]Layer{{100 * mib, 10 * mib}}, 10)
	return n
}

func gpu(free int64) Device { return Device{Name: "gpu", Free: free, Total: free} }

func TestPlan(t *testing.T) {
	shared := func(free int64) Device { return Device{Name: "chip", Free: free, Total: free, Unified: true} }
	most := []int64{} // what a device must hold for that many layers, output first
	for k := range int64(12) {
		most = append(most, deviceMargin+60*mib+80*mib+max(k-1, 0)*110*mib)
	}
	tests := []struct {
		name    string
		host    int64
		devices []Device
		want    Placement
	}{
		{"no device", 1280 * mib, nil, Placement{GPULayers: 0, Host: 1280 * mib}},
		{"device that is full", 1280 * mib, []Device{gpu(0)}, Placement{GPULayers: 0, Split: []int{0}, Host: 1280 * mib, Device: []int64{0}}},
		{"device with room for all", 50 * mib, []Device{gpu(most[11])}, Placement{GPULayers: 11, Split: []int{11}, Host: 50 * mib, Device: []int64{1240 * mib}}},
		{"device with a byte too little", gib, []Device{gpu(most[11] - 1)}, Placement{GPULayers: 10, Split: []int{10}, Host: 210 * mib, Device: []int64{1130 * mib}}},
		{"device with room for some", gib, []Device{gpu(most[4])}, Placement{GPULayers: 4, Split: []int{4}, Host: 870 * mib, Device: []int64{470 * mib}}},
		{"two devices", gib, []Device{gpu(deviceMargin + (60+3*110)*mib), gpu(most[6])},
			Placement{GPULayers: 9, Split: []int{3, 6}, Host: 320 * mib, Device: []int64{390 * mib, 690 * mib}}},
		{"two devices, the first is full", gib, []Device{gpu(100 * mib), gpu(most[4])}, Placement{GPULayers: 4, Split: []int{0, 4}, Host: 870 * mib, Device: []int64{0, 470 * mib}}},
		{"two devices, one is enough", gib, []Device{gpu(2 * gib), gpu(2 * gib)}, Placement{GPULayers: 11, Split: []int{11, 0}, Host: 50 * mib, Device: []int64{1240 * mib, 0}}},
		{"one memory for all", 1290 * mib, []Device{shared(8 * gib)}, Placement{GPULayers: 11, Split: []int{11}, Host: 50 * mib, Device: []int64{1240 * mib}}},
		{"one memory that holds it once", 1289 * mib, []Device{shared(8 * gib)}, Placement{GPULayers: 0, Split: []int{0}, Host: 1280 * mib, Device: []int64{0}}},
		{"shared memory beside a device of its own", 1280 * mib, []Device{shared(8 * gib), gpu(most[4])},
			Placement{GPULayers: 4, Split: []int{0, 4}, Host: 870 * mib, Device: []int64{0, 470 * mib}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Plan(ten(), tt.host, tt.devices)
			if tt.want.Split == nil {
				tt.want.Split, tt.want.Device = []int{}, []int64{}
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("plan is %+v, %v\nwant %+v", got, err, tt.want)
			}
		})
	}
}

func TestPlanSaysWhatIsMissing(t *testing.T) {
	large := ten()
	large.Weights, large.KV = 4300*mib, 800*mib
	large.PerLayer = slices.Repeat([]Layer{{420 * mib, 80 * mib}}, 10)
	tests := []struct {
		name    string
		need    Need
		host    int64
		devices []Device
		want    string
	}{
		{"context", large, 4500 * mib, nil, "model does not fit: it needs 5.1 GiB (weights 4.2 GiB, context 800 MiB, compute 80 MiB), 4.4 GiB are free; use a smaller context or fewer slots"},
		{"model", large, 3 * gib, []Device{gpu(100 * mib)}, "3.0 GiB are free, 100 MiB on gpu; use a smaller model, or one with fewer bits for each weight"},
		{"context, of host and device together", large, 3 * gib, []Device{gpu(2 * gib)}, "3.0 GiB are free, 2.0 GiB on gpu; use a smaller context or fewer slots"},
		{"nothing free", ten(), -1, nil, "0 MiB are free"},
		{"beyond all numbers", Need{Weights: math.MaxInt64, Embedding: math.MaxInt64, PerLayer: []Layer{{math.MaxInt64, math.MaxInt64}}}, math.MaxInt64, []Device{gpu(math.MaxInt64)}, "use a smaller"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Plan(tt.need, tt.host, tt.devices)
			if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("plan is %+v, %v, want %s", p, err, tt.want)
			}
		})
	}
}

func TestEstimate(t *testing.T) {
	h := gguf.Header{Context: 4096, Width: 64, Vocabulary: 100, Heads: gguf.PerLayer{4}, KVHeads: gguf.PerLayer{2, 0, 1}, KeyLength: 16, ValueLength: 8,
		FeedForward: gguf.PerLayer{128}, Blocks: []int64{10, 20, 30}, Embedding: 5, Output: 1, TensorBytes: 66, Tied: true}
	n := Estimate(h, Room{Slots: 3, Context: 300, KV: gguf.F16}) // 300 is rounded up to 512
	if want := []Layer{{10, 2 * 24 * 2 * 3 * 512}, {20, 0}, {30, 24 * 2 * 3 * 512}}; !slices.Equal(n.PerLayer, want) || n.KV != 3*24*2*3*512 {
		t.Errorf("layers take %+v, want %+v; the cache %d", n.PerLayer, want, n.KV)
	}
	if n.Weights != 66 || n.Embedding != 5 || n.Output != 6 {
		t.Errorf("weights are %d, %d on the host, %d for the output layer", n.Weights, n.Embedding, n.Output)
	}
	if longest := Estimate(h, Room{Slots: 1, Context: 1 << 20, KV: gguf.F16}); longest.KV != 3*24*2*4096 {
		t.Errorf("the cache is %d for more than the model was made for", longest.KV)
	}
	if small := Estimate(h, Room{Slots: 3, Context: 300, KV: gguf.Q8_0}); small.PerLayer[0].KV != (34+34)*3*512 { // 32 keys, 16 values: a block each
		t.Errorf("the cache of a layer is %d in blocks", small.PerLayer[0].KV)
	}
}

func FuzzPlan(f *testing.F) {
	f.Add(int64(66), int64(10), 3, 64, 100, 4, 16, 4096, 4, 2048, gib, gib, gib, false)
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, int64(math.MaxInt64), int64(math.MaxInt64), int64(1), true)
	f.Add(int64(-1), int64(-1), -1, -1, -1, -1, -1, -1, -1, -1, int64(-1), int64(-1), int64(-1), false)
	f.Add(4*gib, 100*mib, 40, 4096, 32000, 32, 128, 8192, 4, 2048, 6*gib, 2*gib, 3*gib, false)
	f.Fuzz(func(t *testing.T, weights, block int64, layers, width, vocabulary, heads, length, context, slots, asked int, host, first, second int64, unified bool) {
		h := gguf.Header{TensorBytes: weights, Embedding: block / 2, Output: block / 3, Tied: unified, Layers: layers, Width: width, Vocabulary: vocabulary, Heads: gguf.PerLayer{heads},
			KVHeads: gguf.PerLayer{heads}, KeyLength: length, ValueLength: length, FeedForward: gguf.PerLayer{width}, Context: context, Experts: heads, ExpertsUsed: heads}
		h.Blocks = slices.Repeat([]int64{block}, min(max(layers, 0), 100))
		room := Room{Slots: slots, Context: asked, KV: gguf.Type(layers), Flash: unified}
		n := Estimate(h, room)
		if least := min(n.Weights, n.KV, n.Compute, n.Process, n.Embedding, n.Output, n.Edge, n.Mapped); least < 0 || n.Edge > n.Compute || n.Total() < n.KV {
			t.Fatalf("need is %+v", n)
		}
		if more := asked + 1; more > asked && Estimate(h, Room{slots, more, room.KV, room.Flash}).Total() < n.Total() {
			t.Error("more context takes less")
		}
		plan := func(host, first, second int64) int {
			p, err := Plan(n, host, []Device{{Name: "a", Free: first, Unified: unified}, {Name: "b", Free: second, Unified: unified}})
			if err != nil {
				return -1
			}
			used := [2]int64{}
			for i, free := range []int64{first, second} {
				if used[i] = p.Device[i]; used[i] > 0 && used[i] > free-deviceMargin || used[i] < 0 {
					t.Errorf("%d bytes are put on a device with %d", used[i], free)
				}
			}
			if p.Host > host || p.Host < 0 || p.Split[0]+p.Split[1] != p.GPULayers || p.GPULayers > len(n.PerLayer)+1 {
				t.Errorf("plan is %+v for a host with %d", p, host)
			}
			return p.GPULayers
		}
		more := func(n int64) int64 { return sum(n, max(n, 0)/3, 64*mib) }
		got := plan(host, first, second)
		for what, next := range map[string]int{"host": plan(more(host), first, second), "first": plan(host, more(first), second), "second": plan(host, first, more(second))} {
			if next < got {
				t.Errorf("with more memory of the %s, %d layers instead of %d", what, next, got)
			}
		}
	})
}
