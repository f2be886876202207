package wasm

import (
	"encoding/binary"

	"github.com/tetratelabs/wazero/api"
)

// wasi is the part of WASI preview 1 that the run-time libraries of Go, C and
// Rust need to start and to decide. Every answer is fixed, or follows from the
// view: there are no arguments, no environment, no files; the clock stands still
// during a decision; random numbers follow from the seed.
//
// See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md.
var wasi = []hostFunction{
	preview1("args_get", "ii", nothing),
	preview1("args_sizes_get", "ii", zeroSizes),
	preview1("environ_get", "ii", nothing),
	preview1("environ_sizes_get", "ii", zeroSizes),
	preview1("clock_res_get", "ii", func(i *Instance, a []uint64) uint64 { return i.put64(a[1], 1000) }),
	preview1("clock_time_get", "iIi", func(i *Instance, a []uint64) uint64 { return i.put64(a[2], i.world.now) }),
	preview1("random_get", "ii", random),
	preview1("fd_write", "iiii", fdWrite),
	preview1("fd_read", "iiii", badFile),
	preview1("fd_close", "i", badFile),
	preview1("fd_seek", "iIii", badFile),
	preview1("fd_fdstat_get", "ii", fdStat),
	preview1("fd_fdstat_set_flags", "ii", nothing),
	preview1("fd_filestat_get", "ii", badFile),
	preview1("fd_prestat_get", "ii", badFile),
	preview1("fd_prestat_dir_name", "iii", badFile),
	preview1("poll_oneoff", "iiii", pollOneoff),
	preview1("sched_yield", "", nothing),
	{"wasi_snapshot_preview1", "proc_exit", []api.ValueType{i32}, nil, hostCost, func(*Instance, []uint64) uint64 { panic(errExit) }},
}

// Error numbers of WASI.
const (
	errnoOK    = 0
	errnoBadf  = 8
	errnoFault = 21
	errnoInval = 28
)

type exitError struct{}

func (exitError) Error() string { return "the policy exits, which it must not: it has to answer" }

var errExit = exitError{}

// preview1 is a function that returns an error number; parameters are i for
// i32 and I for i64.
func preview1(name, params string, do func(*Instance, []uint64) uint64) hostFunction {
	f := hostFunction{module: "wasi_snapshot_preview1", name: name, results: []api.ValueType{i32}, cost: hostCost, do: do}
	for _, p := range params {
		t := i32
		if p == 'I' {
			t = i64
		}
		f.params = append(f.params, t)
	}
	return f
}

func nothing(*Instance, []uint64) uint64 { return errnoOK }

func badFile(*Instance, []uint64) uint64 { return errnoBadf }

func zeroSizes(i *Instance, a []uint64) uint64 {
	return max(i.put32(a[0], 0), i.put32(a[1], 0))
}

func (i *Instance) put32(ptr uint64, v uint32) uint64 {
	if !i.memory.WriteUint32Le(uint32(ptr), v) {
		return errnoFault
	}
	return errnoOK
}

func (i *Instance) put64(ptr, v uint64) uint64 {
	if !i.memory.WriteUint64Le(uint32(ptr), v) {
		return errnoFault
	}
	return errnoOK
}

func random(i *Instance, a []uint64) uint64 {
	b := i.bytes(a[0], a[1])
	if b == nil && uint32(a[1]) > 0 {
		return errnoFault
	}
	i.charge(uint64(len(b)) / 4) // beside what any bytes cost
	var word [8]byte
	for len(b) > 0 {
		binary.LittleEndian.PutUint64(word[:], i.world.next())
		b = b[copy(b, word[:]):]
	}
	return errnoOK
}

// fdWrite takes what a language prints to its log.
func fdWrite(i *Instance, a []uint64) uint64 {
	fd, vectors, count := uint32(a[0]), a[1], uint32(a[2])
	if fd != 1 && fd != 2 {
		return errnoBadf
	}
	if count > maxVectors {
		return errnoInval
	}
	total := uint32(0)
	for n := range count {
		i.charge(vectorCost)
		v := i.bytes(vectors+uint64(8*n), 8)
		if v == nil {
			return errnoFault
		}
		size := binary.LittleEndian.Uint32(v[4:])
		text := i.bytes(uint64(binary.LittleEndian.Uint32(v)), uint64(size))
		if text == nil && size > 0 {
			return errnoFault
		}
		i.write(int(fd), text[:min(len(text), maxLine)])
		total += size
	}
	return i.put32(a[3], total)
}

// fdStat says that the outputs are terminals, and that there is nothing else.
func fdStat(i *Instance, a []uint64) uint64 {
	if uint32(a[0]) > 2 {
		return errnoBadf
	}
	b := i.bytes(a[1], 24)
	if b == nil {
		return errnoFault
	}
	clear(b)
	b[0] = 2 // character device
	return errnoOK
}

// pollOneoff says that whatever was waited for has happened.
func pollOneoff(i *Instance, a []uint64) uint64 {
	const subscription, event = 48, 32
	count := uint64(uint32(a[2]))
	if count == 0 || count > maxVectors {
		return errnoInval
	}
	in, out := i.bytes(a[0], count*subscription), i.bytes(a[1], count*event)
	if in == nil || out == nil {
		return errnoFault
	}
	events := make([]byte, len(out)) // both ranges may overlap
	for n := range count {
		e := events[n*event:]
		copy(e, in[n*subscription:][:8]) // user data
		e[10] = in[n*subscription+8]     // which of clock, read, write
	}
	copy(out, events)
	return i.put32(a[3], uint32(count))
}
