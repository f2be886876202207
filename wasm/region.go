package wasm

import (
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
)

// region is the memory of one instance, outside the Go heap: address space for
// all it may ever have, so that growing never moves what the host has a window
// on. Pages take up memory when they are touched, and are free as soon as the
// instance is closed. On the heap, a hundred policies of 4 MiB would be 400 MiB
// by which garbage collection is put off, zeroed each time.
type region struct {
	bytes []byte
	freed bool
}

func newRegion(size uint64) (*region, error) {
	b, err := mapMemory(int(size))
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes of memory: %w", size, err)
	}
	return &region{bytes: b}, nil
}

// Allocate gives the region to the engine, which asks for it once.
func (r *region) Allocate(_, _ uint64) experimental.LinearMemory { return r }

// Reallocate is the first size bytes; nil refuses to grow.
func (r *region) Reallocate(size uint64) []byte {
	if size > uint64(len(r.bytes)) || r.freed {
		return nil
	}
	return r.bytes[:size]
}

// Free gives the memory back. The engine does it when an instance is closed, but
// not when making one fails half-way, so the instance does it again.
func (r *region) Free() {
	if !r.freed {
		r.freed = true
		unmapMemory(r.bytes)
		r.bytes = nil
	}
}
