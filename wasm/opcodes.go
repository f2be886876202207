package wasm

import "fmt"

// Instructions that metering looks at; the others matter only by their length.
const (
	opUnreachable = 0x00
	opNop         = 0x01
	opBlock       = 0x02
	opLoop        = 0x03
	opIf          = 0x04
	opElse        = 0x05
	opEnd         = 0x0b
	opBr          = 0x0c
	opBrIf        = 0x0d
	opBrTable     = 0x0e
	opReturn      = 0x0f
	opCall        = 0x10
	opCallInd     = 0x11
	opDrop        = 0x1a
	opSelect      = 0x1b
	opSelectT     = 0x1c
	opLocalGet    = 0x20
	opLocalSet    = 0x21
	opLocalTee    = 0x22
	opGlobalGet   = 0x23
	opGlobalSet   = 0x24
	opTableGet    = 0x25
	opTableSet    = 0x26
	opLoadFirst   = 0x28
	opStoreLast   = 0x3e
	opMemorySize  = 0x3f
	opMemoryGrow  = 0x40
	opI32Const    = 0x41
	opI64Const    = 0x42
	opF32Const    = 0x43
	opF64Const    = 0x44
	opPlainFirst  = 0x45
	opI64LtS      = 0x53
	opI32Div      = 0x6d // and the three after it
	opI32RemU     = 0x70
	opI64Sub      = 0x7d
	opI64Div      = 0x7f
	opI64RemU     = 0x82
	opI64ShrU     = 0x88
	opF32Sqrt     = 0x91
	opF32Div      = 0x95
	opF64Sqrt     = 0x9f
	opF64Div      = 0xa3
	opTruncFirst  = 0xa8
	opI64ExtendS  = 0xac
	opI64ExtendU  = 0xad
	opConvertLast = 0xbf
	opPlainLast   = 0xc4
	opRefNull     = 0xd0
	opRefIsNull   = 0xd1
	opRefFunc     = 0xd2
	opMisc        = 0xfc
	opVector      = 0xfd

	miscMemoryInit = 8
	miscDataDrop   = 9
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscElemDrop   = 13
	miscTableCopy  = 14
	miscTableGrow  = 15
	miscTableSize  = 16
	miscTableFill  = 17

	vectorF32Sqrt = 227
	vectorF64Sqrt = 239

	blockEmpty = 0x40
	typeI32    = 0x7f
	typeI64    = 0x7e
	typeV128   = 0x7b
)

// instr is what metering needs to know of one instruction.
type instr struct {
	op     byte
	cost   uint32 // fuel
	global uint32 // of global.get and global.set
	blocks int    // basic blocks it adds
	bulk   bool   // works through as many elements as the number on top of the stack says
	table  bool   // and those are a table's, not bytes
}

// next passes one instruction. It accepts only the encodings that compilers
// emit: were the engine to see an instruction where metering sees an immediate,
// a loop could hide in it.
func (r *reader) next() (in instr) {
	in.op, in.cost = r.byte(), 1
	switch op := in.op; {
	case op == opBlock || op == opLoop || op == opIf:
		r.blockType()
		in.blocks = 1
	case op == opBrIf:
		r.u32()
		in.blocks = 1
	case op == opBr, op == opCall, op >= opLocalGet && op <= opLocalTee,
		op == opTableGet, op == opTableSet:
		r.u32()
	case op == opRefFunc:
		r.u32()
		in.cost = hostCost
	case op == opGlobalGet || op == opGlobalSet:
		in.global = r.u32()
	case op == opBrTable:
		in.blocks = r.count() + 1
		for n := in.blocks; n > 0 && r.err == nil; n-- {
			r.u32()
		}
	case op == opCallInd:
		r.u32()
		r.u32()
	case op == opSelectT:
		if r.byte() != 1 {
			r.unknown(op)
		}
		r.valueType()
	case op >= opLoadFirst && op <= opStoreLast:
		r.memArg()
	case op == opMemorySize:
		r.zero(op)
	case op == opMemoryGrow:
		r.zero(op)
		in.cost = growCost
	case op == opI32Const:
		r.skipSigned(5)
	case op == opI64Const:
		r.skipSigned(10)
	case op == opF32Const:
		r.bytes(4)
	case op == opF64Const:
		r.bytes(8)
	case op == opRefNull:
		r.valueType()
	case op == opMisc:
		if in.bulk, in.table = r.misc(); !in.bulk {
			in.cost = slowCost // conversions
		}
	case op == opVector:
		in.cost = r.vector()
	case op == opF32Sqrt || op == opF64Sqrt:
		in.cost = sqrtCost
	case op >= opI32Div && op <= opI32RemU, op >= opI64Div && op <= opI64RemU, op == opF32Div, op == opF64Div,
		op >= opTruncFirst && op <= opConvertLast && op != opI64ExtendS && op != opI64ExtendU:
		in.cost = slowCost
	case op == opUnreachable, op == opNop, op == opElse, op == opEnd, op == opReturn, op == opDrop,
		op == opSelect, op >= opPlainFirst && op <= opPlainLast, op == opRefIsNull:
	default:
		r.unknown(op)
	}
	return in
}

