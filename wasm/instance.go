package wasm

import (
	"context"
	"errors"
	"fmt"
	"math/bits"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"omx/policies/abi"
)

// Info is what is known of a loaded module.
type Info struct {
	Name         string
	Digest       [32]byte // SHA-256 of the module as it was given
	Kinds        []abi.Kind
	Bytes        int
	Major, Minor uint16 // version of the interface it speaks
	MemoryPages  uint32 // it starts with
}

// Instance is one loaded policy. It is not safe for concurrent use.
type Instance struct {
	host *Host
	info Info
	lim  Limits

	runtime wazero.Runtime
	cache   wazero.CompilationCache // nil without a cache folder
	mod     api.Module
	memory  api.Memory
	fuel    api.MutableGlobal // nil in tests that load without metering
	buf     api.Function
	ports   [len(deciders)]port
	stack   [2]uint64 // arguments and result of a call
	err     error     // why the instance answers no more
	closed  bool
}

// port is one kind of decision.
type port struct {
	fn   api.Function // nil: not decided
	ptr  uint32       // where the view lies
	rows int          // most rows that fit there, -1 before the first view
}

// Info tells about the module.
func (i *Instance) Info() Info { return i.info }

// Has tells whether the policy decides kind.
func (i *Instance) Has(k abi.Kind) bool {
	p, _ := i.port(k)
	return p != nil
}

// Spoiled tells that the policy trapped: it may have left its memory in any
// state, so no instance answers after that.
func (i *Instance) Spoiled() bool { return errors.Is(i.err, ErrSpoiled) }

// View is the window of abi.Size(rows) bytes of the policy's memory in which it
// reads a view and writes scores. It is valid until the next View or Call.
func (i *Instance) View(k abi.Kind, rows int) ([]byte, error) {
	if i.err != nil {
		return nil, i.err
	}
	p, most := i.port(k)
	if p == nil {
		return nil, ErrKind
	}
	if rows < 0 || rows > most {
		return nil, fmt.Errorf("%w: %d rows, %d are possible", ErrView, rows, most)
	}
	if !p.holds(rows) {
		if err := i.reserve(k, p, roomFor(rows, most)); err != nil {
			return nil, err
		}
	}
	b, ok := i.memory.Read(p.ptr, uint32(abi.Size(rows)))
	if !ok {
		return nil, ErrView // its memory cannot have shrunk; reserve checked the range
	}
	return b, nil
}

// Call has the policy decide on the view written into the window before, of
// viewLen bytes. It returns the answer and the fuel used. ErrOutOfFuel and
// ErrTrap spoil the instance.
func (i *Instance) Call(k abi.Kind, viewLen int) (abi.Answer, uint64, error) {
	if i.err != nil {
		return 0, 0, i.err
	}
	p, _ := i.port(k)
	if p == nil {
		return 0, 0, ErrKind
	}
	if viewLen < abi.HeaderSize || !p.holds(rowsIn(viewLen)) {
		return 0, 0, fmt.Errorf("%w: call with %d bytes without a view", ErrView, viewLen)
	}
	i.stack[0], i.stack[1] = uint64(p.ptr), uint64(viewLen)
	used, err := i.run(p.fn, i.lim.fuel(viewLen))
	return abi.Answer(i.stack[0]), used, err
}

// Close frees the instance. Closing twice does nothing.
func (i *Instance) Close() error {
	if i.closed {
		return nil
	}
	i.closed, i.err = true, ErrClosed
	i.host.forget(i)
	return i.release()
}

func (i *Instance) release() error {
	var errs []error
	if i.runtime != nil {
		errs = append(errs, i.runtime.Close(context.Background()))
	}
	if i.cache != nil {
		errs = append(errs, i.cache.Close(context.Background()))
	}
	i.runtime, i.cache = nil, nil
	return errors.Join(errs...)
}

// port is that of a kind, nil if it is not decided, and the most rows it takes.
func (i *Instance) port(k abi.Kind) (*port, int) {
	for n := range deciders {
		if deciders[n].kind == k && i.ports[n].fn != nil {
			return &i.ports[n], deciders[n].rows
		}
	}
	return nil, 0
}

// holds tells whether a view of that many rows fits where the last one was put.
func (p *port) holds(rows int) bool { return p.ptr != 0 && rows <= p.rows }

// roomFor rounds rows up, so that a growing fleet does not ask for a new area
// with each node.
func roomFor(rows, most int) int {
	const least = 64
	return min(most, max(least, 1<<bits.Len(uint(max(rows, 1)-1))))
}

// reserve asks the policy where a view of up to rows rows may be written.
func (i *Instance) reserve(k abi.Kind, p *port, rows int) error {
	i.stack[0], i.stack[1] = uint64(k), uint64(rows)
	if _, err := i.run(i.buf, i.lim.FuelLoad); err != nil {
		return fmt.Errorf("%s: %w", abi.ExportBuf, err)
	}
	ptr, size := uint32(i.stack[0]), abi.Size(rows)
	switch {
	case ptr == 0:
		return fmt.Errorf("%w: %s refuses %d rows of kind %s", ErrView, abi.ExportBuf, rows, k)
	case ptr%8 != 0:
		return fmt.Errorf("%w: %s gives %d, which is not a multiple of 8", ErrView, abi.ExportBuf, ptr)
	case uint64(ptr)+uint64(size) > uint64(i.memory.Size()):
		return fmt.Errorf("%w: %s gives %d, from where %d bytes reach beyond the memory", ErrView, abi.ExportBuf, ptr, size)
	}
	p.ptr, p.rows = ptr, rows
	return nil
}

// run calls fn with i.stack and a budget, and tells what it used.
func (i *Instance) run(fn api.Function, budget uint64) (used uint64, err error) {
	if i.fuel != nil {
		i.fuel.Set(budget)
	}
	// No deadline or cancellation: fuel bounds the call, and looking a context's
	// values up can allocate.
	err = fn.CallWithStack(context.Background(), i.stack[:])
	if i.fuel != nil {
		left := int64(i.fuel.Get())
		if left < 0 {
			i.err = fmt.Errorf("%w: %w", ErrSpoiled, ErrOutOfFuel)
			return budget, fmt.Errorf("%w: more than %d units", ErrOutOfFuel, budget)
		}
		used = budget - uint64(left)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrTrap, oneLine(err))
		i.err = fmt.Errorf("%w: %w", ErrSpoiled, err)
	}
	return used, err
}
