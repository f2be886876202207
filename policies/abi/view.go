package abi

import (
	"errors"
	"fmt"
	"unsafe"
)

// The generated structs lie in memory as the interface lays them out, which
// makes writing a view a matter of filling in fields where the policy reads
// them. It takes a little-endian processor; bigendian.go keeps others out.

// Shape is what a view consists of.
type Shape struct {
	Kind   Kind
	Rows   int // at most MaxRows, for replicate MaxNodes
	Stride int // bytes per row: a multiple of PartSize up to RowSize
	Models int // at most MaxModels; replicate only
	Copies int // at most MaxCopies; replicate only
	Ext    int // bytes, at most MaxExt
}

// Size is the length in bytes of a view.
func (s *Shape) Size() int { return s.ext() + s.Ext }

func (s *Shape) models() int { return HeaderSize + s.Rows*s.Stride }
func (s *Shape) copies() int { return s.models() + s.Models*ModelSize }
func (s *Shape) scores() int { return s.copies() + s.Copies*CopySize }

func (s *Shape) ext() int {
	if s.Kind == Replicate {
		return s.scores() + MaxSteps*StepSize
	}
	return (s.scores() + s.Rows*scoreSize + 7) &^ 7
}

// Size is the length of a view of whole rows.
func Size(k Kind, rows int) int {
	s := Shape{Kind: k, Rows: rows, Stride: RowSize}
	return s.Size()
}

// Begin writes into b, which must hold s.Size() bytes and lie at a multiple of
// 8, what describes the view, sets every score to Never, and returns the header
// for the rest to be filled in. Rows are left as they are.
func Begin(b []byte, s *Shape) *Header {
	size, scores := s.Size(), s.scores()
	b = b[:size]
	h := at[Header](b, 0)
	*h = Header{} // a literal with fields would be put together elsewhere and copied
	h.Magic, h.Minor, h.Kind, h.Count = Magic, Minor, uint16(s.Kind), uint32(s.Rows)
	h.Stride, h.Header, h.Scores, h.Length = uint16(s.Stride), HeaderSize, uint32(scores), uint32(size)
	if s.Ext > 0 {
		h.Ext, h.ExtLen = uint32(s.ext()), uint32(s.Ext)
	}
	if s.Kind == Replicate {
		h.ModelsAt, h.Models, h.ModelStride = uint32(s.models()), uint16(s.Models), ModelSize
		h.CopiesAt, h.Copies, h.CopyStride = uint32(s.copies()), uint16(s.Copies), CopySize
		clear(b[scores:s.ext()])
		return h
	}
	list := Scores(b, s.Rows, s.Stride)
	for i := range list {
		list[i] = Never
	}
	return h
}

// at is the value that lies at offset off of b.
func at[T any](b []byte, off int) *T {
	var v T
	_ = b[off : off+int(unsafe.Sizeof(v))]
	return (*T)(unsafe.Pointer(unsafe.SliceData(b[off:])))
}

// LoadPart is the first part of the row at offset off.
func LoadPart(b []byte, off int) *RowLoad { return at[RowLoad](b, off) }

// SeenPart is the second part of the row at offset off, which has it at a stride
// of two parts or more.
func SeenPart(b []byte, off int) *RowSeen { return at[RowSeen](b, off+PartSize) }

// PutRow writes as much of row i as the stride holds.
func PutRow(b []byte, stride, i int, r *Row) {
	copy(b[HeaderSize+i*stride:][:stride], unsafe.Slice((*byte)(unsafe.Pointer(r)), RowSize))
}

// PutModel and PutCopy write an entry of a replicate view's tables.
func PutModel(b []byte, h *Header, i int, m *Model) { *at[Model](b, int(h.ModelsAt)+i*ModelSize) = *m }
func PutCopy(b []byte, h *Header, i int, c *Copy)   { *at[Copy](b, int(h.CopiesAt)+i*CopySize) = *c }

// Bytes is the event as omx_event reads it; valid as long as e is.
func (e *Event) Bytes() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(e)), EventSize) }

// ErrView says that bytes are not a view this version wrote.
var ErrView = errors.New("not an omx1 view")

