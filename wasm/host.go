package wasm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"omx/policies/abi"
)

// Config sets up a Host.
type Config struct {
	// CacheDir keeps compiled modules between runs, which pays for modules of
	// many hundred KB; empty: compile each time. It holds machine code: only the
	// user of this process may be able to write there.
	CacheDir string
	// Interpreter runs modules without compiling them: 65 times slower (the
	// built-in routing rule on 64 rows, 2026-11), to the same results and the same
	// fuel, but with calls nested at most 2,000 deep. Processors without a compiler use it
	// anyway.
	Interpreter bool
}

// Host loads policies. Safe for concurrent use; what it loads is not.
type Host struct {
	config Config

	mu     sync.Mutex
	open   map[*Instance]struct{}
	closed bool
}

// NewHost makes a Host and checks that its cache folder can be used.
func NewHost(ctx context.Context, c Config) (*Host, error) {
	if c.CacheDir != "" {
		if err := prepareCache(c.CacheDir); err != nil {
			return nil, fmt.Errorf("use policy cache: %w", err)
		}
	}
	return &Host{config: c, open: map[*Instance]struct{}{}}, nil
}

// Close closes every instance that is still open. No Load or Call may be under
// way.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	var left []*Instance
	for i := range h.open {
		left = append(left, i)
	}
	h.mu.Unlock()
	var errs []error
	for _, i := range left {
		errs = append(errs, i.Close())
	}
	return errors.Join(errs...)
}

// Load makes an instance of a module: inspected, metered, compiled, and tried on
// a small view of each kind it decides. An error about the module has ErrModule
// in it, and says what is wrong and what to do.
func (h *Host) Load(ctx context.Context, name string, code []byte, lim Limits) (*Instance, error) {
	return h.load(ctx, name, code, lim, (*module).meter)
}

// load with another transform than metering is how tests compare the two.
func (h *Host) load(ctx context.Context, name string, code []byte, lim Limits, transform func(*module, *Limits) ([]byte, error)) (*Instance, error) {
	if err := lim.Validate(); err != nil {
		return nil, err
	}
	lim = lim.withDefaults()
	if len(code) > lim.ModuleBytes {
		return nil, refuse("is %d bytes long, %d are allowed: strip it, or raise the limit", len(code), lim.ModuleBytes)
	}
	m, err := inspect(code)
	if err != nil {
		return nil, err
	}
	if err := m.check(&lim); err != nil {
		return nil, err
	}
	metered, err := transform(m, &lim)
	if err != nil {
		return nil, err
	}
	i := &Instance{
		host: h,
		lim:  lim,
		info: Info{Name: name, Digest: sha256.Sum256(code), Kinds: m.kinds(), Bytes: len(code), MemoryPages: m.memories[0].min},
	}
	if err := h.adopt(i); err != nil {
		return nil, err
	}
	err = h.instantiate(ctx, i, metered)
	if err == nil {
		err = i.bind()
	}
	if err == nil {
		err = i.selfTest()
	}
	if err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

func (h *Host) adopt(i *Instance) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	if len(h.open) >= maxInstances {
		return fmt.Errorf("%d policies are loaded: close some first", len(h.open))
	}
	h.open[i] = struct{}{}
	return nil
}

func (h *Host) forget(i *Instance) {
	h.mu.Lock()
	delete(h.open, i)
	h.mu.Unlock()
}

// instantiate gives the instance a runtime of its own, so that closing it frees
// all there is of it.
func (h *Host) instantiate(ctx context.Context, i *Instance, metered []byte) (err error) {
	// A fault of the engine in foreign input must not take the node down.
	defer func() {
		if r := recover(); r != nil {
			err = refuse("breaks the compiler: %v", r)
		}
	}()
	rc := wazero.NewRuntimeConfig()
	if h.config.Interpreter {
		rc = wazero.NewRuntimeConfigInterpreter()
	}
	rc = rc.WithCoreFeatures(api.CoreFeaturesV2).
		WithMemoryLimitPages(i.lim.MemoryPages).
		WithMemoryCapacityFromMax(true).
		WithCloseOnContextDone(false). // fuel stops a policy; a deadline would not stop recursion
		WithDebugInfoEnabled(false)
	compiled, err := h.compile(ctx, i, rc, metered)
	if err != nil {
		return refuse("is not valid: %w; build it again", oneLine(err))
	}
	if i.mod, err = i.runtime.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions()); err != nil {
		// The start function traps when it runs out of fuel as on any other fault;
		// there is no instance left to tell which.
		return refuse("does not start: %w", oneLine(err))
	}
	return nil
}

// bind looks everything up once.
func (i *Instance) bind() error {
	var ok bool
	if g := i.mod.ExportedGlobal(fuelExport); g != nil {
		if i.fuel, ok = g.(api.MutableGlobal); !ok {
			return refuse("has an immutable %s", fuelExport)
		}
	}
	i.memory = i.mod.ExportedMemory(abi.ExportMemory)
	i32, i64 := api.ValueTypeI32, api.ValueTypeI64
	version, err := i.function(abi.ExportABI, nil, i32)
	if err != nil {
		return err
	}
	if i.buf, err = i.function(abi.ExportBuf, []api.ValueType{i32, i32}, i32); err != nil {
		return err
	}
	for n, d := range deciders {
		if i.mod.ExportedFunction(d.export) == nil {
			continue
		}
		if i.ports[n].fn, err = i.function(d.export, []api.ValueType{i32, i32}, i64); err != nil {
			return err
		}
	}
	if _, err := i.run(version, i.lim.FuelLoad); err != nil {
		return refuse("fails in %s: %w", abi.ExportABI, err)
	}
	i.info.Major, i.info.Minor = uint16(i.stack[0]>>16), uint16(i.stack[0])
	if i.info.Major != abi.Major || i.info.Minor > abi.Minor {
		return refuse("speaks version %d.%d of the interface, this program %d.%d: build it for that", i.info.Major, i.info.Minor, abi.Major, abi.Minor)
	}
	return nil
}

func (i *Instance) function(name string, params []api.ValueType, result api.ValueType) (api.Function, error) {
	f := i.mod.ExportedFunction(name)
	d := f.Definition()
	if string(d.ParamTypes()) != string(params) || string(d.ResultTypes()) != string([]api.ValueType{result}) {
		return nil, refuse("exports %s%s: it must be %s%s", name, signature(d.ParamTypes(), d.ResultTypes()), name, signature(params, []api.ValueType{result}))
	}
	return f, nil
}

func signature(params, results []api.ValueType) string {
	list := func(types []api.ValueType) string {
		var names []string
		for _, t := range types {
			names = append(names, api.ValueTypeName(t))
		}
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("(%s) -> (%s)", list(params), list(results))
}

// oneLine drops the stack trace that the engine adds after a fault.
func oneLine(err error) error {
	line, _, more := strings.Cut(err.Error(), "\n")
	if !more {
		return err
	}
	return errors.New(line)
}
