package wasm

import (
	"context"
	"errors"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"omx/policies/abi"
)

// Info is what is known of a module.
type Info struct {
	Name         string
	Digest       [32]byte // SHA-256 of the module as it was given
	Kinds        []abi.Kind
	Bytes        int
	Metered      int    // bytes, with metering
	Major, Minor uint16 // version of the interface it speaks
	MemoryPages  uint32 // it starts with
	MaxPages     uint32 // it may grow to
	Imports      []string
	Metadata     []byte // JSON that the module carries about itself; nil for none
}

// Module is a policy that is ready to run: inspected, metered, compiled once.
// Safe for concurrent use; its instances are not.
type Module struct {
	host *Host
	lim  Limits
	info Info

	runtime  wazero.Runtime // of its own, so that closing it frees all there is of it
	cache    wazero.CompilationCache
	compiled wazero.CompiledModule
	hosted   bool // it imports functions of the host

	mu     sync.Mutex
	open   map[*Instance]struct{}
	closed bool
}

// InstanceConfig is what an instance starts with.
type InstanceConfig struct {
	// Params are the operator's, lines of key=value, for omx_init.
	Params []byte
	// Log gets what the policy logs: level 0 debug to 3 error. Nil drops it.
	Log func(level int, line string)
}

// Info tells about the module.
func (m *Module) Info() Info { return m.info }

// New makes an instance with a state of its own.
func (m *Module) New(ctx context.Context, c InstanceConfig) (*Instance, error) {
	i, err := m.instantiate(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := i.init(c.Params); err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

// instantiate makes an instance that has not got its parameters.
func (m *Module) instantiate(ctx context.Context, c InstanceConfig) (i *Instance, err error) {
	i = &Instance{module: m, lim: m.lim, log: c.Log, ctx: context.Background(), world: newWorld()}
	if m.hosted {
		// By it the host's functions know who calls. Without imports, the plain
		// context is cheaper.
		i.ctx = context.WithValue(context.Background(), instanceKey{}, i)
	}
	if err := m.adopt(i); err != nil {
		return nil, err
	}
	if i.region, err = newRegion(uint64(m.info.MaxPages) << 16); err != nil {
		return nil, errors.Join(err, i.Close())
	}
	// A fault of the engine in foreign input must not take the node down.
	defer func() {
		if r := recover(); r != nil {
			err = refuse("breaks the engine: %v", r)
		}
		if err != nil {
			err = errors.Join(err, i.Close())
			i = nil
		}
	}()
	starting := experimental.WithMemoryAllocator(i.ctx, i.region)
	if i.mod, err = m.runtime.InstantiateModule(starting, m.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions()); err != nil {
		// The start function traps when it runs out of fuel as on any other fault;
		// there is no instance left to tell which.
		return i, refuse("does not start: %w", oneLine(err))
	}
	return i, i.bind()
}

func (m *Module) adopt(i *Instance) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	if err := m.host.count(1); err != nil {
		return err
	}
	m.open[i] = struct{}{}
	return nil
}

func (m *Module) forget(i *Instance) {
	m.mu.Lock()
	if _, ok := m.open[i]; ok {
		delete(m.open, i)
		m.host.count(-1)
	}
	m.mu.Unlock()
}

// Close frees the module and all its instances, of which none may be in a call.
// Closing twice does nothing.
func (m *Module) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	var left []*Instance
	for i := range m.open {
		left = append(left, i)
	}
	m.mu.Unlock()
	var errs []error
	for _, i := range left {
		errs = append(errs, i.Close())
	}
	m.host.forget(m)
	return errors.Join(append(errs, m.release())...)
}

func (m *Module) release() error {
	var errs []error
	if m.runtime != nil {
		errs = append(errs, m.runtime.Close(context.Background()))
	}
	if m.cache != nil {
		errs = append(errs, m.cache.Close(context.Background()))
	}
	m.runtime, m.cache, m.compiled = nil, nil, nil
	return errors.Join(errs...)
}

