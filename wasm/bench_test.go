package wasm

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"omx/policies"
	"omx/policies/abi"
)

// plain leaves a module without metering, as the other side of comparisons.
func plain(m *module, _ *Limits) ([]byte, error) {
	out := append([]byte(nil), magicCore...)
	for _, s := range m.sections {
		out = append(appendU32(append(out, s.id), uint32(len(s.body))), s.body...)
	}
	return out, nil
}

func BenchmarkRoute(b *testing.B) {
	for _, guard := range []string{"metered", "plain"} {
		for _, rows := range []int{8, 64, 512, 4096} {
			i := loadBuiltin(b, "expected-time", guard == "metered")
			view := slices.Clone(sample(b, i, abi.Route, rows))
			b.Run(fmt.Sprintf("%s/encode/%d", guard, rows), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					decideOn(b, i, view)
				}
			})
			b.Run(fmt.Sprintf("%s/call/%d", guard, rows), func(b *testing.B) {
				for b.Loop() {
					if _, _, err := i.Call(abi.Route, len(view), rows); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkAdmit(b *testing.B) {
	for _, guard := range []string{"metered", "plain"} {
		i := loadBuiltin(b, "bounded-queue", guard == "metered")
		view := slices.Clone(sample(b, i, abi.Admit, 1))
		b.Run(guard, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				decideOn(b, i, view)
			}
		})
	}
}

// BenchmarkOverhead is what metering adds to a decision on 64 rows. Calls of the
// metered and the plain module alternate, and the fastest of many count: both see
// the same machine.
func BenchmarkOverhead(b *testing.B) {
	const rows, calls = 64, 64
	example := func(language string) []byte {
		code, ok := policies.Example(language)
		if !ok {
			b.Fatalf("no example in %s", language)
		}
		return code
	}
	for name, code := range map[string][]byte{
		"assemblyscript": builtin(b, "least-loaded"), "assemblyscript-default": builtin(b, "prefix-affinity"),
		"c": example("c"), "rust": example("rust"), "go": goGuest(b, "goscore"),
	} {
		b.Run(name, func(b *testing.B) {
			h := newHost(b, Config{})
			var sides [2]*Instance
			var view [2][]byte
			best := [2]time.Duration{time.Hour, time.Hour}
			for n, transform := range []func(*module, *Limits) ([]byte, error){(*module).meter, plain} {
				i, err := h.load(b.Context(), name, code, Limits{Large: true}, transform)
				if err != nil {
					b.Fatal(err)
				}
				sides[n], view[n] = i, sample(b, i, abi.Route, rows)
			}
			for b.Loop() {
				for n, i := range sides {
					began := time.Now()
					for range calls {
						if _, _, err := i.Call(abi.Route, len(view[n]), rows); err != nil {
							b.Fatal(err)
						}
					}
					best[n] = min(best[n], time.Since(began))
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(best[0])/calls, "metered-ns")
			b.ReportMetric(float64(best[1])/calls, "plain-ns")
			b.ReportMetric(100*(float64(best[0])/float64(best[1])-1), "overhead-%")
		})
	}
}

// BenchmarkInstance is what a further instance of a module costs.
func BenchmarkInstance(b *testing.B) {
	m, err := newHost(b, Config{}).Compile(b.Context(), "x", builtin(b, "least-loaded"), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		i, err := m.New(b.Context(), InstanceConfig{})
		if err != nil {
			b.Fatal(err)
		}
		i.Close()
	}
}

// BenchmarkEvent is one event to a policy that listens.
func BenchmarkEvent(b *testing.B) {
	i, err := newHost(b, Config{}).Load(b.Context(), "listens", corpus(b, "run")["listens"], Limits{})
	if err != nil {
		b.Fatal(err)
	}
	event := abi.Event{Kind: uint16(abi.EventDone)}
	b.ReportAllocs()
	for b.Loop() {
		if err := i.Event(event.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGo is a module in Go from its bytes to its first answer, with and
// without the cache.
func BenchmarkGo(b *testing.B) {
	code := goGuest(b, "goscore")
	for name, dir := range map[string]string{"compile": "", "cached": b.TempDir()} {
		b.Run(name, func(b *testing.B) {
			h := newHost(b, Config{CacheDir: dir})
			if dir != "" {
				if _, err := h.Load(b.Context(), "go", code, Limits{Large: true}); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				i, err := h.Load(b.Context(), "go", code, Limits{Large: true})
				if err != nil {
					b.Fatal(err)
				}
				if _, _, err := i.try(abi.Route, 64); err != nil {
					b.Fatal(err)
				}
				i.Close()
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	h := newHost(b, Config{})
	code, _ := policies.Builtin("expected-time")
	for b.Loop() {
		i, err := h.Load(b.Context(), "expected-time", code, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		i.Close()
	}
}

// decideOn has a policy decide on a view that is written as the host does: the
// header, and row by row the parts that the policy wants.
func decideOn(t testing.TB, i *Instance, from []byte) abi.Answer {
	h := abi.HeaderAt(from)
	k, rows, stride := abi.Kind(h.Kind), int(h.Count), int(h.Stride)
	shape := abi.Shape{Kind: k, Rows: rows, Stride: stride}
	v, err := i.View(k, len(from))
	if err != nil {
		t.Fatal(err)
	}
	begun := abi.Begin(v, &shape)
	seed := begun.Seed
	*begun = *h
	begun.Seed += seed
	for off := abi.HeaderSize; off < abi.HeaderSize+rows*stride; off += stride {
		*abi.LoadPart(v, off) = *abi.LoadPart(from, off)
		if stride > abi.PartSize {
			*abi.SeenPart(v, off) = *abi.SeenPart(from, off)
		}
	}
	a, _, err := i.Call(k, len(v), rows)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
