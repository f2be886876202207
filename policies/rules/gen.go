package rules

import (
	"fmt"
	"math"
	"math/bits"

	"omx/policies/abi"
)

// Locals of a decision, after its parameters.
const (
	view   = 0
	length = 1
	row    = 2 // i32: where the row lies
	slot   = 3 // i32: where its score goes
	index  = 4 // i32: its number
	count  = 5 // i32
	stride = 6 // i32
	pick   = 7 // i32: row of the lowest score so far
	best   = 8 // i64: that score
	sum    = 9 // i64: the score of this row
	first  = 10
)

var (
	clock = headerPlace("clock")
	seed  = headerPlace("seed")
)

func headerPlace(name string) place {
	f := fieldOf(abi.HeaderFields[:], name)
	return place{offset: f.Offset, size: f.Size, handle: f.Size == 8}
}

func headerOffset(name string) int { return fieldOf(abi.HeaderFields[:], name).Offset }

// wants is how many bytes of each row are read, in whole parts.
func (c *compiler) wants() int {
	return max(c.reach+abi.PartSize-1, abi.PartSize) / abi.PartSize * abi.PartSize
}

// begin sets the locals up that every decision has.
func (c *compiler) begin() {
	c.locals, c.types = map[place]int{}, []byte{typeI32, typeI32, typeI32, typeI32, typeI32, typeI32, typeI64, typeI64}
}

// local is a new one of 64 bits.
func (c *compiler) local() uint32 {
	c.types = append(c.types, typeI64)
	return uint32(first + len(c.types) - (first - row) - 1)
}

// hoist loads figures that are read before they are: all of the header, and of
// the row those that are read more than once.
func (c *compiler) hoist(out *code, rows bool) {
	for _, p := range sortedPlaces(c.uses, rows) {
		if rows && c.uses[p] < 2 {
			continue
		}
		c.load(out, p)
		l := c.local()
		out.op(opSet, l)
		c.locals[p] = int(l)
	}
}

// load pushes a figure, as 64 bits.
func (c *compiler) load(out *code, p place) {
	p.mask = 0
	if l, ok := c.locals[p]; ok {
		out.op(opGet, uint32(l))
		return
	}
	from := uint32(view)
	if p.row {
		from = row
	}
	out.op(opGet, from)
	switch {
	case p.size == 8:
		out.access(opLoad64, 8, p.offset)
	case p.size == 2:
		out.access(opLoadU16, 2, p.offset)
	case p.signed:
		out.access(opLoadS32, 4, p.offset)
	default:
		out.access(opLoadU32, 4, p.offset)
	}
}

// check writes the tests that a view is one: without them, reading it could trap.
func check(out *code) {
	const magic = 0
	out.op(opGet, length)
	out.i32(abi.HeaderSize)
	out.op(opLtU32)
	out.op(opIf, blockEmpty)
	refuse(out)
	out.op(opEnd)
	out.op(opGet, view)
	out.access(opLoad32, 4, magic)
	out.i32(abi.Magic)
	out.op(opNe32)
	out.op(opIf, blockEmpty)
	refuse(out)
	out.op(opEnd)
}

func refuse(out *code) {
	out.i64(int64(abi.Pack(abi.BadRequest, 0)))
	out.op(opReturn)
}

// field32 pushes a field of the header as 32 bits.
func field32(out *code, name string) {
	f := fieldOf(abi.HeaderFields[:], name)
	out.op(opGet, view)
	if f.Size == 2 {
		out.access(opLoad16, 2, f.Offset)
	} else {
		out.access(opLoad32, 4, f.Offset)
	}
}

// maxRowSteps bounds the fuel of a row: a policy gets 1000 for each. With more, it
// would pass on a few nodes, where what it gets beside makes up for it, and be
// stopped on many.
const maxRowSteps = 1000

