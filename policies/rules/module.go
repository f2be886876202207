package rules

import "omx/policies/abi"

// body is a function's code with its locals beside the parameters, by type.
type body struct {
	locals []byte
	code   code
}

// bytes is the body as the code section has it: runs of equal locals, code.
func (b *body) bytes() []byte {
	var runs []byte
	n := uint32(0)
	for i := 0; i < len(b.locals); {
		j := i
		for j < len(b.locals) && b.locals[j] == b.locals[i] {
			j++
		}
		runs = append(unsigned(runs, uint32(j-i)), b.locals[i])
		n++
		i = j
	}
	out := append(unsigned(nil, n), runs...)
	return append(append(out, b.code.bytes...), opEnd)
}

// area is where views lie: behind nothing, as there is no data, but not at 0.
const area = 1024

// module puts a policy together: omx_abi, omx_buf, omx_wants and the decision.
func module(k abi.Kind, wants int, decide *body, about []byte) []byte {
	const (
		typeABI, typeBuf, typeWants, typeDecide = 0, 1, 2, 3
	)
	types := []byte{4,
		0x60, 0, 1, typeI32, // omx_abi
		0x60, 2, typeI32, typeI32, 1, typeI32, // omx_buf
		0x60, 1, typeI32, 1, typeI64, // omx_wants
		0x60, 2, typeI32, typeI32, 1, typeI64, // the decision
	}
	name := map[abi.Kind]string{abi.Admit: abi.ExportAdmit, abi.Route: abi.ExportRoute}[k]
	exports := []byte{5}
	export := func(name string, kind, index byte) {
		exports = append(sized(exports, []byte(name)...), kind, index)
	}
	export(abi.ExportMemory, 2, 0)
	export(abi.ExportABI, 0, 0)
	export(abi.ExportBuf, 0, 1)
	export(abi.ExportWants, 0, 2)
	export(name, 0, 3)

	var version, want code
	version.i32(abi.Major<<16 | abi.Minor)
	want.i64(int64(wants))
	bodies := []byte{4}
	for _, b := range []*body{{code: version}, bufBody(), {code: want}, decide} {
		bodies = sized(bodies, b.bytes()...)
	}

	out := []byte("\x00asm\x01\x00\x00\x00")
	out = section(out, 1, types)
	out = section(out, 3, []byte{4, typeABI, typeBuf, typeWants, typeDecide})
	out = section(out, 5, []byte{1, 0, 1}) // one memory, of one page, without an end of its own
	out = section(out, 7, exports)
	out = section(out, 10, bodies)
	return section(out, 0, append(sized(nil, []byte("omx.policy")...), about...))
}

// bufBody is omx_buf: one area for all, for which the memory grows.
//
//	need = (area + bytes + 65535) >> 16 pages; if need > memory.size and growing
//	by the rest fails, 0; else area
func bufBody() *body {
	const bytes, need = 1, 2
	var c code
	c.op(opGet, bytes)
	c.i32(area + 1<<16 - 1)
	c.op(opAdd32)
	c.op(opTee, need)
	c.op(opGet, bytes)
	c.op(opLtU32) // it does not fit into 32 bits
	c.op(opIf, blockEmpty)
	c.i32(0)
	c.op(opReturn)
	c.op(opEnd)
	c.op(opGet, need)
	c.i32(16)
	c.op(opShrU32)
	c.op(opTee, need)
	c.op(opMemSize, 0)
	c.op(opGtU32)
	c.op(opIf, blockEmpty)
	c.op(opGet, need)
	c.op(opMemSize, 0)
	c.op(opSub32)
	c.op(opMemGrow, 0)
	c.i32(-1)
	c.op(opEq32)
	c.op(opIf, blockEmpty)
	c.i32(0)
	c.op(opReturn)
	c.op(opEnd)
	c.op(opEnd)
	c.i32(area)
	return &body{[]byte{typeI32}, c}
}
