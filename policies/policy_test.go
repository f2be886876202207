package policies_test

import (
	"context"
	"testing"

	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

func newHost(t testing.TB, c wasm.Config) *wasm.Host {
	t.Helper()
	h, err := wasm.NewHost(t.Context(), c)
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

// builtin is an instance of a built-in policy with the operator's parameters.
func builtin(t testing.TB, h *wasm.Host, name, params string) *wasm.Instance {
	t.Helper()
	code, ok := policies.Builtin(name)
	if !ok {
		t.Fatalf("no policy %q", name)
	}
	m, err := h.Compile(t.Context(), name, code, wasm.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	i, err := m.New(t.Context(), wasm.InstanceConfig{Params: []byte(params)})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// guest is a policy with the parts of rows that it asks for.
type guest struct {
	*wasm.Instance
	t      testing.TB
	kind   abi.Kind
	stride int
	fuel   uint64 // of the last decision
}

func use(t testing.TB, k abi.Kind, name, params string) *guest {
	t.Helper()
	return guestOf(t, k, builtin(t, newHost(t, wasm.Config{}), name, params))
}

func guestOf(t testing.TB, k abi.Kind, i *wasm.Instance) *guest {
	t.Helper()
	stride, tags := i.Wants(k)
	if stride%abi.PartSize != 0 || stride < abi.PartSize || stride > abi.RowSize || tags != 0 {
		t.Fatalf("it wants rows of %d bytes and tags %#x", stride, tags)
	}
	return &guest{Instance: i, t: t, kind: k, stride: stride}
}

// request fills in what is not the view's shape.
type request func(h *abi.Header)

// decide writes a view, calls, and returns the answer and the scores.
func (g *guest) decide(fill request, rows []abi.Row) (abi.Answer, []uint32) {
	g.t.Helper()
	s := abi.Shape{Kind: g.kind, Rows: len(rows), Stride: g.stride}
	b, err := g.View(g.kind, s.Size())
	if err != nil {
		g.t.Fatal(err)
	}
	h := abi.Begin(b, &s)
	h.Now, h.Clock, h.SelfRow = now*1000, now, abi.None
	if fill != nil {
		fill(h)
	}
	for n := range rows {
		abi.PutRow(b, g.stride, n, &rows[n])
	}
	a, fuel, err := g.Call(g.kind, len(b), len(rows))
	if err != nil {
		g.t.Fatal(err)
	}
	g.fuel = fuel
	if b, err = g.View(g.kind, s.Size()); err != nil {
		g.t.Fatal(err)
	}
	return a, append([]uint32(nil), abi.Scores(b, len(rows), g.stride)...)
}

// now is the moment of all decisions that do not say otherwise, in ms.
const now = 5_000_000

// pick is the row that a routing policy chooses.
func (g *guest) pick(fill request, rows []abi.Row) int {
	g.t.Helper()
	a, scores := g.decide(fill, rows)
	if a.Status() != abi.OK {
		g.t.Fatalf("%v, scores %d", a.Status(), scores)
	}
	return int(a.Value())
}

// verdict is what an admission policy says.
type verdict struct {
	Action abi.Action
	Reason uint8
	Wait   uint16
}

func (g *guest) admit(fill request, r abi.Row) verdict {
	g.t.Helper()
	a, _ := g.decide(fill, []abi.Row{r})
	action, reason, wait, ok := abi.UnpackVerdict(a.Value())
	if a.Status() != abi.OK || !ok {
		g.t.Fatalf("%v, value %#x", a.Status(), a.Value())
	}
	return verdict{action, reason, wait}
}

func (g *guest) tell(e abi.Event) {
	g.t.Helper()
	if err := g.Event(e.Bytes()); err != nil {
		g.t.Fatal(err)
	}
}

// node is an idle node with all figures, changed as a test wants.
func node(change func(r *abi.Row)) abi.Row {
	var r abi.Row
	r.Node, r.Flags = 1, abi.Loaded
	r.Slots, r.LoadAt = 4, now-100
	r.Prefill, r.Decode, r.Batch, r.SpeedAt = 100_000, 10_000, 125, now-1000
	r.RTT, r.RTTAt = 2000, now-1000
	if change != nil {
		change(&r)
	}
	return r
}

// nodes are n idle nodes with handles from 1.
func nodes(n int, change func(i int, r *abi.Row)) []abi.Row {
	rows := make([]abi.Row, n)
	for i := range rows {
		rows[i] = node(func(r *abi.Row) { r.Node = uint64(i) + 1 })
		if change != nil {
			change(i, &rows[i])
		}
	}
	return rows
}