// routeBody scores every row that no filter drops, in one pass.
func (c *compiler) routeBody(drops []*node, score *node, fallback abi.Status) (*body, error) {
	c.begin()
	var out code
	check(&out)
	field32(&out, "count")
	out.op(opTee, count)
	out.op(opEqz32)
	out.op(opIf, blockEmpty)
	out.i64(int64(abi.Pack(abi.NoCandidate, 0)))
	out.op(opReturn)
	out.op(opEnd)
	c.stride(&out)
	out.op(opSet, stride)
	// header + count × (stride + 4) must not be more than the view.
	out.op(opGet, count)
	out.op(opExtendU)
	out.op(opGet, stride)
	out.i32(4)
	out.op(opAdd32)
	out.op(opExtendU)
	out.op(opMul64)
	field32(&out, "header")
	out.op(opExtendU)
	out.op(opAdd64)
	out.op(opGet, length)
	out.op(opExtendU)
	out.op(opGtU64)
	out.op(opIf, blockEmpty)
	refuse(&out)
	out.op(opEnd)
	pointer := func(field string, local uint32) {
		field32(&out, field)
		out.op(opGet, view)
		out.op(opAdd32)
		out.op(opSet, local)
	}
	pointer("header", row)
	pointer("scores", slot)
	out.i32(-1)
	out.op(opSet, pick)
	out.i64(math.MaxInt64)
	out.op(opSet, best)
	c.hoist(&out, false)

	before := out.steps
	out.op(opLoop, blockEmpty)
	out.op(opBlock, blockEmpty) // left when the row is dropped
	c.hoist(&out, true)
	for _, d := range drops {
		c.emit(&out, d)
		out.op(opBrIf, 0)
	}
	out.op(opGet, slot)
	c.clamped(&out, score)
	out.op(opTee, sum)
	out.op(opWrap)
	out.access(opStore32, 4, 0)
	out.op(opGet, sum)
	out.op(opGet, best)
	out.op(opLtS64)
	out.op(opIf, blockEmpty)
	out.op(opGet, sum)
	out.op(opSet, best)
	out.op(opGet, index)
	out.op(opSet, pick)
	out.op(opEnd)
	out.op(opEnd)
	step := func(local uint32, by func()) {
		out.op(opGet, local)
		by()
		out.op(opAdd32)
		out.op(opSet, local)
	}
	step(row, func() { out.op(opGet, stride) })
	step(slot, func() { out.i32(4) })
	out.op(opGet, index)
	out.i32(1)
	out.op(opAdd32)
	out.op(opTee, index)
	out.op(opGet, count)
	out.op(opLtU32)
	out.op(opBrIf, 0)
	out.op(opEnd)
	if n := out.steps - before; n > maxRowSteps {
		return nil, fmt.Errorf("the rules take %d units of fuel a row, %d are allowed: leave some terms or filters out", n, maxRowSteps)
	}

	out.op(opGet, pick)
	out.i32(-1)
	out.op(opEq32)
	out.op(opIf, blockEmpty)
	out.i64(int64(abi.Pack(fallback, 0)))
	out.op(opReturn)
	out.op(opEnd)
	out.op(opGet, pick)
	out.op(opExtendU)
	return &body{c.types, out}, nil
}

// stride pushes the length of a row, and refuses rows that end before what is
// read: behind them lies the next one.
func (c *compiler) stride(out *code) {
	field32(out, "stride")
	out.i32(int32(c.reach))
	out.op(opLtU32)
	out.op(opIf, blockEmpty)
	refuse(out)
	out.op(opEnd)
	field32(out, "stride")
}

// clamped pushes a score: no less than 0, and not the one that keeps a row out.
func (c *compiler) clamped(out *code, n *node) {
	const most = int64(abi.Never) - 1
	if n.lo < 0 {
		n = &node{op: "max", args: []*node{n, number(0)}, lo: 0, hi: max(n.hi, 0)}
	}
	if n.hi > most {
		n = &node{op: "min", args: []*node{n, number(most)}, lo: n.lo, hi: most}
	}
	c.emit(out, n)
}

// verdict is what a rule answers when it applies.
type verdict struct {
	when   *node
	answer abi.Answer
}

// admitBody answers with the first rule that applies.
func (c *compiler) admitBody(list []verdict, otherwise abi.Answer) *body {
	c.begin()
	var out code
	check(&out)
	field32(&out, "header")
	out.op(opGet, view)
	out.op(opAdd32)
	out.op(opSet, row)
	// The row must be there.
	field32(&out, "header")
	c.stride(&out)
	out.op(opAdd32)
	out.op(opGet, length)
	out.op(opGtU32)
	out.op(opIf, blockEmpty)
	refuse(&out)
	out.op(opEnd)
	for _, v := range list {
		c.emit(&out, v.when)
		out.op(opIf, blockEmpty)
		out.i64(int64(v.answer))
		out.op(opReturn)
		out.op(opEnd)
	}
	out.i64(int64(otherwise))
	return &body{c.types, out}
}

