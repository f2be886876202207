package wasm

import (
	"bytes"
	"errors"
	"fmt"

	"omx/policies/abi"
)

// Sections of a module by their id.
const (
	secCustom    = 0
	secType      = 1
	secImport    = 2
	secFunction  = 3
	secTable     = 4
	secMemory    = 5
	secGlobal    = 6
	secExport    = 7
	secStart     = 8
	secElement   = 9
	secCode      = 10
	secData      = 11
	secDataCount = 12
)

// order is where each section stands in a module; they are not in order of id.
var order = [...]int{secType: 1, secImport: 2, secFunction: 3, secTable: 4, secMemory: 5, secGlobal: 6,
	secExport: 7, secStart: 8, secElement: 9, secDataCount: 10, secCode: 11, secData: 12}

// What imports and exports name.
const (
	kindFunction = 0
	kindTable    = 1
	kindMemory   = 2
	kindGlobal   = 3
)

var kindNames = [...]string{"function", "table", "memory", "global"}

// bounds are how many items a section may have, each of which the engine makes
// room for when it compiles or for every instance.
var bounds = [...]struct {
	most int
	what string
}{
	secType: {maxTypes, "types"}, secImport: {maxImports, "imports"}, secFunction: {maxFunctions, "functions"},
	secTable: {maxTables, "tables"}, secMemory: {maxMemories, "memories"}, secGlobal: {maxGlobals, "globals"},
	secExport: {maxExports, "exports"}, secElement: {maxSegments, "element segments"}, secCode: {maxFunctions, "functions"},
	secData: {maxSegments, "data segments"},
}

type section struct {
	id   byte
	body []byte
}

type custom struct {
	name string
	body []byte
}

type entity struct {
	module string // of imports
	name   string
	kind   byte
	index  uint32 // of exports
}

// signature is how many values a function takes and gives.
type signature struct {
	params, results uint32
	vectors         uint32 // of both
}

type sizes struct {
	min, max uint32
	hasMax   bool
}

// module is the shape of a core module: what the rules and metering look at.
type module struct {
	sections []section // in file order, without custom sections
	types    []signature
	imports  []entity
	funcs    []uint32 // per defined function: its type
	tables   []sizes
	elems    int // of all element segments
	memories []sizes
	globals  uint32 // imported and defined
	exports  []entity
	bodies   [][]byte // per defined function
	hasStart bool
	customs  []custom // those of our own
}

var (
	magicCore      = []byte("\x00asm\x01\x00\x00\x00")
	magicComponent = []byte("\x00asm\x0d\x00\x01\x00")
)

// inspect reads the shape of a module. It does not validate types: the engine
// does that with the metered module. It does check every count that the engine
// allocates by.
func inspect(code []byte) (*module, error) {
	switch {
	case bytes.HasPrefix(code, magicCore):
	case bytes.HasPrefix(code, magicComponent):
		return nil, refuse("is a component: build a core module, for example for the target wasm32-unknown-unknown")
	case bytes.HasPrefix(bytes.TrimSpace(code[:min(len(code), 64)]), []byte("(")):
		return nil, refuse("is WebAssembly text: translate it with wasm-as or wat2wasm")
	case len(code) < len(magicCore):
		return nil, refuse("is no WebAssembly module: only %d bytes", len(code))
	case bytes.HasPrefix(code, magicCore[:4]):
		return nil, refuse("has binary version %x: build a core module of version 1", code[4:8])
	default:
		return nil, refuse("is no WebAssembly module: it begins with %q", code[:4])
	}
	m := &module{}
	last := 0
	r := &reader{b: code, at: len(magicCore)}
	for r.more() {
		s := section{id: r.byte()}
		s.body = r.bytes(r.u32())
		switch {
		case r.err != nil:
			return nil, refuse("%w", r.err)
		case s.id == secCustom:
			// Names and debug information: nothing at run time needs them, and
			// decoding them in the engine trusts their counts.
			m.keepCustom(s.body)
			continue
		case int(s.id) >= len(order):
			return nil, refuse("has a section of unknown id %d: build for WebAssembly 2.0", s.id)
		case order[s.id] <= last:
			return nil, refuse("has section %d twice or out of order", s.id)
		}
		last = order[s.id]
		if err := m.read(s); err != nil {
			return nil, refuse("%w (section %d)", err, s.id)
		}
		m.sections = append(m.sections, s)
	}
	if r.err != nil {
		return nil, refuse("%w", r.err)
	}
	if len(m.bodies) != len(m.funcs) {
		return nil, refuse("declares %d functions and defines %d", len(m.funcs), len(m.bodies))
	}
	for _, t := range m.funcs {
		if int(t) >= len(m.types) {
			return nil, refuse("has a function of type %d of %d", t, len(m.types))
		}
	}
	return m, nil
}

// keepCustom remembers a custom section if it is one of ours.
func (m *module) keepCustom(body []byte) {
	r := &reader{b: body}
	name := r.name()
	if r.err == nil && (name == sectionMetadata || name == sectionSamples) {
		m.customs = append(m.customs, custom{name, body[r.at:]})
	}
}

func (m *module) read(s section) error {
	r := &reader{b: s.body}
	switch s.id {
	case secStart:
		r.u32()
		m.hasStart = true
	case secDataCount:
		r.u32()
	default:
		n := r.count()
		if b := bounds[s.id]; n > b.most {
			return fmt.Errorf("has %d %s, %d are allowed: strip what it does not use", n, b.what, b.most)
		}
		for ; n > 0 && r.err == nil; n-- {
			m.readItem(s.id, r)
		}
	}
	if r.err == nil && r.at != len(r.b) {
		return errors.New("has bytes after the end of a section")
	}
	return r.err
}

