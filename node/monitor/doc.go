// Package monitor reads what the machine and this process are using: processor,
// memory (as far as control groups let us have it), disk, goroutines, heap.
//
// A light sample each second reads the few figures that change quickly and are
// cheap to get; a full one each minute reads the rest. Readers get the published
// result of both and never cause a sample: a decision may ask as often as it
// likes. No sample stops the program (runtime.ReadMemStats does) and none
// allocates.
//
// What is not here: usage of other processes, such as the workers that run
// models, by name (they are part of the machine's figures); network traffic; and
// GPUs, whose figures cannot be had without a vendor's library: the engine, which
// loads those libraries, knows its devices. On systems other than Linux only the
// figures of the Go runtime are known, and Reading.Known says so.
//
// Package node may import it, and so may the tools that measure it; it imports
// nothing of this module.
package monitor
