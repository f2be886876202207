package journal

import (
	"bytes"
	"slices"
	"unsafe"

	"omx/node/decide"
	"omx/policies/abi"
)

const maxOrder = decide.MaxPicks

// answered is what a policy said when it was asked again.
type answered struct {
	answer abi.Answer
	status abi.Status // as the node would take it
	fuel   uint64
	scores []uint32 // route
	steps  []byte   // replicate: the whole place for them
}

// judge is what the node makes of an answer that came without a fault.
func judge(k abi.Kind, view []byte, a abi.Answer) abi.Status {
	s := a.Status()
	switch k {
	case abi.Route:
		h := abi.HeaderAt(view)
		switch {
		case s != abi.OK && s != abi.NoCandidate:
			return s
		case s == abi.NoCandidate || h.Count == 0:
			return abi.NoCandidate
		case a.Value() >= h.Count || draining(view, h, int(a.Value())):
			return abi.BadAnswer
		}
	case abi.Admit:
		if _, _, _, ok := abi.UnpackVerdict(a.Value()); s == abi.OK && !ok {
			return abi.BadAnswer
		}
	case abi.Replicate:
		if s == abi.OK && a.Value() > abi.MaxSteps {
			return abi.BadAnswer
		}
	}
	return s
}

// raw is the memory of scores: comparing bytes is several times as fast.
func raw(scores []uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(scores))), 4*len(scores))
}

func draining(view []byte, h *abi.Header, row int) bool {
	return abi.LoadPart(view, abi.HeaderSize+row*int(h.Stride)).Flags&abi.Draining != 0
}

// Reasons for which decisions differ, beside another status.
const (
	otherNode   = "another node first"
	otherOrder  = "other nodes after the first"
	otherScores = "other scores, the same nodes"
	otherAction = "another action"
	otherReason = "another reason"
	otherWait   = "another wait"
	otherSteps  = "other steps"
	otherFuel   = "other fuel"
)

// compare tells in what a decision differs now; "" in nothing. Same asks for the
// same scores and fuel too.
func (k *tally) compare(r *Record, now *answered, same bool) string {
	d := &r.Decision
	if d.Status != now.status {
		return d.Status.String() + ", now " + now.status.String()
	}
	was, is := d.Answer.Value(), now.answer.Value()
	switch {
	case d.Status != abi.OK: // then the value means nothing
	case r.Kind == abi.Route && was != is:
		return otherNode
	case r.Kind == abi.Route && d.Scores != nil && !bytes.Equal(raw(d.Scores), raw(now.scores)):
		a := order(&k.orders[0], d.View, d.Scores, int(was))
		b := order(&k.orders[1], d.View, now.scores, int(is))
		if !slices.Equal(a, b) {
			return otherOrder
		}
		if same {
			return otherScores
		}
	case r.Kind == abi.Admit && was != is:
		a, reasonA, _, _ := abi.UnpackVerdict(was)
		b, reasonB, _, _ := abi.UnpackVerdict(is)
		switch {
		case a != b:
			return otherAction
		case reasonA != reasonB:
			return otherReason
		}
		return otherWait
	case r.Kind == abi.Replicate && (was != is || !bytes.Equal(d.Steps, now.steps[:min(len(d.Steps), len(now.steps))])):
		return otherSteps
	}
	if same && d.Fuel != now.fuel && d.Status < abi.OutOfFuel {
		return otherFuel
	}
	return ""
}

// order is in which order the node tries the rows, as decide takes it from the
// scores.
func order(room *[maxOrder]int32, view []byte, scores []uint32, best int) []int32 {
	h := abi.HeaderAt(view)
	room[0] = int32(best)
	n, worst := 1, abi.Never
	for i, score := range scores {
		if score >= worst || i == best || draining(view, h, i) {
			continue
		}
		at := min(n, maxOrder-1)
		for at > 1 && scores[room[at-1]] > score {
			room[at] = room[at-1]
			at--
		}
		room[at] = int32(i)
		if n = min(n+1, maxOrder); n == maxOrder {
			worst = scores[room[n-1]]
		}
	}
	return room[:n]
}

// fit makes of a recorded view one with rows of so many bytes, in room: rows are
// cut, or get zeros, that is, figures never sampled.
func fit(room, view []byte, stride int) []byte {
	old := abi.HeaderAt(view)
	s := abi.Shape{Kind: abi.Kind(old.Kind), Rows: int(old.Count), Stride: stride, Models: int(old.Models), Copies: int(old.Copies), Ext: int(old.ExtLen)}
	size := s.Size()
	room = slices.Grow(room[:0], size)[:size]
	h := abi.Begin(room, &s)
	at := *h
	*h = *old
	h.Stride, h.Scores, h.Ext, h.Length, h.ModelsAt, h.CopiesAt = at.Stride, at.Scores, at.Ext, at.Length, at.ModelsAt, at.CopiesAt
	n := min(stride, int(old.Stride))
	for i := range s.Rows {
		row := room[abi.HeaderSize+i*stride:][:stride]
		copy(row, view[abi.HeaderSize+i*int(old.Stride):][:n])
		clear(row[n:])
	}
	if s.Kind == abi.Replicate {
		copy(room[h.ModelsAt:h.Scores], view[old.ModelsAt:old.Scores])
	}
	if s.Ext > 0 {
		copy(room[h.Ext:], view[old.Ext:][:s.Ext])
	}
	return room
}

// lacks tells whether a policy that reads so much of each row and these tags
// finds less in a view.
func lacks(view []byte, stride int, tags uint32) bool {
	h := abi.HeaderAt(view)
	if stride > int(h.Stride) && h.Count > 0 {
		return true
	}
	if tags == 0 {
		return false
	}
	if h.ExtLen > 0 {
		abi.Items(view[h.Ext:][:h.ExtLen], func(t abi.Tag, _ []byte) { tags &^= 1 << t })
	}
	return tags != 0
}
