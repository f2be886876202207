//go:build wasip1

// A routing policy in Go that uses what its run-time library asks the host for:
// the clock, random numbers, the log.
package main

import (
	"fmt"
	"os"
	"time"
	"unsafe"
)

const room = 2 << 20

var area [room / 8]uint64

//go:wasmexport omx_abi
func version() uint32 { return 1 << 16 }

//go:wasmexport omx_buf
func buf(kind, bytes uint32) unsafe.Pointer {
	if bytes > room {
		return nil
	}
	return unsafe.Pointer(&area)
}

//go:wasmimport wasi_snapshot_preview1 random_get
func random(b unsafe.Pointer, length uint32) uint32

// route picks a row by the clock and a random number, and says so.
//
//go:wasmexport omx_route
func route(view unsafe.Pointer, length uint32) uint64 {
	count := *(*uint32)(unsafe.Add(view, 8))
	if count == 0 {
		return 2 << 32
	}
	var n uint64
	random(unsafe.Pointer(&n), 8)
	n += uint64(time.Now().UnixNano())
	fmt.Fprintf(os.Stderr, "row %d of %d\n", n%uint64(count), count)
	return n % uint64(count)
}

func main() {}
