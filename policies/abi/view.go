package abi

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var le = binary.LittleEndian

// Header is the request part of a view. Units are those of the layout table.
type Header struct {
	Kind      Kind
	Now       uint64 // µs
	Seed      uint64
	Request   uint64
	Model     uint64
	Tenant    uint64
	Prompt    uint32 // tokens
	MaxOut    uint32 // tokens
	ExpectOut uint32 // tokens
	Priority  int32
	Deadline  uint32 // ms left, 0 none
	Flags     uint32
	Attempt   uint32
	Hops      uint32
	SelfRow   uint32
}

// Row is one candidate (route) or this node (admit).
type Row struct {
	Node       uint64
	Flags      uint32
	RTT        uint32 // µs
	RTTAge     uint32 // ms
	Queued     uint32
	Running    uint32
	Slots      uint32
	LoadAge    uint32 // ms
	SentSince  uint32
	InFlight   uint32
	Prefill    uint32 // ns per prompt token
	Decode     uint32 // µs per output token
	SpeedAge   uint32 // ms
	Prefix     uint32 // tokens
	Errors     uint32 // per thousand
	ErrorsAge  uint32 // ms
	MemFree    uint32 // MiB
	MemFreeAge uint32 // ms
	Zone       uint32
}

// Size is the length in bytes of a view of n rows without extension.
func Size(n int) int { return HeaderSize + n*(RowSize+scoreSize) }

// PutHeader writes the header of a view of n rows into b, which must hold
// Size(n) bytes, and sets every score to Never.
func PutHeader(b []byte, h *Header, n int) {
	size := Size(n)
	scores := HeaderSize + n*RowSize
	for s := b[scores:size]; len(s) >= scoreSize; s = s[scoreSize:] {
		le.PutUint32(s, Never)
	}
	b = b[:HeaderSize]
	le.PutUint32(b[offMagic:], Magic)
	le.PutUint16(b[offMinor:], Minor)
	le.PutUint16(b[offKind:], uint16(h.Kind))
	le.PutUint32(b[offCount:], uint32(n))
	le.PutUint16(b[offStride:], RowSize)
	le.PutUint16(b[offHeader:], HeaderSize)
	le.PutUint32(b[offScores:], uint32(scores))
	le.PutUint32(b[offExt:], 0)
	le.PutUint32(b[offExtLen:], 0)
	le.PutUint32(b[offLen:], uint32(size))
	le.PutUint64(b[offNow:], h.Now)
	le.PutUint64(b[offSeed:], h.Seed)
	le.PutUint64(b[offRequest:], h.Request)
	le.PutUint64(b[offModel:], h.Model)
	le.PutUint64(b[offTenant:], h.Tenant)
	le.PutUint32(b[offPrompt:], h.Prompt)
	le.PutUint32(b[offMaxOut:], h.MaxOut)
	le.PutUint32(b[offExpectOut:], h.ExpectOut)
	le.PutUint32(b[offPriority:], uint32(h.Priority))
	le.PutUint32(b[offDeadline:], h.Deadline)
	le.PutUint32(b[offReqFlags:], h.Flags)
	le.PutUint32(b[offAttempt:], h.Attempt)
	le.PutUint32(b[offHops:], h.Hops)
	le.PutUint32(b[offSelfRow:], h.SelfRow)
	le.PutUint32(b[offHdrReserve:], 0)
}

// PutRow writes row i of a view begun with PutHeader.
func PutRow(b []byte, i int, r *Row) {
	b = b[HeaderSize+i*RowSize:][:RowSize]
	le.PutUint64(b[rowNode:], r.Node)
	le.PutUint32(b[rowFlags:], r.Flags)
	le.PutUint32(b[rowRTT:], r.RTT)
	le.PutUint32(b[rowRTTAge:], r.RTTAge)
	le.PutUint32(b[rowQueued:], r.Queued)
	le.PutUint32(b[rowRunning:], r.Running)
	le.PutUint32(b[rowSlots:], r.Slots)
	le.PutUint32(b[rowLoadAge:], r.LoadAge)
	le.PutUint32(b[rowSentSince:], r.SentSince)
	le.PutUint32(b[rowInFlight:], r.InFlight)
	le.PutUint32(b[rowPrefill:], r.Prefill)
	le.PutUint32(b[rowDecode:], r.Decode)
	le.PutUint32(b[rowSpeedAge:], r.SpeedAge)
	le.PutUint32(b[rowPrefix:], r.Prefix)
	le.PutUint32(b[rowErrors:], r.Errors)
	le.PutUint32(b[rowErrorsAge:], r.ErrorsAge)
	le.PutUint32(b[rowMemFree:], r.MemFree)
	le.PutUint32(b[rowMemFreeAge:], r.MemFreeAge)
	le.PutUint32(b[rowZone:], r.Zone)
}

