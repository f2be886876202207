package wasm

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"omx/policies"
	"omx/policies/abi"
)

// A thousand policies that come and go leave nothing: not on the heap, not in
// address space, no goroutine.
func TestReloadsLeakNothing(t *testing.T) {
	const (
		cycles = 1000
		most   = 1 << 20 // bytes of heap
	)
	h, err := NewHost(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	list := policies.List()
	cycle := func(n int) {
		m, err := h.Compile(t.Context(), "x", builtin(t, list[n%len(list)].Name), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := m.New(t.Context(), InstanceConfig{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // the first one runs finalizers
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for n := range 2 * len(list) {
		cycle(n)
	}
	before, goroutines, space := heap(), runtime.NumGoroutine(), status("VmSize")
	for n := range cycles {
		cycle(n)
	}
	grown, wider := heap()-before, status("VmSize")-space
	t.Logf("%d reloads of 2 instances: heap %+d bytes, address space %+d KiB", cycles, grown, wider>>10)
	if grown > most {
		t.Errorf("%d reloads left %d bytes", cycles, grown)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, were %d", n, goroutines)
	}
	// The memory of two instances that stays at each reload would be 5 GiB.
	if wider > 512<<20 {
		t.Errorf("%d reloads left %d bytes of address space", cycles, wider)
	}
	if err := h.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Refused modules, and instances that cannot be made, give back what they had.
func TestRefusalsLeakNothing(t *testing.T) {
	h := newHost(t, Config{})
	modules := corpus(t, "refused")
	space := status("VmSize")
	for range 50 {
		for name, code := range modules {
			if _, err := h.Load(t.Context(), name, code, Limits{}); err == nil {
				t.Fatalf("%s was taken", name)
			}
		}
	}
	if wider := status("VmSize") - space; wider > 512<<20 {
		t.Errorf("refusals left %d bytes of address space", wider)
	}
	if len(h.open) != 0 || h.instances != 0 {
		t.Errorf("%d modules and %d instances are kept", len(h.open), h.instances)
	}
}

// A hundred policies fit into 16 MiB beside the process that runs them.
func TestHundredPolicies(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	const count, most = 100, 16 << 20
	list := policies.List()
	codes := make([][]byte, len(list))
	for n, p := range list {
		codes[n] = builtin(t, p.Name)
	}
	h := newHost(t, Config{})
	debug.FreeOSMemory()
	before := status("RssAnon")
	for n := range count {
		code := AppendMetadata(codes[n%len(codes)], []byte(strconv.Itoa(n))) // none is the same as another
		m, err := h.Compile(t.Context(), fmt.Sprint(n), code, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		i, err := m.New(t.Context(), InstanceConfig{})
		if err != nil {
			t.Fatal(err)
		}
		kind := i.Info().Kinds[0]
		if _, _, err := i.try(kind, rowsOf(kind, 64)); err != nil {
			t.Fatal(err)
		}
	}
	debug.FreeOSMemory()
	grown := status("RssAnon") - before
	t.Logf("%d policies take %d KiB", count, grown>>10)
	limit := int64(most)
	if raceEnabled {
		limit *= 4 // the detector keeps a shadow of memory
	}
	if grown > limit {
		t.Errorf("%d policies take %d bytes, %d are allowed", count, grown, limit)
	}
}

// status is one of the process's figures in /proc, in bytes; 0 elsewhere.
func status(name string) int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

func TestRegion(t *testing.T) {
	r, err := newRegion(3 << 16)
	if err != nil {
		t.Fatal(err)
	}
	b := r.Reallocate(1 << 16)
	b[0] = 1
	if more := r.Reallocate(3 << 16); len(more) != 3<<16 || &more[0] != &b[0] || more[1<<16] != 0 {
		t.Error("growing moved it")
	}
	if r.Reallocate(3<<16+1) != nil {
		t.Error("grew beyond its end")
	}
	r.Free()
	r.Free()
	if r.Reallocate(1) != nil {
		t.Error("grew when it was freed")
	}
	none, err := newRegion(0)
	if err != nil || len(none.Reallocate(0)) != 0 {
		t.Errorf("no memory: %v", err)
	}
	none.Free()
}

// A policy without memory for a view is no worse than one that refuses it.
func TestNoMemory(t *testing.T) {
	i, err := newHost(t, Config{}).Load(t.Context(), "grow", corpus(t, "run")["grow"], Limits{MemoryPages: 6})
	if err != nil {
		t.Fatal(err)
	}
	if i.MemoryBytes() != 6<<16 {
		t.Errorf("has %d bytes", i.MemoryBytes())
	}
	if _, err := i.View(abi.Route, 1<<20); err == nil {
		t.Error("a view larger than the memory")
	}
	if err := i.Close(); err != nil || i.MemoryBytes() != 0 {
		t.Errorf("closed with %d bytes, %v", i.MemoryBytes(), err)
	}
}
