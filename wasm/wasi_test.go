package wasm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"omx/policies/abi"
)

// asker calls functions of the host as an instance would.
type asker struct {
	*Instance
	t     *testing.T
	lines []string
}

func newAsker(t *testing.T) *asker {
	a := &asker{Instance: loadBuiltin(t, "nearest", true), t: t}
	a.log = func(_ int, line string) { a.lines = append(a.lines, line) }
	a.fuel.Set(1_000_000)
	return a
}

func (a *asker) ask(name string, args ...uint64) uint64 {
	a.t.Helper()
	f := granted("wasi_snapshot_preview1", name)
	if f == nil || len(f.params) != len(args) {
		a.t.Fatalf("%s does not take %d arguments", name, len(args))
	}
	return f.do(a.Instance, args)
}

func (a *asker) put(ptr uint32, values ...uint32) {
	for n, v := range values {
		if !a.memory.WriteUint32Le(ptr+uint32(4*n), v) {
			a.t.Fatal("no memory")
		}
	}
}

func (a *asker) read(ptr, size uint32) []byte {
	b, ok := a.memory.Read(ptr, size)
	if !ok {
		a.t.Fatal("no memory")
	}
	return slices.Clone(b)
}

// There are no arguments, no environment and no files.
func TestWASIIsEmpty(t *testing.T) {
	a := newAsker(t)
	const far = 1 << 30 // beyond the memory
	for name, c := range map[string]struct {
		args []uint64
		want uint64
	}{
		"args_sizes_get":      {[]uint64{64, 68}, errnoOK},
		"environ_sizes_get":   {[]uint64{64, far}, errnoFault},
		"args_get":            {[]uint64{64, 68}, errnoOK},
		"environ_get":         {[]uint64{64, 68}, errnoOK},
		"fd_read":             {[]uint64{0, 64, 1, 96}, errnoBadf},
		"fd_close":            {[]uint64{1}, errnoBadf},
		"fd_seek":             {[]uint64{1, 0, 0, 64}, errnoBadf},
		"fd_prestat_get":      {[]uint64{3, 64}, errnoBadf},
		"fd_prestat_dir_name": {[]uint64{3, 64, 8}, errnoBadf},
		"fd_filestat_get":     {[]uint64{1, 64}, errnoBadf},
		"fd_fdstat_set_flags": {[]uint64{1, 0}, errnoOK},
		"sched_yield":         {nil, errnoOK},
	} {
		a.put(64, 9, 9)
		if got := a.ask(name, c.args...); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
		if name == "args_sizes_get" && !bytes.Equal(a.read(64, 8), make([]byte, 8)) {
			t.Errorf("%s: %x", name, a.read(64, 8))
		}
	}
	for fd, want := range map[uint64]uint64{0: errnoOK, 2: errnoOK, 3: errnoBadf} {
		if got := a.ask("fd_fdstat_get", fd, 64); got != want {
			t.Errorf("state of file %d: %d, want %d", fd, got, want)
		}
	}
	if a.read(64, 1)[0] != 2 || a.ask("fd_fdstat_get", 1, far) != errnoFault {
		t.Error("an output is no terminal")
	}
	defer func() {
		if r := recover(); r != errExit {
			t.Errorf("exit: %v", r)
		}
	}()
	a.ask("proc_exit", 0)
}

// Time and random numbers follow from what is decided, and from nothing else.
func TestWASITimeAndRandom(t *testing.T) {
	a := newAsker(t)
	now := func() uint64 {
		if errno := a.ask("clock_time_get", 0, 0, 64); errno != errnoOK {
			t.Fatal(errno)
		}
		return binary.LittleEndian.Uint64(a.read(64, 8))
	}
	draw := func() []byte {
		if errno := a.ask("random_get", 72, 13); errno != errnoOK {
			t.Fatal(errno)
		}
		return a.read(72, 13)
	}
	before := draw()
	if now() != 1 {
		t.Errorf("before the first view it is %d", now())
	}
	a.world.set(5, 42)
	first, second := draw(), draw()
	if now() != 5000 {
		t.Errorf("in a view of 5 µs it is %d ns", now())
	}
	a.world.set(6, 42)
	if again := draw(); !bytes.Equal(again, first) || bytes.Equal(first, second) || bytes.Equal(first, before) {
		t.Errorf("of one seed come %x and %x, then %x; before %x", first, again, second, before)
	}
	// The first number of SplitMix64 from seed 0, as its authors have it.
	a.world.set(6, 0)
	if got := binary.LittleEndian.Uint64(draw()); got != 0xe220a8397b1dcdaf {
		t.Errorf("from seed 0 comes %#x", got)
	}
	a.world.hear((&abi.Event{Now: 9}).Bytes())
	if now() != 9000 {
		t.Errorf("in an event of 9 µs it is %d ns", now())
	}
	if a.ask("clock_res_get", 0, 64) != errnoOK || binary.LittleEndian.Uint64(a.read(64, 8)) != 1000 {
		t.Error("the clock has another resolution than views")
	}
	if a.ask("clock_time_get", 0, 0, 1<<31) != errnoFault || a.ask("random_get", 1<<31, 1) != errnoFault {
		t.Error("answers beyond the memory")
	}
}

