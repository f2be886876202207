package wasm

import (
	"errors"
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
