package wasm

import (
	"errors"
	"fmt"
)

// fn is one function being metered.
type fn struct {
	globals uint32 // of the module; the fuel is the one after
	signature
	locals  uint32 // declared, without parameters
	groups  uint32 // runs of equal locals
	decl    int    // where the runs start
	start   int    // where the instructions start
	charges []charge
	bulk    bool

	blocks, loops, carried uint64 // see shape
}

// shape estimates what the function costs to compile. The engine's time has a
// part that grows with the square of basic blocks, one with that of loops, and
// one with the locals that each loop carries through those around it. The
// weights are fitted to adversarial functions; a unit takes about 0.1 µs.
func (f *fn) shape() uint64 { return f.blocks*f.blocks/8 + f.loops*f.loops + f.carried }

// charge is a place where fuel is taken.
type charge struct {
	at    int // offset in the body
	cost  uint32
	bulk  bool // before a bulk operation: by the count on top of the stack
	table bool // of a table
}

// scan finds the places to charge and their costs.
func (f *fn) scan(body []byte) error {
	if len(body) > maxBody {
		return fmt.Errorf("is %d bytes long, %d are allowed: split it", len(body), maxBody)
	}
	r := &reader{b: body}
	if err := f.scanLocals(r); err != nil {
		return err
	}
	f.charges = append(f.charges[:0], charge{at: r.at})
	entry := entryCost + uint64(f.params+f.locals+f.results) + wideCost*uint64(f.vectors)

	// open holds, per block that is open, the charge that pays for it.
	open := []int{0}
	depth := uint64(0) // of loops
	for r.err == nil && len(open) > 0 {
		at := r.at
		in := r.next()
		payer := open[len(open)-1]
		switch in.op {
		case opBlock, opIf:
			open = append(open, payer)
		case opLoop:
			f.charges = append(f.charges, charge{at: r.at})
			open = append(open, len(f.charges)-1)
			depth++
			f.loops++
			f.carried += depth * uint64(f.params+f.locals)
		case opEnd:
			open = open[:len(open)-1]
			if len(open) > 0 && open[len(open)-1] != payer {
				depth-- // what ended was a loop: its payer is its own
			}
		case opGlobalGet, opGlobalSet:
			if in.global >= f.globals {
				return fmt.Errorf("uses global %d of %d", in.global, f.globals)
			}
		}
		f.blocks += uint64(in.blocks)
		if in.bulk {
			f.charges = append(f.charges, charge{at: at, bulk: true, table: in.table})
			f.bulk = true
		}
		f.charges[payer].cost += in.cost
		entry += uint64(in.cost)
	}
	if r.err != nil {
		return r.err
	}
	if r.at != len(body) {
		return errors.New("has instructions after its end")
	}
	f.charges[0].cost = uint32(entry) // at most growCost × maxBody, which fits
	return nil
}

func (f *fn) scanLocals(r *reader) error {
	f.groups = uint32(r.count())
	f.decl = r.at
	for range f.groups {
		n := r.u32()
		t := r.valueType()
		if r.err != nil {
			return r.err
		}
		if n > maxLocals || f.locals+n > maxLocals {
			return fmt.Errorf("has more than %d locals: split it", maxLocals)
		}
		f.locals += n
		if t == typeV128 {
			f.vectors += n
		}
	}
	f.start = r.at
	return r.err
}

// rewrite puts the charges in. A function with bulk operations gets one more
// local, after its own.
func (f *fn) rewrite(body []byte) []byte {
	out := make([]byte, 0, len(body)+32*len(f.charges))
	groups := f.groups
	if f.bulk {
		groups++
	}
	out = append(appendU32(out, groups), body[f.decl:f.start]...)
	if f.bulk {
		out = append(out, 1, typeI32)
	}
	count := f.params + f.locals
	at := f.start
	for _, c := range f.charges {
		out = append(out, body[at:c.at]...)
		at = c.at
		if c.bulk {
			out = f.take(appendU32(append(out, opLocalSet), count), func(b []byte) []byte {
				b = appendU32(append(b, opLocalGet), count)
				b = append(b, opI64ExtendU)
				if !c.table {
					b = append(b, opI64Const, bulkShift, opI64ShrU)
				}
				b = append(b, opI64Sub)
				return append(b, opI64Const, bulkCost, opI64Sub)
			})
			out = appendU32(append(out, opLocalGet), count)
			continue
		}
		out = f.take(out, func(b []byte) []byte {
			return append(appendS64(append(b, opI64Const), int64(c.cost)), opI64Sub)
		})
	}
	return append(out, body[at:]...)
}

// take emits: fuel = fuel - cost; if fuel < 0 { trap }.
func (f *fn) take(b []byte, subtract func([]byte) []byte) []byte {
	b = subtract(appendU32(append(b, opGlobalGet), f.globals))
	b = appendU32(append(b, opGlobalSet), f.globals)
	b = appendU32(append(b, opGlobalGet), f.globals)
	return append(b, opI64Const, 0, opI64LtS, opIf, blockEmpty, opUnreachable, opEnd)
}
