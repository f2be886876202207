package rules

// Instructions of WebAssembly as far as rules need them.
const (
	opBlock    = 0x02
	opLoop     = 0x03
	opIf       = 0x04
	opElse     = 0x05
	opEnd      = 0x0b
	opBr       = 0x0c
	opBrIf     = 0x0d
	opReturn   = 0x0f
	opSelect   = 0x1b
	opGet      = 0x20
	opSet      = 0x21
	opTee      = 0x22
	opLoad32   = 0x28 // i32.load
	opLoad64   = 0x29 // i64.load
	opLoad16   = 0x2f // i32.load16_u
	opLoadU16  = 0x33 // i64.load16_u
	opLoadS32  = 0x34 // i64.load32_s
	opLoadU32  = 0x35 // i64.load32_u
	opStore32  = 0x36
	opMemSize  = 0x3f
	opMemGrow  = 0x40
	opConst32  = 0x41
	opConst64  = 0x42
	opEqz32    = 0x45
	opEq32     = 0x46
	opNe32     = 0x47
	opLtU32    = 0x49
	opGtU32    = 0x4b
	opLeU32    = 0x4d
	opEqz64    = 0x50
	opEq64     = 0x51
	opNe64     = 0x52
	opLtS64    = 0x53
	opLtU64    = 0x54
	opGtS64    = 0x55
	opGtU64    = 0x56
	opLeS64    = 0x57
	opGeS64    = 0x59
	opAdd32    = 0x6a
	opSub32    = 0x6b
	opAnd32    = 0x71
	opOr32     = 0x72
	opShl32    = 0x74
	opShrU32   = 0x76
	opAdd64    = 0x7c
	opSub64    = 0x7d
	opMul64    = 0x7e
	opDivS64   = 0x7f
	opDivU64   = 0x80
	opRemS64   = 0x81
	opRemU64   = 0x82
	opAnd64    = 0x83
	opXor64    = 0x85
	opShrU64   = 0x88
	opWrap     = 0xa7
	opExtendU  = 0xad
	typeI32    = 0x7f
	typeI64    = 0x7e
	blockEmpty = 0x40
)

// code is a sequence of instructions; steps is the fuel they take: one each, and
// as the host counts, divSteps for a division.
type code struct {
	bytes []byte
	steps int
}

const divSteps = 4

// op adds an instruction with unsigned operands.
func (c *code) op(op byte, operands ...uint32) {
	c.steps++
	if op >= opDivS64 && op <= opRemS64+1 {
		c.steps += divSteps - 1
	}
	c.bytes = append(c.bytes, op)
	for _, v := range operands {
		c.bytes = unsigned(c.bytes, v)
	}
}

func (c *code) i32(v int32) {
	c.op(opConst32)
	c.bytes = signed(c.bytes, int64(v))
}

func (c *code) i64(v int64) {
	c.op(opConst64)
	c.bytes = signed(c.bytes, v)
}

// access is a load or store of so many bytes.
func (c *code) access(op byte, bytes, offset int) {
	align := map[int]uint32{2: 1, 4: 2, 8: 3}[bytes]
	c.op(op, align, uint32(offset))
}

// unsigned and signed append numbers in the format's variable length (LEB128).
func unsigned(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func signed(b []byte, v int64) []byte {
	for v < -0x40 || v >= 0x40 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}

// sized appends bytes after their length; text the same.
func sized(b []byte, content ...byte) []byte {
	return append(unsigned(b, uint32(len(content))), content...)
}

func section(b []byte, id byte, content []byte) []byte { return sized(append(b, id), content...) }
