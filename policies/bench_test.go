package policies_test

import (
	"math/rand/v2"
	"testing"

	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

// A decision on a usual view that is written anew each time: 64 rows to route,
// 64 nodes with 100 models and 200 copies to replicate.
func BenchmarkDecision(b *testing.B) {
	h := newHost(b, wasm.Config{})
	for _, p := range policies.List() {
		b.Run(p.Kind.String()+"/"+p.Name, func(b *testing.B) {
			i := builtin(b, h, p.Name, "")
			stride, _ := i.Wants(p.Kind)
			s := usual(p.Kind, stride)
			v, err := i.View(p.Kind, s.Size())
			if err != nil {
				b.Fatal(err)
			}
			write(rand.New(rand.NewPCG(1, 1)), &s)(v)
			kept := append([]byte(nil), v...)
			b.ReportAllocs()
			for b.Loop() {
				if v, err = i.View(p.Kind, len(kept)); err != nil {
					b.Fatal(err)
				}
				copy(v, kept)
				if _, _, err = i.Call(p.Kind, len(kept), s.Rows); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func usual(k abi.Kind, stride int) abi.Shape {
	s := abi.Shape{Kind: k, Rows: 64, Stride: stride}
	switch k {
	case abi.Admit:
		s.Rows = 1
	case abi.Replicate:
		s.Models, s.Copies = 100, 200
	}
	return s
}