var plainOps = map[string]byte{"+": opAdd64, "-": opSub64, "*": opMul64,
	"==": opEq64, "!=": opNe64, "<": opLtS64, "<=": opLeS64, ">": opGtS64, ">=": opGeS64, "and": opAnd32, "or": opOr32}

// emit pushes an expression: a number as 64 bits, a condition as 32.
func (c *compiler) emit(out *code, n *node) {
	switch n.op {
	case "number":
		if n.kind == isBool {
			out.i32(int32(n.value))
		} else {
			out.i64(n.value)
		}
	case "figure":
		c.load(out, n.place)
	case "flags":
		c.load(out, n.place)
		if n.value != 0 {
			out.i64(n.value)
			out.op(opXor64)
		}
		out.i64(n.mask)
		out.op(opAnd64)
		out.op(opEqz64)
		if !n.negate {
			out.op(opEqz32)
		}
	case "not":
		c.emit(out, n.args[0])
		out.op(opEqz32)
	case "age":
		c.age(out, n.place)
	case "rand":
		c.random64(out)
	case "if":
		c.emit(out, n.args[0])
		out.op(opIf, typeI64)
		c.emit(out, n.args[1])
		out.op(opElse)
		c.emit(out, n.args[2])
		out.op(opEnd)
	case "min", "max":
		a, b := c.local(), c.local()
		c.emit(out, n.args[0])
		out.op(opTee, a)
		c.emit(out, n.args[1])
		out.op(opTee, b)
		out.op(opGet, a)
		out.op(opGet, b)
		out.op(map[string]byte{"min": opLtS64, "max": opGtS64}[n.op])
		out.op(opSelect)
	case "/", "%":
		c.divide(out, n)
	default:
		c.emit(out, n.args[0])
		c.emit(out, n.args[1])
		out.op(plainOps[n.op])
	}
}

// age pushes ms since a moment, or the most there is for never.
func (c *compiler) age(out *code, p place) {
	at := c.local()
	c.load(out, p)
	out.op(opTee, at)
	out.op(opEqz64)
	out.op(opIf, typeI64)
	out.i64(math.MaxUint32)
	out.op(opElse)
	c.load(out, clock)
	out.op(opGet, at)
	out.op(opSub64)
	out.i64(math.MaxUint32)
	out.op(opAnd64)
	out.op(opEnd)
}

// random64 pushes 32 bits that follow from the seed and the row (SplitMix64).
func (c *compiler) random64(out *code) {
	x := c.local()
	c.load(out, seed)
	out.op(opGet, index)
	out.op(opExtendU)
	out.i64(1)
	out.op(opAdd64)
	out.i64(-7046029254386353131) // 0x9e3779b97f4a7c15
	out.op(opMul64)
	out.op(opAdd64)
	out.op(opSet, x)
	mix := func(shift int64, factor uint64) {
		out.op(opGet, x)
		out.op(opGet, x)
		out.i64(shift)
		out.op(opShrU64)
		out.op(opXor64)
		if factor != 0 {
			out.i64(int64(factor))
			out.op(opMul64)
			out.op(opSet, x)
		}
	}
	mix(30, 0xbf58476d1ce4e5b9)
	mix(27, 0x94d049bb133111eb)
	mix(31, 0)
	out.i64(32)
	out.op(opShrU64)
}

// divide pushes a quotient or remainder; what is divided by 0 gives 0.
func (c *compiler) divide(out *code, n *node) {
	a, b := n.args[0], n.args[1]
	op := map[string]byte{"/": opDivS64, "%": opRemS64}[n.op]
	if a.lo >= 0 && b.lo >= 0 {
		op++ // the unsigned one, which needs fewer checks
		if n.op == "/" && b.op == "number" && bits.OnesCount64(uint64(b.value)) == 1 {
			c.emit(out, a)
			out.i64(int64(bits.TrailingZeros64(uint64(b.value))))
			out.op(opShrU64)
			return
		}
	}
	if b.lo > 0 || b.hi < 0 {
		c.emit(out, a)
		c.emit(out, b)
		out.op(op)
		return
	}
	divisor := c.local()
	c.emit(out, b)
	out.op(opTee, divisor)
	out.op(opEqz64)
	out.op(opIf, typeI64)
	out.i64(0)
	out.op(opElse)
	c.emit(out, a)
	out.op(opGet, divisor)
	out.op(op)
	out.op(opEnd)
}
