package sim

import (
	"cmp"
	"slices"

	"omx/node/catalog"
)

// engine is a node's model server: slots, a bounded queue before them, and one
// processor they share. A request in a slot is first read (prefill), one at a
// time in the order they came; meanwhile no tokens are made. Then it decodes
// together with the others, each the slower the more there are. The models of a
// node share its slots.
//
// All arithmetic is in integers, so that it gives the same on every processor.
type engine struct {
	prefillNS, decodeUS int64
	slow                []int64 // by streams, in 1/1024
	slots, bound        int

	waiting  []job // for a slot
	prefill  []job // in a slot; the first is being read until readAt
	readAt   catalog.Micros
	decoding []decoding // the next to end first

	at   catalog.Micros // up to where all this is true
	work int64          // µs/1024 of decoding that every stream has got since the start

	wakeAt catalog.Micros // moment of the wake that is planned, 0 for none
	gen    uint32         // of that plan; a wake of an older one means nothing
}

type job struct {
	req            int32
	prompt, output int32
}

type decoding struct {
	req int32
	end int64 // ends when work reaches this
}

func newEngine(d *Device, bound int) *engine {
	e := &engine{prefillNS: d.prefillNS(), decodeUS: d.decodeUS(), slots: d.Slots, bound: bound, slow: make([]int64, d.Slots+1)}
	for n := 1; n <= d.Slots; n++ {
		e.slow[n] = d.slowdown(n)
	}
	return e
}

func (e *engine) running() int { return len(e.prefill) + len(e.decoding) }

// add takes a request at now, to which the engine has been advanced. False: no
// slot and no room to wait.
func (e *engine) add(now catalog.Micros, j job) bool {
	switch {
	case e.running() < e.slots:
		e.read(now, j)
	case len(e.waiting) < e.bound:
		e.waiting = append(e.waiting, j)
	default:
		return false
	}
	return true
}

// read puts a request into a slot.
func (e *engine) read(now catalog.Micros, j job) {
	if len(e.prefill) == 0 {
		e.readAt = now + e.reading(j)
	}
	e.prefill = append(e.prefill, j)
}

func (e *engine) reading(j job) catalog.Micros {
	return catalog.Micros((int64(j.prompt)*e.prefillNS + 999) / 1000)
}

// next is when something ends, unless a request is added before.
func (e *engine) next() (catalog.Micros, bool) {
	switch {
	case len(e.prefill) > 0:
		return e.readAt, true
	case len(e.decoding) > 0:
		left := max(0, e.decoding[0].end-e.work)
		// Rounded up, so that the work is done by then.
		return e.at + catalog.Micros((left*e.slow[len(e.decoding)]+1<<20-1)>>20), true
	}
	return 0, false
}

// advance plays on to now and tells of first tokens and of ends, in their order.
func (e *engine) advance(now catalog.Micros, tell func(kind, catalog.Micros, int32)) {
	for {
		at, ok := e.next()
		if !ok || at > now {
			break
		}
		e.pass(at)
		if len(e.prefill) > 0 {
			e.first(tell)
		} else {
			tell(done, at, e.decoding[0].req)
			e.decoding = slices.Delete(e.decoding, 0, 1)
		}
		for len(e.waiting) > 0 && e.running() < e.slots {
			e.read(at, e.waiting[0])
			e.waiting = slices.Delete(e.waiting, 0, 1)
		}
	}
	e.pass(now)
}

// pass lets time go by in which nothing ends.
func (e *engine) pass(to catalog.Micros) {
	if n := len(e.decoding); n > 0 && len(e.prefill) == 0 {
		e.work += int64(to-e.at) << 20 / e.slow[n]
	}
	e.at = to
}

// first ends the reading of a prompt, which yields the first token.
func (e *engine) first(tell func(kind, catalog.Micros, int32)) {
	j := e.prefill[0]
	e.prefill = slices.Delete(e.prefill, 0, 1)
	tell(first, e.at, j.req)
	if j.output <= 1 {
		tell(done, e.at, j.req)
	} else {
		d := decoding{j.req, e.work + int64(j.output-1)*e.decodeUS<<10}
		i, _ := slices.BinarySearchFunc(e.decoding, d, func(a, b decoding) int {
			return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.req, b.req))
		})
		e.decoding = slices.Insert(e.decoding, i, d)
	}
	if len(e.prefill) > 0 {
		e.readAt = e.at + e.reading(e.prefill[0])
	}
}
