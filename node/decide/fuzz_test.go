package decide

import (
	"testing"

	"omx/node/catalog"
	"omx/policies/abi"
)

// FuzzChoose takes any answer and any scores for a decision: what comes of them
// are picks that may be used, each once, in the order of their scores.
func FuzzChoose(f *testing.F) {
	f.Add(uint64(abi.Pack(abi.OK, 1)), []byte{3, 1, 2, 255, 0, 0, 0, 7, 9, 9}, uint16(0b100))
	f.Add(uint64(abi.Pack(abi.OK, 1<<31)), []byte{1}, uint16(0))
	f.Add(^uint64(0), []byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, answer uint64, bytes []byte, draining uint16) {
		n := min(len(bytes), 100)
		holders, rows, scores := make([]catalog.Holder, n), make([]abi.Row, n), make([]uint32, n)
		for i := range n {
			holders[i] = catalog.Holder{Node: &catalog.Node{Handle: uint64(i) + 1}, Seen: &catalog.Observed{}}
			if scores[i] = uint32(bytes[i]); bytes[i] == 255 {
				scores[i] = abi.Never
			}
			if draining>>(i%16)&1 != 0 {
				rows[i].Flags = abi.Draining
			}
		}
		a := abi.Answer(answer)
		status := a.Status()
		if status != abi.OK && status != abi.NoCandidate {
			return // the built-in rule decides
		}
		var p Picks
		switch status = p.choose(scores, holders, rows, a, status); {
		case status == abi.OK && p.N == 0, status != abi.OK && p.N != 0:
			t.Fatalf("%v with %d picks", status, p.N)
		case status != abi.OK:
			return
		}
		if want := uint64(a.Value()) + 1; p.Pick[0].Handle != want {
			t.Errorf("the first pick is %d, the answer %d", p.Pick[0].Handle, want)
		}
		seen := map[uint64]bool{}
		for i, pick := range p.List() {
			row := int(pick.Handle) - 1
			if seen[pick.Handle] || rows[row].Flags&abi.Draining != 0 || i > 0 && scores[row] == abi.Never {
				t.Errorf("pick %d is row %d again, draining or left out", i, row)
			}
			seen[pick.Handle] = true
			if i > 1 && p.Pick[i-1].Score > pick.Score {
				t.Errorf("picks are not in the order of their scores: %+v", p.List())
			}
		}
	})
}

// FuzzSteps takes any bytes as a replication's steps: what comes of them never
// takes a model's last copy.
func FuzzSteps(f *testing.F) {
	f.Add(uint16(3), []byte{2, 0, 0, 0, 0, 0, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, count uint16, bytes []byte) {
		e := &estate{}
		for i := range 4 {
			e.nodes = append(e.nodes, &catalog.Node{Handle: uint64(i)})
			e.rows = append(e.rows, abi.Row{})
		}
		e.ids = make([]catalog.ModelID, 2)
		e.models = []abi.Model{{Copies: 2}, {Copies: 1}}
		e.copies = []abi.Copy{{Model: 0, Node: 0}, {Model: 0, Node: 1}, {Model: 1, Node: 2}}
		shape := abi.Shape{Kind: abi.Replicate, Rows: 4, Stride: abi.RowSize, Models: 2, Copies: 3}
		view := make([]byte, shape.Size())
		abi.Begin(view, &shape)
		copy(shape.Results(view), bytes)
		var p Plan
		if status := p.choose(view, e, abi.Pack(abi.OK, uint32(count))); status != abi.OK {
			return
		}
		drops := 0
		for _, s := range p.Steps {
			if s.Op == abi.OpDrop {
				drops++
			}
		}
		if drops > 1 || len(p.Steps)+p.Refused != int(count) {
			t.Errorf("%d drops of %d steps, %d refused of %d", drops, len(p.Steps), p.Refused, count)
		}
	})
}
