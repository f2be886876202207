//go:build wasip1

package omx

import "unsafe"

//go:wasmexport omx_abi
func version() uint32 { return Version }

// rooms are where the host writes, by kind of decision; events and parameters
// are of kind 0. They are kept here so that they are not collected.
var rooms [4][]uint64

//go:wasmexport omx_buf
func buf(kind, bytes uint32) unsafe.Pointer {
	if kind >= uint32(len(rooms)) {
		return nil
	}
	room := &rooms[kind]
	if words := int((uint64(bytes) + 7) / 8); words > len(*room) {
		// A Row of a view of short rows ends behind it.
		*room = make([]uint64, words, words+int(unsafe.Sizeof(Row{}))/8)
	}
	return unsafe.Pointer(unsafe.SliceData(*room))
}

// Log writes a line to the host's log.
func Log(level uint32, line string) {
	log(level, unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
}

// Count adds to a counter of the policy's own, which the host shows.
func Count(id uint32, delta int64) { count(id, delta) }

//go:wasmimport omx1 log
func log(level uint32, line unsafe.Pointer, length uint32)

//go:wasmimport omx1 count
func count(id uint32, delta int64)