func (r *reader) unknown(op byte) {
	r.fail(fmt.Errorf("uses instruction 0x%02x in a form that WebAssembly 2.0 does not have: build for that, without threads, tail calls or exceptions", op))
}

func (r *reader) zero(op byte) {
	if r.byte() != 0 {
		r.unknown(op)
	}
}

func (r *reader) memArg() {
	r.u32()
	r.u32()
}

func isValueType(c byte) bool { return c >= 0x7b && c <= typeI32 || c == 0x70 || c == 0x6f }

func (r *reader) valueType() byte {
	c := r.byte()
	if !isValueType(c) {
		r.fail(fmt.Errorf("uses type 0x%02x, which WebAssembly 2.0 does not have: build for that", c))
	}
	return c
}

// blockType passes nothing, one value type, or the index of a function type.
func (r *reader) blockType() {
	if r.at < len(r.b) && (r.b[r.at] == blockEmpty || isValueType(r.b[r.at])) {
		r.at++
		return
	}
	// A type index is a signed number; bit 6 of its last byte would make it negative.
	for range 5 {
		switch c := r.byte(); {
		case c < 0x40:
			return
		case c < 0x80:
			r.unknown(opBlock)
			return
		}
	}
	r.fail(errNumber)
}

// misc passes what follows 0xfc and tells whether it is a bulk operation, and
// whether on a table.
func (r *reader) misc() (bulk, table bool) {
	k := r.byte()
	switch k {
	case 0, 1, 2, 3, 4, 5, 6, 7: // saturating conversions
	case miscMemoryInit:
		r.u32()
		r.zero(opMisc)
		return true, false
	case miscMemoryCopy:
		r.zero(opMisc)
		r.zero(opMisc)
		return true, false
	case miscMemoryFill:
		r.zero(opMisc)
		return true, false
	case miscTableInit, miscTableCopy:
		r.u32()
		r.u32()
		return true, true
	case miscTableFill:
		r.u32()
		return true, true
	case miscDataDrop, miscElemDrop, miscTableSize:
		r.u32()
	case miscTableGrow:
		r.fail(fmt.Errorf("uses table.grow: tables must have a fixed size"))
	default:
		r.unknown(opMisc)
	}
	return false, false
}

// vector passes what follows 0xfd: an opcode of one byte, or of two of which the
// second is 1, and its immediates.
func (r *reader) vector() (cost uint32) {
	k := r.byte()
	if k >= 0x80 && r.byte() != 1 {
		r.unknown(opVector)
	}
	cost = slowCost
	switch {
	case k <= 11 || k == 92 || k == 93: // loads and stores
		r.memArg()
	case k == 12 || k == 13: // v128.const, shuffle
		r.bytes(16)
	case k >= 21 && k <= 34: // lanes
		r.byte()
	case k >= 84 && k <= 91: // loads and stores of a lane
		r.memArg()
		r.byte()
	case k == vectorF32Sqrt || k == vectorF64Sqrt:
		cost = sqrtCost
	}
	return cost
}
