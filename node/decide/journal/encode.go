package journal

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"omx/node/decide"
	"omx/policies/abi"
)

// ref is the last view of a model, to compare the next one with.
type ref struct {
	model uint64
	used  bool
	body  []byte
	ext   []byte
}

// encoder writes records to a block. Its methods tell whether there was room; if
// not, the block has to be ended.
type encoder struct {
	b       []byte // the block, with its capacity as the bound
	records uint64
	refs    [kinds][slots]ref
	next    [kinds]int // slot to give up
	deciding
	lastID uint64
	event  abi.Event
}

// deciding is which policy decides each kind, which every block has to say anew,
// and which did before, as it may again.
type deciding [kinds]struct{ now, before policy }

type policy struct {
	known      bool
	digest     [32]byte
	params     []byte
	generation uint64
}

// begins notes that another policy decides k.
func (e *encoder) begins(k abi.Kind, digest [32]byte, params []byte, generation uint64) {
	d := &e.deciding[k]
	if d.now.digest != digest || !bytes.Equal(d.now.params, params) {
		d.now, d.before = d.before, d.now
	}
	d.now.known, d.now.digest, d.now.generation = true, digest, generation
	d.now.params = append(d.now.params[:0], params...)
}

// restart begins a block in the room of b.
func (e *encoder) restart(b []byte) {
	e.b = b[:blockHead]
	for k := range e.refs {
		for i := range e.refs[k] {
			r := &e.refs[k][i]
			r.used, r.body, r.ext = false, r.body[:0], r.ext[:0]
		}
		e.next[k] = 0
	}
	e.lastID, e.event = 0, abi.Event{}
	for k := range e.deciding {
		if d := &e.deciding[k]; d.now.known && !e.fresh(abi.Kind(k), isContinued) {
			d.now.known = false // there is hardly any room; decisions tell the digest themselves
		}
	}
	e.records = 0 // what every block says is no news
}

// fresh writes which policy decides k.
func (e *encoder) fresh(k abi.Kind, flags byte) bool {
	d := &e.deciding[k].now
	if cap(e.b)-len(e.b) < 2+digestLength+2*binary.MaxVarintLen64+len(d.params) {
		return false
	}
	e.b = append(e.b, byte(TypeFresh)|flags, byte(k))
	e.b = append(e.b, d.digest[:]...)
	e.b = binary.AppendUvarint(e.b, d.generation)
	e.b = binary.AppendUvarint(e.b, uint64(len(d.params)))
	e.b = append(e.b, d.params...)
	e.records++
	return true
}

func (e *encoder) putOutcome(o *Outcome) bool {
	if cap(e.b)-len(e.b) < 2+4*binary.MaxVarintLen64 {
		return false
	}
	e.b = append(e.b, byte(TypeOutcome), o.Err)
	for _, v := range [...]uint64{o.ID, o.TTFT, o.Took, o.Tokens} {
		e.b = binary.AppendUvarint(e.b, v)
	}
	e.records++
	return true
}

// putEvent writes the words in which it differs from the last: policies of all
// kinds hear the same events.
func (e *encoder) putEvent(k abi.Kind, ev *abi.Event) bool {
	if cap(e.b)-len(e.b) < 4+abi.EventSize {
		return false
	}
	e.b = append(e.b, byte(TypeEvent), byte(k), 0, 0)
	at := len(e.b) - 2
	was, is := e.event.Bytes(), ev.Bytes()
	mask := uint16(0)
	for i := range eventWords {
		if w := is[8*i : 8*i+8]; !bytes.Equal(w, was[8*i:8*i+8]) {
			mask |= 1 << i
			e.b = append(e.b, w...)
		}
	}
	binary.LittleEndian.PutUint16(e.b[at:], mask)
	e.event = *ev
	e.records++
	return true
}

// slot is where the last view of the model is, or one to give up.
func (e *encoder) slot(k abi.Kind, model uint64) (int, *ref) {
	for i := range e.refs[k] {
		if r := &e.refs[k][i]; r.used && r.model == model {
			return i, r
		}
	}
	i := e.next[k]
	e.next[k] = (i + 1) % slots
	r := &e.refs[k][i]
	r.model, r.used = model, true
	return i, r
}

