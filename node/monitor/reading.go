package monitor

import (
	"math"
	"runtime"
	"strings"
	"sync/atomic"
)

// Field names a figure of a Reading, for Reading.Known.
type Field uint64

const (
	CPU      Field = 1 << iota // Reading.CPU
	Self                       // Self
	Memory                     // MemTotal, MemAvailable
	Resident                   // RSS
	Disk                       // DiskTotal, DiskFree
	Runtime                    // Goroutines, Heap
	fieldsEnd
)

var fieldNames = []string{"cpu", "self", "memory", "resident", "disk", "runtime"}

// String lists the fields of the set, separated by commas.
func (f Field) String() string {
	var names []string
	for i, n := range fieldNames {
		if f>>i&1 != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, ",")
}

// Reading is what was found. A figure whose field is not in Known is zero and
// means nothing: the system does not tell, or has not been asked twice yet
// (shares of time need two samples).
type Reading struct {
	At     int64 // light sample: microseconds since 1970; 0 before the first
	FullAt int64 // full sample: likewise
	Known  Field

	// Light sample.
	CPU        float64 // percent of the machine's processor time that was not idle; waiting for a disk and time taken by other virtual machines count as busy
	Self       float64 // percent of one processor used by this process: 200 is two of them
	RSS        uint64  // bytes of this process in memory
	Goroutines uint64
	Heap       uint64 // bytes of live and not yet swept objects

	// Full sample.
	CPUs         uint64 // processors online in the machine, whether or not we may use them
	MemTotal     uint64 // bytes this process and its group may use: the machine's or the control group's limit
	MemAvailable uint64 // bytes of it that can be had without swapping; with a group limit, as of the light sample
	DiskTotal    uint64 // bytes of the file system that holds the folder
	DiskFree     uint64 // bytes of it that we may still use
}

// Has reports whether all figures of f are known.
func (r *Reading) Has(f Field) bool { return r.Known&f == f }

const words = 13

// published is a reading in single words behind a sequence number that is odd
// while a new one is being written: a reader that saw the same even number
// before and after has an untorn copy. It costs readers no lock and the writer
// no allocation. One writer at a time.
type published struct {
	seq atomic.Uint64
	w   [words]atomic.Uint64
}

func (p *published) store(r *Reading) {
	p.seq.Add(1)
	for i, v := range [words]uint64{
		uint64(r.At), uint64(r.FullAt), uint64(r.Known),
		math.Float64bits(r.CPU), math.Float64bits(r.Self), r.RSS, r.Goroutines, r.Heap,
		r.CPUs, r.MemTotal, r.MemAvailable, r.DiskTotal, r.DiskFree,
	} {
		p.w[i].Store(v)
	}
	p.seq.Add(1)
}

func (p *published) load() Reading {
	for {
		if seq := p.seq.Load(); seq&1 == 0 {
			r := Reading{
				At: int64(p.w[0].Load()), FullAt: int64(p.w[1].Load()), Known: Field(p.w[2].Load()),
				CPU: math.Float64frombits(p.w[3].Load()), Self: math.Float64frombits(p.w[4].Load()),
				RSS: p.w[5].Load(), Goroutines: p.w[6].Load(), Heap: p.w[7].Load(),
				CPUs:     p.w[8].Load(),
				MemTotal: p.w[9].Load(), MemAvailable: p.w[10].Load(), DiskTotal: p.w[11].Load(), DiskFree: p.w[12].Load(),
			}
			if p.seq.Load() == seq {
				return r
			}
		}
		runtime.Gosched() // a store is some tens of nanoseconds
	}
}
