package wasm

import (
	"errors"
	"fmt"

	"omx/policies/abi"
)

// Limits bound one policy. The zero value means the defaults.
type Limits struct {
	ModuleBytes int    // largest module in bytes; default 1 MiB, at most 16 MiB
	MemoryPages uint32 // memory in pages of 64 KiB; default 64 (4 MiB), at most 4096 (256 MiB)
	FuelBase    uint64 // fuel of a call whatever the rows; default 20,000, at most 1e9
	FuelPerRow  uint64 // fuel of a call per row of its view; default 1,000, at most 1e6
	FuelLoad    uint64 // fuel of all that runs before the first decision; default 1,000,000, at most 1e9
}

// Defaults. One unit of fuel is about one instruction; the built-in routing
// rule needs 234 a row and 609 beside (2026-11).
const (
	defaultModuleBytes = 1 << 20 // the built-in policies are below 1 KB
	defaultMemoryPages = 64
	defaultFuelBase    = 20_000
	defaultFuelPerRow  = 1_000
	defaultFuelLoad    = 1_000_000
)

// Hard ends of what Limits may ask for.
const (
	maxModuleBytes = 16 << 20
	maxMemoryPages = 4096
	maxFuel        = 1_000_000_000 // a second or so in which nothing else of the process may run
	maxFuelPerRow  = 1_000_000
)

const addressablePages = 1 << 16 // by 32 bits

// maxInstances are open in one Host: a node has a few, a test fleet hundreds.
const maxInstances = 1024

// Bounds on a module's shape, over what compilers emit by far.
const (
	maxTableElems  = 1 << 16 // function pointers of all tables: 512 KiB
	maxFunctions   = 20_000
	maxBody        = 1 << 18 // bytes of one function: the engine takes about 1 KB for each
	maxLocals      = 4096    // of one function
	maxLocalsInAll = 1 << 20

	// maxShape bounds the time to compile, which grows with the square of a
	// function's basic blocks and loops, and with what loops carry: 2 s where
	// policies take 1 ms (2 cores, 2026-11). See fn.shape.
	maxShape = 16 << 20
)

// What metering charges beside one unit per instruction.
const (
	entryCost = 64  // a call: bounds how deep calls nest
	growCost  = 256 // memory.grow leaves the compiled code
	bulkCost  = 16  // a bulk operation, and one unit per 8 elements
	bulkShift = 3   // log2 of those 8
)

func (l Limits) withDefaults() Limits {
	set := func(v *uint64, d uint64) {
		if *v == 0 {
			*v = d
		}
	}
	if l.ModuleBytes == 0 {
		l.ModuleBytes = defaultModuleBytes
	}
	if l.MemoryPages == 0 {
		l.MemoryPages = defaultMemoryPages
	}
	set(&l.FuelBase, defaultFuelBase)
	set(&l.FuelPerRow, defaultFuelPerRow)
	set(&l.FuelLoad, defaultFuelLoad)
	return l
}

// Validate names every field out of its range.
func (l Limits) Validate() error {
	var errs []error
	check := func(name string, v, most uint64) {
		if v > most {
			errs = append(errs, fmt.Errorf("limit %s is %d, at most %d is possible", name, v, most))
		}
	}
	if l.ModuleBytes < 0 {
		errs = append(errs, fmt.Errorf("limit ModuleBytes is %d, below 0", l.ModuleBytes))
	} else {
		check("ModuleBytes", uint64(l.ModuleBytes), maxModuleBytes)
	}
	check("MemoryPages", uint64(l.MemoryPages), maxMemoryPages)
	check("FuelBase", l.FuelBase, maxFuel)
	check("FuelPerRow", l.FuelPerRow, maxFuelPerRow)
	check("FuelLoad", l.FuelLoad, maxFuel)
	return errors.Join(errs...)
}

// fuel is the budget of one call on a view of viewLen bytes.
func (l *Limits) fuel(viewLen int) uint64 {
	return l.FuelBase + uint64(rowsIn(viewLen))*l.FuelPerRow
}

// rowsIn is how many rows fit into a view of n bytes.
func rowsIn(n int) int { return (n - abi.HeaderSize) / (abi.Size(1) - abi.HeaderSize) }
