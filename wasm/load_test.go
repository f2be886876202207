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

// sampleRows writes the sample view and reads its rows back.
func sampleRows(view []byte, k abi.Kind, n int) []abi.Row {
	sampleView(view, k, n)
	rows := make([]abi.Row, n)
	for i := range rows {
		rows[i] = abi.ReadRow(view, i)
	}
	return rows
}
