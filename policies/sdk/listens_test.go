package sdk_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

// Parameters, events, items of the extension, the log and counters reach, or
// come from, a policy in every language.
func TestListens(t *testing.T) {
	for _, l := range policies.Languages {
		source, err := os.ReadFile(filepath.Join(l.Name, "testdata", "listens"+l.Ext))
		if os.IsNotExist(err) {
			continue // AssemblyScript's built-in policies do; text has no SDK
		}
		t.Run(l.Name, func(t *testing.T) {
			if testing.Short() && l.Name == "go" {
				t.Skip("it takes seconds to compile")
			}
			code, _ := buildWith(t, l, abi.Route, source)
			listens(t, code)
		})
	}
}

func listens(t *testing.T, code []byte) {
	h, err := wasm.NewHost(t.Context(), wasm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(context.Background())
	m, err := h.Compile(t.Context(), "listens", code, wasm.Limits{Large: true})
	if err != nil {
		t.Fatal(err)
	}
	if i, err := m.New(t.Context(), wasm.InstanceConfig{Params: []byte("no end of line")}); err == nil {
		t.Fatalf("wrong parameters are taken by %v", i)
	}
	var lines []string
	params := []byte("load=2\n")
	i, err := m.New(t.Context(), wasm.InstanceConfig{Params: params, Log: func(level int, line string) { lines = append(lines, line) }})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(lines, []string{"load=2"}) {
		t.Errorf("logged %q", lines)
	}
	for _, e := range []abi.Event{
		{Kind: uint16(abi.EventDone), Node: 4, Output: 30},
		{Kind: uint16(abi.EventFailed), Node: 5, Output: 99},
		{Kind: uint16(abi.EventDone), Node: 6, Output: 12},
	} {
		if err := i.Event(e.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if n := i.Counters()[2]; n != 42 {
		t.Errorf("counted %d, want 42", n)
	}

	stride, tags := i.Wants(abi.Route)
	if stride != abi.PartSize || tags != 1<<abi.TagLabel {
		t.Errorf("wants %d bytes and tags %#x", stride, tags)
	}
	// The second item begins where the padding of the first ends.
	items := []string{"a=bcd", "x", "yz"}
	s := abi.Shape{Kind: abi.Route, Rows: 3, Stride: stride, Ext: abi.ItemSize(4)}
	labels := uint32(0)
	for _, it := range items {
		s.Ext += abi.ItemSize(len(it))
		labels += uint32(len(it))*100 + uint32(it[0])
	}
	b, err := i.View(abi.Route, s.Size())
	if err != nil {
		t.Fatal(err)
	}
	head := abi.Begin(b, &s)
	head.Clock = 50
	for n := range s.Rows {
		abi.PutRow(b, stride, n, &abi.Row{RowLoad: abi.RowLoad{Node: uint64(4 + n), RTTAt: 40 + uint32(n)}})
	}
	rest := abi.PutItem(b[head.Ext:], abi.TagZone, "\x01\x00\x00\x00")
	for _, it := range items {
		rest = abi.PutItem(rest, abi.TagLabel, it)
	}
	a, _, err := i.Call(abi.Route, len(b), s.Rows)
	if err != nil {
		t.Fatal(err)
	}
	base := 2*1_000_000 + labels + 10*uint32(len(params))
	want := []uint32{base + 10, base + 9, base + 8 + 1}
	if got := abi.Scores(b, s.Rows, s.Stride); !slices.Equal(got, want) || a != abi.Pack(abi.OK, 1) {
		t.Errorf("scores %d, answer %#x; want %d and row 1", got, a, want)
	}
}
