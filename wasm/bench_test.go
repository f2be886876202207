package wasm

import (
	"fmt"
	"slices"
	"testing"

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
