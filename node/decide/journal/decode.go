package journal

import (
	"encoding/binary"
	"errors"
	"slices"

	"omx/policies/abi"
)

var errRecord = errors.New("a record is not well formed")

// decoder undoes encoder: it reads the records of a block.
type decoder struct {
	b      []byte
	views  [kinds][slots]seen
	lastID uint64
	event  abi.Event
	digest [kinds][digestLength]byte
	scores []uint32
}

// seen is the last view of a slot. The place for the answer stays as a policy
// finds it.
type seen struct {
	view []byte
	body int // bytes before the answer's place
	ext  []byte
}

// restart begins a block of these records.
func (d *decoder) restart(b []byte) {
	d.b = b
	for k := range d.views {
		for i := range d.views[k] {
			s := &d.views[k][i]
			s.view, s.body, s.ext = s.view[:0], 0, s.ext[:0]
		}
	}
	d.lastID, d.event = 0, abi.Event{}
	d.digest = [kinds][digestLength]byte{}
}

// read fills r with the next record; what it points to is valid until the next
// read. There must be one: len(d.b) > 0.
func (d *decoder) read(r *Record) error {
	if len(d.b) < 2 {
		return errRecord
	}
	flags, second := d.b[0], d.b[1]
	d.b = d.b[2:]
	r.Type, r.Kind = Type(flags&typeMask), abi.Kind(second&kindMask)
	if r.Type != TypeOutcome && r.Kind == 0 {
		return errRecord
	}
	switch r.Type {
	case TypeDecision:
		return d.decision(r, flags, int(second>>slotShift))
	case TypeEvent:
		return d.readEvent(r)
	case TypeFresh:
		return d.fresh(r, flags)
	case TypeOutcome:
		r.Kind = abi.Route
		o := &r.Outcome
		o.Err = second
		return d.uvarints(&o.ID, &o.TTFT, &o.Took, &o.Tokens)
	}
	return errRecord
}

func (d *decoder) fresh(r *Record, flags byte) error {
	if len(d.b) < digestLength {
		return errRecord
	}
	f := &r.Fresh
	f.Digest = [digestLength]byte(d.b)
	d.digest[r.Kind] = f.Digest
	d.b = d.b[digestLength:]
	f.Continued = flags&isContinued != 0
	var n uint64
	if err := d.uvarints(&f.Generation, &n); err != nil {
		return err
	}
	if n > min(maxParams, uint64(len(d.b))) {
		return errRecord
	}
	f.Params, d.b = d.b[:n:n], d.b[n:]
	return nil
}

func (d *decoder) readEvent(r *Record) error {
	if len(d.b) < 2 {
		return errRecord
	}
	mask := binary.LittleEndian.Uint16(d.b)
	d.b = d.b[2:]
	to := d.event.Bytes()
	for i := range eventWords {
		if mask&(1<<i) == 0 {
			continue
		}
		if len(d.b) < 8 {
			return errRecord
		}
		copy(to[8*i:8*i+8], d.b)
		d.b = d.b[8:]
	}
	r.Event = d.event
	return nil
}

func (d *decoder) decision(r *Record, flags byte, slot int) error {
	if slot >= slots {
		return errRecord
	}
	t := &r.Decision
	if flags&hasDigest != 0 {
		if len(d.b) < digestLength {
			return errRecord
		}
		d.digest[r.Kind] = [digestLength]byte(d.b)
		d.b = d.b[digestLength:]
	}
	t.Digest = d.digest[r.Kind]
	var id, status, value, words uint64
	if err := d.uvarints(&id); err != nil || len(d.b) == 0 {
		return errRecord
	}
	d.lastID += id
	t.ID, t.Status = d.lastID, abi.Status(d.b[0])
	d.b = d.b[1:]
	if err := d.uvarints(&status, &value, &t.Fuel, &words); err != nil {
		return err
	}
	if status >= 1<<32 || value >= 1<<32 || words > maxBody/8 || words < abi.HeaderSize/8 {
		return errRecord
	}
	t.Answer = abi.Answer(status<<32 | value)
	s := &d.views[r.Kind][slot]
	if err := d.view(s, int(words)*8, r.Kind, flags); err != nil {
		return err
	}
	t.View = s.view
	return d.results(t, flags, r.Kind)
}

// view applies what changed to the last view of the slot.
func (d *decoder) view(s *seen, body int, k abi.Kind, flags byte) error {
	moved := body != s.body
	if moved {
		s.resize(body)
	}
	rest, reshaped, ok := applyDiff(d.b, s.view[:body])
	d.b = rest
	if !ok {
		return errRecord
	}
	if flags&hasExt != 0 {
		var n uint64
		if err := d.uvarints(&n); err != nil || n > min(abi.MaxExt, uint64(len(d.b))) {
			return errRecord
		}
		s.ext = append(s.ext[:0], d.b[:n]...)
		d.b = d.b[n:]
		moved = true
	}
	if !moved && !reshaped {
		return nil // it is as well formed as the one before
	}
	return s.finish(k)
}

// resize makes the body n bytes long; bytes that come are zero.
func (s *seen) resize(n int) {
	old := s.body
	s.body = n
	s.view = slices.Grow(s.view[:min(old, n)], max(n-old, 0)+n/8)[:n]
	if n > old {
		clear(s.view[old:])
	}
}

// finish writes what comes after the body, and checks the whole.
func (s *seen) finish(k abi.Kind) error {
	h := abi.HeaderAt(s.view)
	size := int(h.Length)
	if size < s.body || size > maxView || int(h.Scores) != s.body || abi.Kind(h.Kind) != k || int(h.ExtLen) != len(s.ext) {
		return errRecord
	}
	results := size
	if h.ExtLen > 0 {
		if results = int(h.Ext); results < s.body || results > size-len(s.ext) {
			return errRecord
		}
	}
	s.view = slices.Grow(s.view[:s.body], size-s.body)[:size]
	blank(s.view[s.body:results], k, int(abi.HeaderAt(s.view).Count))
	clear(s.view[results:])
	copy(s.view[results:], s.ext)
	_, err := abi.Open(s.view)
	return err
}

// blank makes the place for the answer as policies find it: no steps, or every
// row scored Never.
func blank(b []byte, k abi.Kind, rows int) {
	n := 0
	if k != abi.Replicate {
		n = min(4*rows, len(b))
	}
	for i := range b[:n] {
		b[i] = 0xff
	}
	clear(b[n:])
}

func (d *decoder) results(t *Decision, flags byte, k abi.Kind) error {
	t.Scores, t.Steps = nil, nil
	if flags&hasScores != 0 {
		rows := int(abi.HeaderAt(t.View).Count)
		d.scores = slices.Grow(d.scores[:0], rows)[:rows]
		var ok bool
		if d.b, ok = readScores(d.b, d.scores); !ok {
			return errRecord
		}
		t.Scores = d.scores
	}
	if flags&hasSteps != 0 {
		n := int(t.Answer.Value()) * abi.StepSize
		if t.Answer.Value() > abi.MaxSteps || n > len(d.b) || k != abi.Replicate {
			return errRecord
		}
		t.Steps, d.b = d.b[:n:n], d.b[n:]
	}
	return nil
}

func (d *decoder) uvarints(to ...*uint64) error {
	for _, p := range to {
		v, n := binary.Uvarint(d.b)
		if n <= 0 {
			return errRecord
		}
		*p, d.b = v, d.b[n:]
	}
	return nil
}
