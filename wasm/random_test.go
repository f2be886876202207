package wasm

import (
	"encoding/binary"
	"slices"
)

// wellFormed makes a module out of bytes, whatever they are, that is always valid: every
// choice is taken from them. It has three functions of two i32 to an i64 that call
// each other, a memory, a table, globals, and passive segments.
func wellFormed(choices []byte) []byte {
	g := &generator{choices: choices, left: 400}
	bodies := make([][]byte, generated)
	for n := range bodies {
		g.labels = nil
		body := []byte{3, 2, typeI32, 2, typeI64, 1, 0x7c} // locals 2, 3 i32; 4, 5 i64; 6 f64
		body = append(body, g.statements(3)...)
		body = append(append(body, g.i64(2)...), opEnd)
		bodies[n] = append(appendU32(nil, uint32(len(body))), body...)
	}
	name := func(s string) []byte { return append(appendU32(nil, uint32(len(s))), s...) }
	vector := func(items ...[]byte) []byte {
		return append(appendU32(nil, uint32(len(items))), slices.Concat(items...)...)
	}
	out := slices.Clone(magicCore)
	for _, s := range []section{
		{secType, vector([]byte{0x60, 2, typeI32, typeI32, 1, typeI64})},
		{secFunction, vector([]byte{0}, []byte{0}, []byte{0})},
		{secTable, vector([]byte{0x70, 1, 8, 8})},
		{secMemory, vector([]byte{1, 1, 3})},
		{secGlobal, vector([]byte{typeI32, 1, opI32Const, 7, opEnd}, []byte{typeI64, 1, opI64Const, 9, opEnd})},
		{secExport, vector(append(name("a"), 0, 0), append(name("b"), 0, 1), append(name("c"), 0, 2), append(name("memory"), 2, 0))},
		{secElement, vector([]byte{0, opI32Const, 1, opEnd, 3, 0, 1, 2}, []byte{1, 0, 2, 2, 0})},
		{secDataCount, []byte{1}},
		{secCode, vector(bodies...)},
		{secData, vector(append([]byte{1}, name("passive bytes")...))},
	} {
		out = append(appendU32(append(out, s.id), uint32(len(s.body))), s.body...)
	}
	return out
}

const generated = 3 // functions

type generator struct {
	choices []byte
	left    int      // constructs that may still be made
	labels  []string // of open blocks, innermost last: "loop" or "block"
}

// pick is a number below n.
func (g *generator) pick(n int) int {
	if len(g.choices) == 0 {
		return 0
	}
	c := g.choices[0]
	g.choices = g.choices[1:]
	return int(c) % n
}

func (g *generator) constant() int64 {
	if len(g.choices) < 5 || g.pick(3) > 0 {
		return int64(g.pick(64)) - 8
	}
	v := int64(int32(binary.LittleEndian.Uint32(g.choices)))
	g.choices = g.choices[4:]
	return v
}

func (g *generator) statements(depth int) (b []byte) {
	for range 1 + g.pick(4) {
		if g.left--; g.left < 0 {
			return b
		}
		b = append(b, g.statement(depth)...)
	}
	return b
}

func (g *generator) nested(depth int, label string) []byte {
	g.labels = append(g.labels, label)
	b := g.statements(depth - 1)
	g.labels = g.labels[:len(g.labels)-1]
	return b
}