func TestWASIWrites(t *testing.T) {
	a := newAsker(t)
	copy(a.region.bytes[256:], "one\ntwo\x1b[2J")
	a.put(64, 256, 4, 260, 7)
	if errno := a.ask("fd_write", 2, 64, 2, 96); errno != errnoOK || binary.LittleEndian.Uint32(a.read(96, 4)) != 11 {
		t.Errorf("write: %d, %x", errno, a.read(96, 4))
	}
	if want := []string{"one ", "two?[2J"}; !slices.Equal(a.lines, want) {
		t.Errorf("logged %q, want %q", a.lines, want)
	}
	for name, c := range map[string]struct {
		args []uint64
		want uint64
	}{
		"another file":     {[]uint64{3, 64, 2, 96}, errnoBadf},
		"many vectors":     {[]uint64{1, 64, maxVectors + 1, 96}, errnoInval},
		"vectors far away": {[]uint64{1, 1 << 30, 1, 96}, errnoFault},
	} {
		if got := a.ask("fd_write", c.args...); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	a.put(64, 1<<30, 4)
	if got := a.ask("fd_write", 1, 64, 1, 96); got != errnoFault {
		t.Errorf("text far away: %d", got)
	}
}

func TestWASIPolls(t *testing.T) {
	a := newAsker(t)
	a.put(128, 7, 8) // user data of the one subscription
	if errno := a.ask("poll_oneoff", 128, 256, 1, 96); errno != errnoOK || a.read(96, 1)[0] != 1 || !bytes.Equal(a.read(256, 8), a.read(128, 8)) {
		t.Errorf("poll: %d, %d events, %x", errno, a.read(96, 1)[0], a.read(256, 32))
	}
	if a.ask("poll_oneoff", 128, 256, 0, 96) != errnoInval || a.ask("poll_oneoff", 128, 1<<30, 1, 96) != errnoFault {
		t.Error("polls nothing, or beyond the memory")
	}
}

// A line costs more than its bytes, and what may be logged comes back with time.
func TestLogIsLimited(t *testing.T) {
	a := newAsker(t)
	flood := func() int {
		a.lines = nil
		for range 1000 {
			a.write(1, []byte("x"))
		}
		return len(a.lines)
	}
	const most = maxLog / (logLine + 1)
	if n := flood(); n != most || a.LogLost() != uint64(1000-most) {
		t.Errorf("%d lines at once, %d lost", n, a.LogLost())
	}
	a.world.logLeft = 0
	a.world.set(10*(logLine+1)*logEvery, 0)
	if n := flood(); n != 10 {
		t.Errorf("%d lines after the time of 10", n)
	}
	a.world.set(1<<50, 0)
	if n := flood(); n != most {
		t.Errorf("%d lines after a long time", n)
	}
	a.world.set(0, 0)
	if n := flood(); n != 0 {
		t.Errorf("%d lines after time went back", n)
	}
	a.write(9, []byte(strings.Repeat("x", maxLog)))
	if len(a.lines) != 0 {
		t.Error("a line beyond what is allowed")
	}
}

// Every function of the host costs fuel, and stops a policy that has none left.
func TestHostFunctionsCharge(t *testing.T) {
	a := newAsker(t)
	for n := range functions {
		if functions[n].cost < hostCost {
			t.Errorf("%s costs %d", functions[n].name, functions[n].cost)
		}
	}
	for name, args := range map[string][]uint64{"random_get": {64, 32 << 10}, "fd_write": {1, 64, 64, 1 << 15}} {
		a.fuel.Set(1000)
		func() {
			defer func() {
				if r := recover(); r != errHost || int64(a.fuel.Get()) >= 0 {
					t.Errorf("%s: %v, %d left", name, r, int64(a.fuel.Get()))
				}
			}()
			a.ask(name, args...)
		}()
	}
	// In a start function there is no memory yet.
	defer func() {
		if r := recover(); !errors.Is(r.(error), errHost) {
			t.Errorf("too early: %v", r)
		}
	}()
	functions[0].call(t.Context(), nil, make([]uint64, 3))
}
