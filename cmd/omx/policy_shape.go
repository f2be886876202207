package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// moduleShape is what a module says of itself in its sections. Unlike the host,
// which refuses what it does not know, this reads as far as it can.
type moduleShape struct {
	Sections  []sectionShape `json:"sections"`
	Imports   []string       `json:"imports"`
	Exports   []string       `json:"exports"`
	Memories  []string       `json:"memories"`
	Tables    []string       `json:"tables"`
	Functions int            `json:"functions"`
	Globals   int            `json:"globals"`
	Start     bool           `json:"start"`
	Broken    string         `json:"broken,omitempty"` // why reading ended early

	custom int // bytes of custom sections, which the host does not compile
	types  []string
	funcs  []uint32 // the type of each function, imported ones first
}

type sectionShape struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
}

var sectionNames = [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count", "tag"}

// maxListed bounds each list: more than a person reads.
const maxListed = 1000

var errCutOff = errors.New("it is cut off")

// readShape reads a core module; anything else is an error.
func readShape(code []byte) (*moduleShape, error) {
	if len(code) < 8 || string(code[:4]) != "\x00asm" {
		return nil, errors.New("this is no WebAssembly module")
	}
	s := &moduleShape{Imports: []string{}, Exports: []string{}, Memories: []string{}, Tables: []string{}}
	if v := binary.LittleEndian.Uint32(code[4:]); v != 1 {
		s.Broken = fmt.Sprintf("binary version %#x: only core modules of version 1 can be read", v)
		return s, nil
	}
	r := &shapeReader{b: code[8:]}
	for len(r.b) > 0 && r.err == nil {
		before := len(r.b)
		id := r.byte()
		body := r.take(r.u32())
		if r.err != nil {
			break
		}
		name := fmt.Sprintf("section %d", id)
		if int(id) < len(sectionNames) {
			name = sectionNames[id]
		}
		in := &shapeReader{b: body}
		if id == 0 {
			name = "custom " + in.name()
			s.custom += before - len(r.b)
		}
		if len(s.Sections) < maxListed {
			s.Sections = append(s.Sections, sectionShape{name, len(body)})
		}
		s.read(id, in)
		if in.err != nil {
			r.err = fmt.Errorf("%s: %w", name, in.err)
		}
	}
	if r.err != nil {
		s.Broken = r.err.Error()
	}
	return s, nil
}

// read takes what is of interest from a section.
func (s *moduleShape) read(id byte, r *shapeReader) {
	list := func(f func()) {
		for n := r.u32(); n > 0 && r.err == nil; n-- {
			f()
		}
	}
	switch id {
	case 1:
		list(func() { s.types = append(s.types, r.funcType()) })
	case 2:
		list(func() { s.readImport(r) })
	case 3:
		list(func() { s.funcs = append(s.funcs, r.u32()); s.Functions++ })
	case 4:
		list(func() { keep(&s.Tables, r.table()) })
	case 5:
		list(func() { keep(&s.Memories, r.memory()) })
	case 6:
		s.Globals += int(r.u32())
	case 7:
		list(func() { s.readExport(r) })
	case 8:
		s.Start = true
	}
}

func (s *moduleShape) readImport(r *shapeReader) {
	name := r.name() + "." + r.name()
	var what string
	switch r.byte() {
	case 0:
		t := r.u32()
		s.funcs = append(s.funcs, t)
		what = s.funcType(t)
	case 1:
		what = "table " + r.table()
	case 2:
		what = "memory " + r.memory()
	case 3:
		what = "global " + valueType(r.byte())
		r.byte()
	default:
		r.err = errors.New("an import of an unknown kind")
		return
	}
	keep(&s.Imports, name+" "+what)
}

func (s *moduleShape) readExport(r *shapeReader) {
	name, kind, index := r.name(), r.byte(), r.u32()
	what := [...]string{"", " table", " memory", " global", " tag"}
	switch {
	case r.err != nil:
	case kind == 0 && int64(index) < int64(len(s.funcs)):
		keep(&s.Exports, name+" "+s.funcType(s.funcs[index]))
	case int(kind) < len(what):
		keep(&s.Exports, name+what[kind])
	}
}

// keep puts a line at the end of a list that is not full.
func keep(list *[]string, line string) {
	if len(*list) < maxListed {
		*list = append(*list, line)
	}
}

func (s *moduleShape) funcType(t uint32) string {
	if int64(t) < int64(len(s.types)) {
		return s.types[t]
	}
	return "(of an unknown type)"
}

func valueType(b byte) string {
	names := map[byte]string{0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x7b: "v128", 0x70: "funcref", 0x6f: "externref"}
	if n, ok := names[b]; ok {
		return n
	}
	return fmt.Sprintf("type %#x", b)
}

// shapeReader reads the binary format; after an error it gives zeros.
type shapeReader struct {
	b   []byte
	err error
}

func (r *shapeReader) take(n uint32) []byte {
	if r.err != nil || uint64(n) > uint64(len(r.b)) {
		r.err = errors.Join(r.err, errCutOff)
		r.b = nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *shapeReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *shapeReader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.err, r.b = errCutOff, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *shapeReader) u32() uint32 {
	v := r.number()
	if v > 1<<32-1 {
		r.err, r.b = errors.New("a number is too large"), nil
		return 0
	}
	return uint32(v)
}

// name is a name as it can be shown.
func (r *shapeReader) name() string {
	name := strings.ToValidUTF8(string(r.take(r.u32())), "?")
	if len(name) > 200 {
		name = name[:200] + "…"
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return '?'
		}
		return c
	}, name)
}

func (r *shapeReader) funcType() string {
	if form := r.byte(); form != 0x60 {
		r.err = errors.Join(r.err, fmt.Errorf("a type of form %#x", form))
		return ""
	}
	params := r.valueTypes()
	results := r.valueTypes()
	if results == "()" {
		return params
	}
	return params + " -> " + results
}

func (r *shapeReader) valueTypes() string {
	var list []string
	for _, b := range r.take(r.u32()) {
		if len(list) == 16 {
			list = append(list, "…")
			break
		}
		list = append(list, valueType(b))
	}
	return "(" + strings.Join(list, ", ") + ")"
}

func (r *shapeReader) limits(unit string) string {
	flags := r.byte()
	text := fmt.Sprintf("from %d %s", r.number(), unit)
	if flags&1 != 0 {
		text += fmt.Sprintf(" to %d", r.number())
	}
	if flags&2 != 0 {
		text += ", shared"
	}
	if flags&4 != 0 {
		text += ", of 64 bits"
	}
	return text
}

func (r *shapeReader) memory() string { return r.limits("pages of 64 KiB") }

func (r *shapeReader) table() string {
	of := valueType(r.byte())
	return of + " " + r.limits("elements")
}
