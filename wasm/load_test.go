package wasm

import (
	"context"
	"testing"

	"omx/policies"
	"omx/policies/abi"
)

func newHost(t testing.TB, c Config) *Host {
	t.Helper()
	h, err := NewHost(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h
}

func builtin(t testing.TB, name string) []byte {
	t.Helper()
	code, ok := policies.Builtin(name)
	if !ok {
		t.Fatalf("no built-in policy %q", name)
	}
	return code
}

func loadBuiltin(t testing.TB, name string, metered bool) *Instance {
	t.Helper()
	transform := plain
	if metered {
		transform = (*module).meter
	}
	i, err := newHost(t, Config{}).load(t.Context(), name, builtin(t, name), Limits{}, transform)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// sample writes the sample view of so many rows into an instance's window.
func sample(t testing.TB, i *Instance, k abi.Kind, rows int) []byte {
	t.Helper()
	stride, _ := i.Wants(k)
	s := sampleShape(k, rows, stride)
	b, err := i.View(k, s.Size())
	if err != nil {
		t.Fatal(err)
	}
	sampleView(b, s)
	return b
}