// bind looks everything up once, runs _initialize and asks for the version.
func (i *Instance) bind() error {
	var ok bool
	if g := i.mod.ExportedGlobal(fuelExport); g != nil {
		if i.fuel, ok = g.(api.MutableGlobal); !ok {
			return refuse("has an immutable %s", fuelExport)
		}
	}
	i.memory = i.mod.ExportedMemory(abi.ExportMemory)
	if err := i.initialize(); err != nil {
		return err
	}
	i32, i64 := api.ValueTypeI32, api.ValueTypeI64
	version, err := i.function(abi.ExportABI, nil, i32)
	if err != nil {
		return err
	}
	if i.buf, err = i.function(abi.ExportBuf, []api.ValueType{i32, i32}, i32); err != nil {
		return err
	}
	if i.mod.ExportedFunction(abi.ExportEvent) != nil {
		if i.event, err = i.function(abi.ExportEvent, []api.ValueType{i32, i32}); err != nil {
			return err
		}
	}
	if _, err := i.run(version, i.lim.FuelLoad); err != nil {
		return refuse("fails in %s: %w", abi.ExportABI, err)
	}
	major, minor := uint16(i.stack[0]>>16), uint16(i.stack[0])
	if major != abi.Major || minor > abi.Minor {
		return refuse("speaks version %d.%d of the interface, this program %d.%d: build it for that", major, minor, abi.Major, abi.Minor)
	}
	i.major, i.minor = major, minor
	for n, d := range deciders {
		if i.mod.ExportedFunction(d.export) == nil {
			continue
		}
		if i.ports[n].fn, err = i.function(d.export, []api.ValueType{i32, i32}, i64); err != nil {
			return err
		}
	}
	return i.askWants()
}

// initialize runs the start of a WASI reactor: the language's own set-up.
func (i *Instance) initialize() error {
	if i.mod.ExportedFunction(abi.ExportInitialize) == nil {
		return nil
	}
	fn, err := i.function(abi.ExportInitialize, nil)
	if err != nil {
		return err
	}
	if _, err := i.run(fn, i.lim.FuelLoad); err != nil {
		return refuse("fails in %s: %w", abi.ExportInitialize, err)
	}
	return nil
}

// askWants asks which parts of rows, and which items of the extension, the
// policy reads of a view.
func (i *Instance) askWants() error {
	for n := range i.ports {
		i.ports[n].rowBytes = abi.RowSize
	}
	if i.mod.ExportedFunction(abi.ExportWants) == nil {
		return nil
	}
	fn, err := i.function(abi.ExportWants, []api.ValueType{api.ValueTypeI32}, api.ValueTypeI64)
	if err != nil {
		return err
	}
	for n, d := range deciders {
		if i.ports[n].fn == nil {
			continue
		}
		i.stack[0] = uint64(d.kind)
		if _, err := i.run(fn, i.lim.FuelLoad); err != nil {
			return refuse("fails in %s: %w", abi.ExportWants, err)
		}
		bytes := int(uint16(i.stack[0]))
		if bytes == 0 || bytes > abi.RowSize {
			return refuse("wants %d bytes of each row in %s: a row has %d", bytes, abi.ExportWants, abi.RowSize)
		}
		i.ports[n].rowBytes = (bytes + abi.PartSize - 1) / abi.PartSize * abi.PartSize
		i.ports[n].tags = uint32(i.stack[0] >> 32)
	}
	return nil
}

// init hands the operator's parameters to the policy.
func (i *Instance) init(params []byte) error {
	if i.mod.ExportedFunction(abi.ExportInit) == nil {
		if len(params) > 0 {
			return refuse("takes no parameters: it has no export %s; leave them out", abi.ExportInit)
		}
		return nil
	}
	i32 := api.ValueTypeI32
	fn, err := i.function(abi.ExportInit, []api.ValueType{i32, i32}, i32)
	if err != nil {
		return err
	}
	if len(params) > maxParams {
		return refuse("is given %d bytes of parameters, %d are allowed", len(params), maxParams)
	}
	if err := i.messages.reserve(i, 0, max(len(params), abi.EventSize)); err != nil {
		return refuse("takes no parameters: %w", err)
	}
	if !i.memory.Write(i.messages.ptr, params) {
		return refuse("takes no parameters: %w", ErrView)
	}
	i.stack[0], i.stack[1] = uint64(i.messages.ptr), uint64(len(params))
	if _, err := i.run(fn, i.lim.FuelLoad); err != nil {
		return refuse("fails in %s: %w", abi.ExportInit, err)
	}
	if status := uint32(i.stack[0]); status != 0 {
		return refuse("refuses its parameters (%s answers %d): see what it takes in its documentation", abi.ExportInit, status)
	}
	return nil
}
