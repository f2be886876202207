package wasm

import (
	"errors"
	"slices"
	"testing"

	"omx/policies"
	"omx/policies/abi"
)

func FuzzMeter(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, code []byte) {
		if _, err := meterKeepsValidity(t.Context(), code); err != nil && !errors.Is(err, ErrModule) {
			t.Error(err)
		}
	})
}

// Whatever bytes are loaded: no panic, and an end.
func FuzzLoad(f *testing.F) {
	addSeeds(f)
	h, err := NewHost(f.Context(), Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		i, err := h.Load(t.Context(), "fuzz", code, Limits{FuelLoad: 20_000})
		if err != nil {
			return
		}
		for _, k := range i.Info().Kinds {
			if v, err := i.View(k, abi.Size(k, 1)); err == nil {
				clear(v)
				i.Call(k, len(v), 1)
			}
		}
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Whatever a module carries: it is refused, or every sample is a view.
func FuzzSamples(f *testing.F) {
	code := builtin(f, "nearest")
	i := loadBuiltin(f, "nearest", true)
	v := slices.Clone(sample(f, i, abi.Route, 3))
	one := AppendSamples(code, []Sample{{Kind: abi.Route, View: v, Answer: 7}})
	f.Add(one[len(code):])
	f.Add(AppendMetadata(one, []byte(`{"name":"x"}`))[len(code):])
	f.Fuzz(func(t *testing.T, tail []byte) {
		whole := append(code[:len(code):len(code)], tail...)
		Metadata(whole)
		list, err := Samples(whole)
		if err != nil {
			if !errors.Is(err, ErrModule) {
				t.Error(err)
			}
			return
		}
		if len(list) > maxSamples {
			t.Errorf("%d samples", len(list))
		}
		for _, s := range list {
			if v, err := abi.Open(s.View); err != nil || abi.Kind(v.Kind) != s.Kind {
				t.Errorf("sample of kind %v: %v", s.Kind, err)
			}
		}
		// Written again, they are the same.
		again, err := Samples(AppendSamples(whole, list))
		if err != nil || len(again) != len(list) {
			t.Errorf("%d samples, written again %d (%v)", len(list), len(again), err)
		}
	})
}

// Whatever a policy answers and leaves of the view: no panic, and no answer is
// taken that names what is not there.
func FuzzAnswer(f *testing.F) {
	for _, k := range abi.Kinds {
		s := sampleShape(k, 3, abi.RowSize)
		b := make([]byte, s.Size())
		sampleView(b, s)
		f.Add(uint16(k), uint64(2), b)
	}
	f.Fuzz(func(t *testing.T, kind uint16, answer uint64, view []byte) {
		k, a := abi.Kind(kind), abi.Answer(answer)
		if checkAnswer(k, a, 3, view) != nil || a.Status() != abi.OK {
			return
		}
		if k == abi.Route && a.Value() >= 3 {
			t.Errorf("row %d of 3", a.Value())
		}
		if k == abi.Replicate {
			v, err := abi.Open(view)
			if err != nil || a.Value() > abi.MaxSteps {
				t.Fatalf("%d steps, %v", a.Value(), err)
			}
			for n := range int(a.Value()) {
				if s := v.Step(n); uint32(s.Node) >= v.Count || s.Model >= v.Models {
					t.Errorf("step %+v of %d nodes and %d models", s, v.Count, v.Models)
				}
			}
		}
	})
}

func addSeeds(f *testing.F) {
	for _, p := range policies.List() {
		f.Add(builtin(f, p.Name))
	}
	for _, group := range []string{"plain", "refused", "run"} {
		for _, code := range corpus(f, group) {
			f.Add(code)
		}
	}
}