func (g *generator) statement(depth int) []byte {
	if depth == 0 {
		return slices.Concat(g.i32(1), []byte{opLocalSet, byte(2 + g.pick(2))})
	}
	cat := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	i32 := func() []byte { return g.i32(depth - 1) }
	switch g.pick(20) {
	case 0:
		return cat([]byte{opBlock, blockEmpty}, g.nested(depth, "block"), []byte{opEnd})
	case 1, 2:
		return cat([]byte{opLoop, blockEmpty}, g.nested(depth, "loop"), g.i32(1), []byte{opBrIf, 0, opEnd})
	case 3:
		return cat(i32(), []byte{opIf, blockEmpty}, g.nested(depth, "block"), []byte{opElse}, g.nested(depth, "block"), []byte{opEnd})
	case 4:
		return cat(i32(), []byte{opIf, blockEmpty}, g.nested(depth, "block"), []byte{opEnd})
	case 5:
		if len(g.labels) > 0 {
			return cat(i32(), []byte{opBrIf, byte(g.pick(len(g.labels)))})
		}
	case 6:
		if n := len(g.labels); n > 0 {
			return cat(i32(), []byte{opBrTable, 2, byte(g.pick(n)), byte(g.pick(n)), byte(g.pick(n))})
		}
	case 7:
		if g.pick(4) == 0 {
			return cat(g.i64(depth-1), []byte{opReturn})
		}
	case 8:
		if g.pick(8) == 0 {
			return []byte{opUnreachable}
		}
	case 9:
		return cat(g.address(depth-1), i32(), []byte{0x36, 2, byte(g.pick(128))}) // i32.store
	case 10:
		return cat(g.address(depth-1), g.i64(depth-1), []byte{0x3c, 0, byte(g.pick(128))}) // i64.store8
	case 11:
		return cat(g.address(depth-1), i32(), g.small(), []byte{opMisc, miscMemoryFill, 0})
	case 12:
		return cat(g.address(depth-1), g.address(depth-1), g.small(), []byte{opMisc, miscMemoryCopy, 0, 0})
	case 13:
		return cat(g.address(depth-1), g.small(), g.small(), []byte{opMisc, miscMemoryInit, 0, 0})
	case 14:
		return cat(g.small(), g.small(), g.small(), []byte{opMisc, miscTableInit, 1, 0})
	case 15:
		return cat(g.small(), g.small(), g.small(), []byte{opMisc, miscTableCopy, 0, 0})
	case 16:
		return cat(g.small(), []byte{opRefFunc, byte(g.pick(generated))}, g.small(), []byte{opMisc, miscTableFill, 0})
	case 17:
		return cat(i32(), []byte{opGlobalSet, 0}, g.i64(depth-1), []byte{opGlobalSet, 1})
	case 18:
		return cat(g.i64(depth-1), []byte{opLocalSet, byte(4 + g.pick(2))})
	case 19:
		return cat([]byte{opLocalGet, 6}, g.i64(depth-1), []byte{0xb9, 0xa0, opLocalTee, 6, opMisc, 6, opDrop}) // convert, add, truncate
	}
	return cat(i32(), []byte{opLocalSet, byte(2 + g.pick(2))})
}

// small is a number that is mostly in range.
func (g *generator) small() []byte { return []byte{opI32Const, byte(g.pick(9))} }

// address is mostly within the first page.
func (g *generator) address(depth int) []byte {
	if g.pick(16) == 0 {
		return g.i32(depth)
	}
	return append(g.i32(depth), opI32Const, 0xff, 0xff, 0, 0x71) // and
}

func (g *generator) i32(depth int) []byte {
	g.left--
	if depth <= 0 || g.left < 0 {
		if g.pick(2) == 0 {
			return []byte{opLocalGet, byte(g.pick(4))}
		}
		return appendS64([]byte{opI32Const}, g.constant())
	}
	switch g.pick(8) {
	case 0:
		return []byte{opGlobalGet, 0}
	case 1:
		return append(g.i64(depth-1), 0xa7) // wrap
	case 2:
		return append(g.address(depth-1), 0x28, 2, byte(g.pick(128))) // i32.load
	case 3:
		return slices.Concat(g.i32(depth-1), []byte{opI32Const, 1, 0x71, opMemoryGrow, 0}) // and
	case 4:
		return []byte{opMemorySize, 0}
	case 5:
		return slices.Concat(g.i32(depth-1), []byte{opIf, typeI32}, g.i32(depth-1), []byte{opElse}, g.i32(depth-1), []byte{opEnd})
	default: // comparisons and arithmetic of two
		op := []byte{0x46, 0x48, 0x4d, 0x6a, 0x6b, 0x6c, 0x6d, 0x70, 0x71, 0x72, 0x73, 0x74, 0x77}[g.pick(13)]
		return append(append(g.i32(depth-1), g.i32(depth-1)...), op)
	}
}

func (g *generator) i64(depth int) []byte {
	g.left--
	if depth <= 0 || g.left < 0 {
		if g.pick(2) == 0 {
			return []byte{opLocalGet, byte(4 + g.pick(2))}
		}
		return appendS64([]byte{opI64Const}, g.constant())
	}
	switch g.pick(8) {
	case 0:
		return []byte{opGlobalGet, 1}
	case 1:
		return append(g.i32(depth-1), opI64ExtendU)
	case 2:
		return append(g.address(depth-1), 0x29, 3, byte(g.pick(128))) // i64.load
	case 3:
		return slices.Concat(g.i32(depth-1), g.i32(depth-1), []byte{opCall, byte(g.pick(generated))})
	case 4:
		return slices.Concat(g.i32(depth-1), g.i32(depth-1), g.small(), []byte{opCallInd, 0, 0})
	case 5:
		return slices.Concat(g.i64(depth-1), g.i64(depth-1), g.i32(depth-1), []byte{opSelect})
	default:
		op := []byte{0x7c, 0x7d, 0x7e, 0x7f, 0x82, 0x83, 0x84, 0x85, 0x86, 0x89}[g.pick(10)]
		return append(append(g.i64(depth-1), g.i64(depth-1)...), op)
	}
}
