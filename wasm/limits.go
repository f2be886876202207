package wasm

import (
	"cmp"
	"errors"
	"fmt"

	"omx/policies/abi"
)

// Limits bound one policy. The zero value means the defaults.
type Limits struct {
	Large       bool   // defaults for modules of the size that Go makes: 8 MiB of code, 16 MiB of memory; more fuel only for those over 1 MiB
	ModuleBytes int    // largest module in bytes; default 1 MiB, 8 MiB if Large, at most 16 MiB
	MemoryPages uint32 // memory in pages of 64 KiB; default 64 (4 MiB), 256 (16 MiB) if Large, at most 4096 (256 MiB)
	FuelBase    uint64 // fuel of a call whatever the rows; default 20,000, 1,000,000 if Large, at most 1e9
	FuelPerRow  uint64 // fuel of a call per row of its view; default 1,000, 4,000 if Large, at most 1e6
	FuelEvent   uint64 // fuel of an event; default 20,000, 1,000,000 if Large, at most 1e9
	FuelLoad    uint64 // fuel of all that runs before the first decision; default 1,000,000, 100,000,000 if Large, at most 1e9
}

// Defaults. One unit of fuel is about one instruction; of the built-in routing
// rules prefix-affinity needs most, 353 a row (2026-11).
const (
	defaultModuleBytes = 1 << 20 // the built-in policies are below 4 KiB
	defaultMemoryPages = 64
	defaultFuelBase    = 20_000
	defaultFuelPerRow  = 1_000
	defaultFuelEvent   = 20_000
	defaultFuelLoad    = 1_000_000

	// A replication decision weighs each model at each node, once in a while.
	// The built-in ones take up to 176 for each pair (2026-11).
	fuelPlan     = 2_000_000
	fuelPerPair  = 200
	mostFuelPlan = 20_000_000

	largeModuleBytes = 8 << 20
	largeMemoryPages = 256
	largeFuelLoad    = 100_000_000 // the start of Go's run-time library takes a part of it
	largeFuelBase    = 1_000_000   // under a millisecond: what Go does now and then beside the decision, such as collecting garbage
	largeFuelPerRow  = 4_000       // Go takes 2,300 to 2,600 for a plain rule (2026-11)
	largeShape       = 256         // times maxShape
)

// Hard ends of what Limits may ask for.
const (
	maxModuleBytes = 16 << 20
	maxMemoryPages = 4096
	maxFuel        = 1_000_000_000 // a second or so in which nothing else of the process may run
	maxFuelPerRow  = 1_000_000
)

const addressablePages = 1 << 16 // by 32 bits

// What is open in one Host: a node has a few, a test fleet has instances of a
// few modules for each of its nodes.
const (
	maxModules   = 1024
	maxInstances = 1 << 16
)

// Bounds on what passes between the host and a policy.
const (
	maxView     = 8 << 20 // bytes: the largest view of every kind, rounded up
	maxParams   = 64 << 10
	maxMetadata = 64 << 10
	maxSamples  = 64
	maxNamed    = 8       // imports in a message
	maxVectors  = 64      // of one call of WASI
	maxLine     = 1 << 10 // bytes of a line that is logged
	maxLog      = 4 << 10 // bytes that may be logged at once
	logLine     = 64      // bytes that a line counts beside its own
	logEvery    = 1000    // µs, by the views' time, after which a byte more may be logged
	maxCounters = 16
)

// Bounds on a module's shape, over what compilers emit by far.
const (
	maxTableElems  = 1 << 16 // function pointers of all tables: 512 KiB
	maxFunctions   = 20_000
	maxTypes       = 1024
	maxArgs        = 32 // of one function: they lie in its frame, and so do results
	maxResults     = 8
	maxImports     = 64
	maxTables      = 16
	maxMemories    = 1
	maxGlobals     = 1024
	maxExports     = 1024
	maxSegments    = 1 << 16 // Go makes 30,000
	maxName        = 256     // bytes
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
	entryCost  = 64  // a call: bounds how deep calls nest
	wideCost   = 16  // a local, parameter or result that is a vector, beside 1
	slowCost   = 4   // a division, a conversion between integers and floating point, or a vector operation, in place of 1
	sqrtCost   = 16  // a square root, in place of 1
	hostCost   = 128 // ref.func, or a function of the host: leaves the compiled code
	growCost   = 256 // memory.grow does, for longer
	vectorCost = 32  // each vector that fd_write is given
	bulkCost   = 16  // a bulk operation, and one unit per 8 bytes or per element of a table
	bulkShift  = 3   // log2 of those 8
)

func (l Limits) withDefaults() Limits {
	bytes, pages, load := defaultModuleBytes, uint32(defaultMemoryPages), uint64(defaultFuelLoad)
	base, row, event := uint64(defaultFuelBase), uint64(defaultFuelPerRow), uint64(defaultFuelEvent)
	if l.Large {
		bytes, pages, load = largeModuleBytes, largeMemoryPages, largeFuelLoad
		base, row, event = largeFuelBase, largeFuelPerRow, largeFuelBase
	}
	l.ModuleBytes = cmp.Or(l.ModuleBytes, bytes)
	l.MemoryPages = cmp.Or(l.MemoryPages, pages)
	l.FuelBase = cmp.Or(l.FuelBase, base)
	l.FuelPerRow = cmp.Or(l.FuelPerRow, row)
	l.FuelEvent = cmp.Or(l.FuelEvent, event)
	l.FuelLoad = cmp.Or(l.FuelLoad, load)
	return l
}

// forSize keeps the allowance for large modules from loosening what stops small
// ones.
func (l Limits) forSize(bytes int) Limits {
	if l.Large && bytes <= defaultModuleBytes {
		l.FuelBase = cmp.Or(l.FuelBase, defaultFuelBase)
		l.FuelPerRow = cmp.Or(l.FuelPerRow, defaultFuelPerRow)
		l.FuelEvent = cmp.Or(l.FuelEvent, defaultFuelEvent)
	}
	return l.withDefaults()
}

// advice is what to do about a module that is too large.
func (l *Limits) advice() string {
	if l.Large {
		return ""
	}
	return ", or allow large policies with --policy-large"
}

// shape is how intricate a module may be.
func (l *Limits) shape() uint64 {
	if l.Large {
		return largeShape * maxShape
	}
	return maxShape
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
	check("FuelEvent", l.FuelEvent, maxFuel)
	check("FuelLoad", l.FuelLoad, maxFuel)
	return errors.Join(errs...)
}

// fuel is the budget of one decision on so many rows and models.
func (l *Limits) fuel(k abi.Kind, rows, models int) uint64 {
	if k == abi.Replicate {
		return max(l.FuelBase, min(fuelPlan+uint64(rows)*uint64(models)*fuelPerPair, mostFuelPlan))
	}
	return l.FuelBase + uint64(rows)*l.FuelPerRow
}
