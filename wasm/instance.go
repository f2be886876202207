package wasm

import (
	"context"
	"errors"
	"fmt"
	"math/bits"

	"github.com/tetratelabs/wazero/api"

	"omx/policies/abi"
)

// Instance is one running policy with its state. It is not safe for concurrent
// use.
type Instance struct {
	module *Module
	lim    Limits
	ctx    context.Context // of calls: no deadline or cancellation, fuel bounds them
	log    func(level int, line string)
	owned  bool // closing it closes the module

	region   *region
	mod      api.Module
	memory   api.Memory
	fuel     api.MutableGlobal // nil in tests that load without metering
	buf      api.Function
	event    api.Function // nil: it does not listen
	ports    [len(deciders)]port
	messages port      // events and parameters
	stack    [2]uint64 // arguments and result of a call
	err      error     // why the instance answers no more
	closed   bool

	major, minor uint16
	world        world
}

// port is one kind of decision.
type port struct {
	fn       api.Function // nil: not decided
	ptr      uint32       // where the view lies, 0 before the first
	room     int          // bytes that fit there
	rowBytes int          // of each row that the policy reads
	tags     uint32       // of the extension that it reads, as a mask
}

// Info tells about the module.
func (i *Instance) Info() Info { return i.module.info }

// Has tells whether the policy decides kind.
func (i *Instance) Has(k abi.Kind) bool { return i.port(k) != nil }

// Wants is how many bytes of each row the policy reads, a multiple of
// abi.PartSize, and which tags of the extension, as a mask.
func (i *Instance) Wants(k abi.Kind) (rowBytes int, tags uint32) {
	if p := i.port(k); p != nil {
		return p.rowBytes, p.tags
	}
	return abi.RowSize, 0
}

// MemoryBytes is how much memory the policy has.
func (i *Instance) MemoryBytes() uint64 {
	if i.closed {
		return 0
	}
	return uint64(i.memory.Size())
}

// Spoiled tells that the policy trapped: it may have left its memory in any
// state, so no instance answers after that.
func (i *Instance) Spoiled() bool { return errors.Is(i.err, ErrSpoiled) }

// View is the window of so many bytes of the policy's memory in which it reads a
// view of a kind and answers. It is valid until the next View, Call or Close.
func (i *Instance) View(k abi.Kind, bytes int) ([]byte, error) {
	if i.err != nil {
		return nil, i.err
	}
	p := i.port(k)
	if p == nil {
		return nil, ErrKind
	}
	if bytes < 0 || bytes > maxView {
		return nil, fmt.Errorf("%w: %d bytes, %d are possible", ErrView, bytes, maxView)
	}
	if bytes > p.room {
		if err := p.reserve(i, k, bytes); err != nil {
			return nil, err
		}
	}
	b, ok := i.memory.Read(p.ptr, uint32(bytes))
	if !ok {
		return nil, ErrView // its memory cannot have shrunk; reserve checked the range
	}
	return b, nil
}

// Call has the policy decide on the view written into the window before, of
// viewLen bytes with so many rows. It returns the answer and the fuel used.
// ErrOutOfFuel and ErrTrap spoil the instance.
func (i *Instance) Call(k abi.Kind, viewLen, rows int) (abi.Answer, uint64, error) {
	if i.err != nil {
		return 0, 0, i.err
	}
	p := i.port(k)
	if p == nil {
		return 0, 0, ErrKind
	}
	if viewLen < abi.HeaderSize || viewLen > p.room || rows < 0 {
		return 0, 0, fmt.Errorf("%w: call with %d bytes without a view", ErrView, viewLen)
	}
	models := 0
	if i.module.hosted || k == abi.Replicate {
		b, ok := i.memory.Read(p.ptr, abi.HeaderSize)
		if !ok {
			return 0, 0, ErrView
		}
		h := abi.HeaderAt(b)
		i.world.set(h.Now, h.Seed)
		models = int(h.Models)
	}
	i.stack[0], i.stack[1] = uint64(p.ptr), uint64(viewLen)
	used, err := i.run(p.fn, i.lim.fuel(k, rows, models))
	return abi.Answer(i.stack[0]), used, err
}

// Event tells the policy what happened; b is an abi.Event, of which it gets a
// copy. A policy that does not listen is not asked. ErrOutOfFuel and ErrTrap
// spoil the instance.
func (i *Instance) Event(b []byte) error {
	if i.event == nil || i.err != nil {
		return i.err
	}
	if len(b) != abi.EventSize {
		return fmt.Errorf("%w: an event has %d bytes, not %d", ErrView, abi.EventSize, len(b))
	}
	if i.messages.room < len(b) {
		if err := i.messages.reserve(i, 0, len(b)); err != nil {
			return err
		}
	}
	if !i.memory.Write(i.messages.ptr, b) {
		return ErrView
	}
	if i.module.hosted {
		i.world.hear(b)
	}
	i.stack[0], i.stack[1] = uint64(i.messages.ptr), uint64(len(b))
	_, err := i.run(i.event, i.lim.FuelEvent)
	return err
}

// Close frees the instance. Closing twice does nothing.
func (i *Instance) Close() error {
	if i.closed {
		return nil
	}
	i.closed, i.err = true, ErrClosed
	i.module.forget(i)
	var err error
	if i.mod != nil {
		err = i.mod.Close(context.Background())
	}
	if i.region != nil {
		i.region.Free()
	}
	if i.owned {
		err = errors.Join(err, i.module.Close())
	}
	return err
}

// port is that of a kind, nil if it is not decided.
func (i *Instance) port(k abi.Kind) *port {
	if n := int(k) - 1; n >= 0 && n < len(i.ports) && i.ports[n].fn != nil {
		return &i.ports[n]
	}
	return nil
}

// leastRoom is asked for at first: enough for the candidates of a decision, so
// that a growing fleet does not ask for a new area with each node.
const leastRoom = 32 << 10

// reserve asks the policy where so many bytes may be written.
func (p *port) reserve(i *Instance, k abi.Kind, size int) error {
	room := size
	if k != 0 {
		room = max(leastRoom, 1<<bits.Len(uint(size-1)))
	}
	i.stack[0], i.stack[1] = uint64(k), uint64(room)
	if _, err := i.run(i.buf, i.lim.FuelLoad); err != nil {
		return fmt.Errorf("%s: %w", abi.ExportBuf, err)
	}
	ptr := uint32(i.stack[0])
	switch {
	case ptr == 0:
		return fmt.Errorf("%w: %s refuses %d bytes for kind %d", ErrView, abi.ExportBuf, room, k)
	case ptr%8 != 0:
		return fmt.Errorf("%w: %s gives %d, which is not a multiple of 8", ErrView, abi.ExportBuf, ptr)
	case uint64(ptr)+uint64(room) > uint64(i.memory.Size()):
		return fmt.Errorf("%w: %s gives %d, from where %d bytes reach beyond the memory", ErrView, abi.ExportBuf, ptr, room)
	}
	p.ptr, p.room = ptr, room
	return nil
}

// run calls fn with i.stack and a budget, and tells what it used.
func (i *Instance) run(fn api.Function, budget uint64) (used uint64, err error) {
	if i.fuel != nil {
		i.fuel.Set(budget)
	}
	err = fn.CallWithStack(i.ctx, i.stack[:])
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