// View is a view that was checked: all it describes is there.
type View struct {
	*Header
	b []byte
}

// Open checks that b begins with a view of this version and gives access to it,
// in place if b lies at a multiple of 8, else to a copy.
func Open(b []byte) (View, error) {
	if len(b) < HeaderSize {
		return View{}, ErrView
	}
	if uintptr(unsafe.Pointer(unsafe.SliceData(b)))%8 != 0 {
		b = append(make([]byte, 0, len(b)), b...)
	}
	h := at[Header](b, 0)
	s, err := h.shape()
	if err != nil {
		return View{}, err
	}
	if uint64(h.Length) > uint64(len(b)) {
		return View{}, fmt.Errorf("%w: %d of %d bytes", ErrView, len(b), h.Length)
	}
	return View{h, b[:s.Size()]}, nil
}

// shape reads back what Begin was given.
func (h *Header) shape() (s Shape, err error) {
	s = Shape{Kind: Kind(h.Kind), Rows: int(h.Count), Stride: int(h.Stride), Models: int(h.Models), Copies: int(h.Copies), Ext: int(h.ExtLen)}
	switch {
	case h.Magic != Magic || h.Header != HeaderSize || s.Kind < Admit || s.Kind > Replicate:
		return s, ErrView
	case h.Count > MaxRows || s.Kind == Replicate && h.Count > MaxNodes || h.Models > MaxModels || h.Copies > MaxCopies || h.ExtLen > MaxExt:
		return s, fmt.Errorf("%w: it has too many rows", ErrView)
	case s.Stride%PartSize != 0 || s.Stride < PartSize || s.Stride > RowSize:
		return s, fmt.Errorf("%w: rows of %d bytes", ErrView, s.Stride)
	case s.Kind != Replicate && (s.Models != 0 || s.Copies != 0):
		return s, ErrView
	case s.Kind == Replicate && (int(h.ModelsAt) != s.models() || int(h.CopiesAt) != s.copies() || h.ModelStride != ModelSize || h.CopyStride != CopySize):
		return s, ErrView
	case int(h.Scores) != s.scores() || int(h.Length) != s.Size() || s.Ext > 0 && int(h.Ext) != s.ext() || s.Ext == 0 && h.Ext != 0:
		return s, fmt.Errorf("%w: its parts do not lie where they must", ErrView)
	}
	return s, nil
}

// Bytes is the whole view.
func (v View) Bytes() []byte { return v.b }

// Row is row i; parts beyond the stride are zero, that is: never sampled.
func (v View) Row(i int) (r Row) {
	stride := int(v.Stride)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&r)), RowSize), v.b[HeaderSize+i*stride:][:stride])
	return r
}

// ModelAt and CopyAt are entries of a replicate view.
func (v View) ModelAt(i int) *Model { return at[Model](v.b[:v.CopiesAt], int(v.ModelsAt)+i*ModelSize) }
func (v View) CopyAt(i int) *Copy   { return at[Copy](v.b[:v.Scores], int(v.CopiesAt)+i*CopySize) }

// ScoreList is what the policy wrote for the rows; lower is better.
func (v View) ScoreList() []uint32 {
	return Scores(v.b, int(v.Count), int(v.Stride))
}

// Step is step i of a replication answer.
func (v View) Step(i int) *Step { return at[Step](v.b, int(v.Header.Scores)+i*StepSize) }

// Scores is the list of a route view of that shape, for the host that began it.
func Scores(b []byte, rows, stride int) []uint32 {
	if rows == 0 {
		return nil
	}
	off := HeaderSize + rows*stride
	_ = b[off : off+rows*scoreSize]
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(b[off:]))), rows)
}

// Results is the part of a view of that shape in which a policy writes: scores
// or steps.
func (s *Shape) Results(b []byte) []byte { return b[s.scores():s.ext()] }

// HeaderAt is the header at the start of b, unchecked.
func HeaderAt(b []byte) *Header { return at[Header](b, 0) }

// EventAt is the event at the start of b.
func EventAt(b []byte) *Event { return at[Event](b, 0) }
