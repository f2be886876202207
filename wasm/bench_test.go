package wasm

import (
	"fmt"
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
			view, err := i.View(abi.Route, rows)
			if err != nil {
				b.Fatal(err)
			}
			rs := sampleRows(view, abi.Route, rows)
			h, _, _ := abi.ReadHeader(view)
			b.Run(fmt.Sprintf("%s/encode/%d", guard, rows), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					decideRoute(b, i, &h, rs)
				}
			})
			b.Run(fmt.Sprintf("%s/call/%d", guard, rows), func(b *testing.B) {
				for b.Loop() {
					if _, _, err := i.Call(abi.Route, len(view)); err != nil {
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
		view, err := i.View(abi.Admit, 1)
		if err != nil {
			b.Fatal(err)
		}
		rows := sampleRows(view, abi.Admit, 1)
		h, _, _ := abi.ReadHeader(view)
		b.Run(guard, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v, _ := i.View(abi.Admit, 1)
				abi.PutHeader(v, &h, 1)
				abi.PutRow(v, 0, &rows[0])
				if _, _, err := i.Call(abi.Admit, len(v)); err != nil {
					b.Fatal(err)
				}
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

func decideRoute(t testing.TB, i *Instance, h *abi.Header, rows []abi.Row) abi.Answer {
	v, err := i.View(abi.Route, len(rows))
	if err != nil {
		t.Fatal(err)
	}
	abi.PutHeader(v, h, len(rows))
	for n := range rows {
		abi.PutRow(v, n, &rows[n])
	}
	a, _, err := i.Call(abi.Route, len(v))
	if err != nil {
		t.Fatal(err)
	}
	return a
}