// parts are those of a view, without the place for the answer.
type parts struct {
	h    *abi.Header
	body []byte
	ext  []byte
}

// split is false for what is not a view.
func split(view []byte) (p parts, ok bool) {
	if len(view) < abi.HeaderSize {
		return p, false
	}
	p.h = abi.HeaderAt(view)
	n, at, m := uint64(p.h.Scores), uint64(p.h.Ext), uint64(p.h.ExtLen)
	if n < abi.HeaderSize || n%8 != 0 || n > min(maxBody, uint64(len(view))) || at+m > uint64(len(view)) || m > abi.MaxExt || p.h.Count > abi.MaxRows {
		return p, false
	}
	p.body = view[:n]
	if m > 0 {
		p.ext = view[at : at+m]
	}
	return p, true
}

// knows tells which policy decided. One that did before comes back with what is
// known of it; of another, the digest is all.
func (e *encoder) knows(k abi.Kind, digest [32]byte) (flags byte, ok bool) {
	d := &e.deciding[k]
	switch {
	case d.now.known && d.now.digest == digest:
		return 0, true
	case d.before.known && d.before.digest == digest:
		d.now, d.before = d.before, d.now
		return 0, e.fresh(k, isContinued)
	}
	e.begins(k, digest, nil, 0)
	return hasDigest, true
}

// decision writes t, which has these parts. Without room the slots are spoiled:
// the block has to end.
func (e *encoder) decision(t *decide.Taken, p parts) bool {
	body, ext, h := p.body, p.ext, p.h
	policy, ok := e.knows(t.Kind, t.Digest)
	if !ok || cap(e.b)-len(e.b) < 3+digestLength+5*binary.MaxVarintLen64+len(ext) {
		return false
	}
	slot, r := e.slot(t.Kind, h.Model)
	start := len(e.b)
	flags := byte(TypeDecision) | policy
	b := append(e.b, 0, byte(t.Kind)|byte(slot)<<slotShift)
	if flags&hasDigest != 0 {
		b = append(b, t.Digest[:]...)
	}
	b = binary.AppendUvarint(b, t.ID-e.lastID)
	b = append(b, byte(t.Status))
	b = binary.AppendUvarint(b, uint64(t.Answer>>32))
	b = binary.AppendUvarint(b, uint64(t.Answer.Value()))
	b = binary.AppendUvarint(b, t.Fuel)
	b = binary.AppendUvarint(b, uint64(len(body)/8))
	r.fit(len(body))
	if b, ok = putDiff(b, r.body, body); !ok {
		return false
	}
	if !bytes.Equal(ext, r.ext) {
		if cap(b)-len(b) < binary.MaxVarintLen64+len(ext) {
			return false
		}
		flags |= hasExt
		b = binary.AppendUvarint(b, uint64(len(ext)))
		b = append(b, ext...)
		r.ext = append(r.ext[:0], ext...)
	}
	switch rows, steps := int(h.Count), int(t.Answer.Value()); {
	case t.Kind == abi.Route && rows > 0 && len(t.Result) >= 4*rows:
		flags |= hasScores
		b, ok = putScores(b, uint32s(t.Result, rows))
	case t.Kind == abi.Replicate && t.Result != nil && steps <= abi.MaxSteps && len(t.Result) >= steps*abi.StepSize:
		flags |= hasSteps
		if steps *= abi.StepSize; cap(b)-len(b) < steps {
			return false
		}
		b = append(b, t.Result[:steps]...)
	}
	if !ok {
		return false
	}
	b[start] = flags
	e.b, e.lastID = b, t.ID
	e.records++
	return true
}

// fit makes the body n bytes long; bytes that come are zero.
func (r *ref) fit(n int) {
	if n > cap(r.body) {
		r.body = append(make([]byte, 0, n+n/8), r.body...)
	}
	was := len(r.body)
	r.body = r.body[:n]
	if n > was {
		clear(r.body[was:])
	}
}

// uint32s are the first n words of b, in place if they lie as such do.
func uint32s(b []byte, n int) []uint32 {
	if p := unsafe.SliceData(b); uintptr(unsafe.Pointer(p))%4 == 0 {
		return unsafe.Slice((*uint32)(unsafe.Pointer(p)), n)
	}
	list := make([]uint32, n)
	for i := range list {
		list[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return list
}