// readItem reads one item of a section that is a vector.
func (m *module) readItem(id byte, r *reader) {
	switch id {
	case secType:
		m.readType(r)
	case secImport:
		m.readImport(r)
	case secFunction:
		m.funcs = append(m.funcs, r.u32())
	case secTable:
		r.valueType()
		m.tables = append(m.tables, r.sizes())
	case secMemory:
		m.memories = append(m.memories, r.sizes())
	case secGlobal:
		r.valueType()
		if c := r.byte(); c > 1 {
			r.fail(fmt.Errorf("has a global of mutability %d", c))
		}
		m.readConst(r)
		m.globals++
	case secExport:
		e := entity{name: r.name(), kind: r.byte(), index: r.u32()}
		if e.kind > kindGlobal {
			r.fail(fmt.Errorf("exports %q of unknown kind %d", e.name, e.kind))
		}
		m.exports = append(m.exports, e)
	case secElement:
		m.readElement(r)
	case secCode:
		m.bodies = append(m.bodies, r.bytes(r.u32()))
	case secData:
		m.readData(r)
	}
}

func (m *module) readType(r *reader) {
	if form := r.byte(); form != 0x60 && r.err == nil {
		r.fail(fmt.Errorf("has a type of form 0x%02x: build for WebAssembly 2.0", form))
	}
	var s signature
	s.params, s.results = r.valueTypes(&s.vectors), r.valueTypes(&s.vectors)
	if s.params > maxArgs || s.results > maxResults {
		r.fail(fmt.Errorf("has a function of %d parameters and %d results, %d and %d are allowed: pass them in memory", s.params, s.results, maxArgs, maxResults))
	}
	m.types = append(m.types, s)
}

func (r *reader) valueTypes(vectors *uint32) uint32 {
	n := uint32(r.count())
	for left := n; left > 0 && r.err == nil; left-- {
		if r.valueType() == typeV128 {
			*vectors++
		}
	}
	return n
}

func (m *module) readImport(r *reader) {
	e := entity{module: r.name(), name: r.name(), kind: r.byte()}
	switch e.kind {
	case kindFunction:
		r.u32()
	case kindTable:
		r.valueType()
		r.sizes()
	case kindMemory:
		r.sizes()
	case kindGlobal:
		r.valueType()
		r.byte()
		m.globals++
	default:
		r.fail(fmt.Errorf("imports %q of unknown kind %d", e.name, e.kind))
	}
	m.imports = append(m.imports, e)
}

// readElement passes one element segment; its flags say which of eight forms.
func (m *module) readElement(r *reader) {
	flags := r.u32()
	if flags > 7 {
		r.fail(fmt.Errorf("has an element segment of unknown form %d", flags))
		return
	}
	passive, explicit, exprs := flags&1 != 0, flags&2 != 0, flags&4 != 0
	if !passive {
		if explicit {
			r.u32()
		}
		m.readConst(r)
	}
	if passive || explicit {
		r.byte() // element kind or type
	}
	n := r.count()
	if m.elems += n; m.elems > maxTableElems {
		r.fail(fmt.Errorf("has %d elements for its tables, %d are allowed", m.elems, maxTableElems))
	}
	for ; n > 0 && r.err == nil; n-- {
		if exprs {
			m.readConst(r)
		} else {
			r.u32()
		}
	}
}

func (m *module) readData(r *reader) {
	switch flags := r.u32(); flags {
	case 0:
		m.readConst(r)
	case 1:
	case 2:
		r.u32()
		m.readConst(r)
	default:
		r.fail(fmt.Errorf("has a data segment of unknown form %d", flags))
	}
	r.bytes(r.u32())
}

// readConst passes a constant expression. A global in it must be one that the
// module has itself: the one after is the fuel.
func (m *module) readConst(r *reader) {
	for r.err == nil {
		switch in := r.next(); {
		case in.op == opEnd:
			return
		case in.op == opGlobalGet && in.global >= m.globals:
			r.fail(fmt.Errorf("uses global %d of %d", in.global, m.globals))
		case in.op == opBlock || in.op == opLoop || in.op == opIf:
			r.unknown(in.op)
		}
	}
}

func (r *reader) sizes() (s sizes) {
	flags := r.byte()
	if flags > 1 {
		r.fail(errors.New("has a shared or 64-bit memory or table: build for wasm32 without threads"))
		return s
	}
	s.min, s.hasMax = r.u32(), flags == 1
	if s.hasMax {
		s.max = r.u32()
	}
	return s
}

func (m *module) export(name string, kind byte) bool {
	for _, e := range m.exports {
		if e.name == name && e.kind == kind {
			return true
		}
	}
	return false
}

// kinds lists the decisions for which the module has an export.
func (m *module) kinds() (kinds []abi.Kind) {
	for _, k := range deciders {
		if m.export(k.export, kindFunction) {
			kinds = append(kinds, k.kind)
		}
	}
	return kinds
}

// text is the name of an import, which may be anything, as it can be printed.
func (e *entity) text() string { return printable([]byte(e.module + "." + e.name)) }

func (m *module) importNames() []string {
	names := make([]string, 0, len(m.imports))
	for _, e := range m.imports {
		names = append(names, e.text())
	}
	return names
}

// KindsOf lists the decisions for which a module has an export; the rest of it is
// not checked.
func KindsOf(code []byte) ([]abi.Kind, error) {
	m, err := inspect(code)
	if err != nil {
		return nil, err
	}
	return m.kinds(), nil
}
