package policies_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

// write fills a view of any kind with arbitrary figures.
func write(r *rand.Rand, s *abi.Shape) func(b []byte) {
	fill, rows := arbitraryRequest(r), arbitraryRows(r, s.Rows)
	models, copies := make([]abi.Model, s.Models), make([]abi.Copy, s.Copies)
	for i := range models {
		models[i] = abi.Model{Model: r.Uint64(), Bytes: uint64(arbitrary(r, 1<<20)) << 12, Copies: arbitrary(r, 5), Least: r.Uint32N(4),
			Most: r.Uint32N(9), Moving: r.Uint32N(2), Demand1h: arbitrary(r, 500), Refetch: arbitrary(r, 900), Rank: uint32(i)}
	}
	for i := range copies {
		copies[i] = abi.Copy{Model: uint16(r.IntN(s.Models + 1)), Node: uint16(r.IntN(s.Rows + 1)), State: r.Uint32N(6), HeldAt: arbitraryStamp(r), Flags: r.Uint32N(2)}
	}
	return func(b []byte) {
		h := abi.Begin(b, s)
		h.Now, h.Clock = now*1000, now
		fill(h)
		for i := range rows {
			abi.PutRow(b, s.Stride, i, &rows[i])
		}
		for i := range models {
			abi.PutModel(b, h, i, &models[i])
		}
		for i := range copies {
			abi.PutCopy(b, h, i, &copies[i])
		}
	}
}

func arbitraryEvent(r *rand.Rand) abi.Event {
	return abi.Event{Kind: uint16(r.IntN(12)), Clock: now, Now: now * 1000, Request: r.Uint64N(50), Node: r.Uint64N(3), Tenant: r.Uint64N(40),
		Prompt: arbitrary(r, 8000), Output: arbitrary(r, 500), First: arbitrary(r, 1_000_000), RIF: arbitrary(r, 9)}
}

// outcome is all that a decision does.
type outcome struct {
	answer abi.Answer
	fuel   uint64
	view   []byte
	err    error
}

func run(t *testing.T, i *wasm.Instance, k abi.Kind, s *abi.Shape, fill func(b []byte)) (o outcome) {
	t.Helper()
	b, err := i.View(k, s.Size())
	if err != nil {
		t.Fatal(err)
	}
	fill(b)
	o.answer, o.fuel, o.err = i.Call(k, len(b), s.Rows)
	if o.err == nil {
		if b, o.err = i.View(k, s.Size()); o.err == nil {
			o.view = bytes.Clone(b)
		}
	}
	return o
}