// Score is what the guest wrote for row i of a view of n rows; lower is better.
func Score(b []byte, n, i int) uint32 {
	return le.Uint32(b[HeaderSize+n*RowSize+i*scoreSize:])
}

// PutScore writes a score as a guest would; native policies use it.
func PutScore(b []byte, n, i int, score uint32) {
	le.PutUint32(b[HeaderSize+n*RowSize+i*scoreSize:], score)
}

// ErrView says that bytes are not a view this version wrote.
var ErrView = errors.New("not an omx1 view")

// ReadHeader decodes a header and the row count, checking that b holds the
// whole view and that its rows have this version's stride.
func ReadHeader(b []byte) (h Header, n int, err error) {
	if len(b) < HeaderSize || le.Uint32(b[offMagic:]) != Magic {
		return h, 0, ErrView
	}
	count := le.Uint32(b[offCount:])
	if count > MaxRows || le.Uint16(b[offStride:]) != RowSize || le.Uint16(b[offHeader:]) != HeaderSize {
		return h, 0, fmt.Errorf("%w: %d rows of %d bytes", ErrView, count, le.Uint16(b[offStride:]))
	}
	if n = int(count); len(b) < Size(n) {
		return h, 0, fmt.Errorf("%w: %d of %d bytes", ErrView, len(b), Size(n))
	}
	return Header{
		Kind:      Kind(le.Uint16(b[offKind:])),
		Now:       le.Uint64(b[offNow:]),
		Seed:      le.Uint64(b[offSeed:]),
		Request:   le.Uint64(b[offRequest:]),
		Model:     le.Uint64(b[offModel:]),
		Tenant:    le.Uint64(b[offTenant:]),
		Prompt:    le.Uint32(b[offPrompt:]),
		MaxOut:    le.Uint32(b[offMaxOut:]),
		ExpectOut: le.Uint32(b[offExpectOut:]),
		Priority:  int32(le.Uint32(b[offPriority:])),
		Deadline:  le.Uint32(b[offDeadline:]),
		Flags:     le.Uint32(b[offReqFlags:]),
		Attempt:   le.Uint32(b[offAttempt:]),
		Hops:      le.Uint32(b[offHops:]),
		SelfRow:   le.Uint32(b[offSelfRow:]),
	}, n, nil
}

// ReadRow decodes row i of a view whose header ReadHeader accepted.
func ReadRow(b []byte, i int) (r Row) {
	b = b[HeaderSize+i*RowSize:][:RowSize]
	r.Node = le.Uint64(b[rowNode:])
	r.Flags = le.Uint32(b[rowFlags:])
	r.RTT = le.Uint32(b[rowRTT:])
	r.RTTAge = le.Uint32(b[rowRTTAge:])
	r.Queued = le.Uint32(b[rowQueued:])
	r.Running = le.Uint32(b[rowRunning:])
	r.Slots = le.Uint32(b[rowSlots:])
	r.LoadAge = le.Uint32(b[rowLoadAge:])
	r.SentSince = le.Uint32(b[rowSentSince:])
	r.InFlight = le.Uint32(b[rowInFlight:])
	r.Prefill = le.Uint32(b[rowPrefill:])
	r.Decode = le.Uint32(b[rowDecode:])
	r.SpeedAge = le.Uint32(b[rowSpeedAge:])
	r.Prefix = le.Uint32(b[rowPrefix:])
	r.Errors = le.Uint32(b[rowErrors:])
	r.ErrorsAge = le.Uint32(b[rowErrorsAge:])
	r.MemFree = le.Uint32(b[rowMemFree:])
	r.MemFreeAge = le.Uint32(b[rowMemFreeAge:])
	r.Zone = le.Uint32(b[rowZone:])
	return r
}