// The same events and views give the same answers, scores, steps and fuel in the
// compiler and the interpreter, whatever the figures; and all of them answer.
func TestDeterminism(t *testing.T) {
	compiler, interpreter := newHost(t, wasm.Config{}), newHost(t, wasm.Config{Interpreter: true})
	for _, p := range policies.List() {
		t.Run(p.Name, func(t *testing.T) {
			a, b := builtin(t, compiler, p.Name, ""), builtin(t, interpreter, p.Name, "")
			stride, _ := a.Wants(p.Kind)
			r := rand.New(rand.NewPCG(3, 4))
			for round := range 300 {
				s := abi.Shape{Kind: p.Kind, Rows: round % 20, Stride: stride}
				switch p.Kind {
				case abi.Admit:
					s.Rows = 1
				case abi.Replicate:
					s.Models, s.Copies = r.IntN(20), r.IntN(60)
				}
				fill := write(r, &s)
				x, y := run(t, a, p.Kind, &s, fill), run(t, b, p.Kind, &s, fill)
				if x.err != nil || y.err != nil || x.answer != y.answer || x.fuel != y.fuel || !bytes.Equal(x.view, y.view) {
					t.Fatalf("round %d: %#x, fuel %d, %v; interpreted %#x, fuel %d, %v", round, x.answer, x.fuel, x.err, y.answer, y.fuel, y.err)
				}
				switch status := x.answer.Status(); {
				case status == abi.OK && p.Kind == abi.Route && int(x.answer.Value()) >= s.Rows:
					t.Fatalf("row %d of %d", x.answer.Value(), s.Rows)
				case status != abi.OK && (p.Kind != abi.Route || status != abi.NoCandidate):
					t.Fatalf("round %d: %v", round, status)
				}
				for range r.IntN(4) {
					e := arbitraryEvent(r)
					if err := a.Event(e.Bytes()); err != nil {
						t.Fatal(err)
					}
					if err := b.Event(e.Bytes()); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// A host of a later minor version writes longer headers and rows.
func TestLongerRows(t *testing.T) {
	h := newHost(t, wasm.Config{})
	const n, header = 5, abi.HeaderSize + 64
	for _, p := range policies.List() {
		if p.Kind == abi.Replicate { // as the others, plus tables
			continue
		}
		a, b := builtin(t, h, p.Name, ""), builtin(t, h, p.Name, "")
		r := rand.New(rand.NewPCG(5, 6))
		for range 200 {
			s := abi.Shape{Kind: p.Kind, Rows: n, Stride: abi.RowSize}
			fill := write(r, &s)
			want := run(t, a, p.Kind, &s, fill)
			const stride = abi.RowSize + abi.PartSize
			long := make([]byte, header+n*(stride+4)+8)
			got := run(t, b, p.Kind, &abi.Shape{Kind: p.Kind, Rows: n + 2, Stride: abi.RowSize}, func(b []byte) {
				fill(b)
				relay(long, b, header, stride, n)
				copy(b, long)
			})
			if got.answer != want.answer || p.Kind == abi.Route && !bytes.Equal(got.view[header+n*stride:][:4*n], want.view[abi.HeaderSize+n*abi.RowSize:][:4*n]) {
				t.Fatalf("%s: %#x, want %#x", p.Name, got.answer, want.answer)
			}
		}
	}
}

// relay copies a view of whole rows into one of other lengths.
func relay(to, from []byte, header, stride, rows int) {
	for i := range to {
		to[i] = 0xa5
	}
	copy(to, from[:abi.HeaderSize])
	for i := range rows {
		copy(to[header+i*stride:], from[abi.HeaderSize+i*abi.RowSize:][:abi.RowSize])
	}
	scores := header + rows*stride
	for i := range 4 * rows {
		to[scores+i] = 0xff
	}
	binary.LittleEndian.PutUint16(to[12:], uint16(stride))
	binary.LittleEndian.PutUint16(to[14:], uint16(header))
	binary.LittleEndian.PutUint32(to[16:], uint32(scores))
	binary.LittleEndian.PutUint32(to[28:], uint32(len(to)))
}

// The largest views there can be are answered within the budget.
func TestLargestView(t *testing.T) {
	h := newHost(t, wasm.Config{})
	r := rand.New(rand.NewPCG(9, 10))
	for _, p := range policies.List() {
		i := builtin(t, h, p.Name, "")
		s := abi.Shape{Kind: p.Kind, Rows: abi.MaxRows, Stride: abi.RowSize}
		if p.Kind == abi.Replicate {
			s.Rows, s.Models, s.Copies = abi.MaxNodes, abi.MaxModels, abi.MaxCopies
		}
		if o := run(t, i, p.Kind, &s, write(r, &s)); o.err != nil {
			t.Errorf("%s: %v", p.Name, o.err)
		} else if i.MemoryBytes() > 40<<16 {
			t.Errorf("%s takes %d bytes of memory", p.Name, i.MemoryBytes())
		}
	}
}

// What a decision on a usual view costs, for those who read the log.
func TestFuel(t *testing.T) {
	h := newHost(t, wasm.Config{})
	for _, p := range policies.List() {
		code, _ := policies.Builtin(p.Name)
		i := builtin(t, h, p.Name, "")
		stride, _ := i.Wants(p.Kind)
		s := usual(p.Kind, stride)
		o := run(t, i, p.Kind, &s, write(rand.New(rand.NewPCG(1, 1)), &s))
		t.Logf("%-9s %-16s %5d bytes, rows of %3d, %4d KiB of memory, fuel %7d, %d rows", p.Kind, p.Name, len(code), stride, i.MemoryBytes()>>10, o.fuel, s.Rows)
		if o.err != nil || o.fuel == 0 || i.MemoryBytes() > 256<<10 {
			t.Errorf("%s: %v, fuel %d, %d bytes", p.Name, o.err, o.fuel, i.MemoryBytes())
		}
	}
}
