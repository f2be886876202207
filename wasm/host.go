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
)

// Config sets up a Host.
type Config struct {
	// CacheDir keeps compiled modules between runs, which pays for modules of
	// many hundred KB; empty: compile each time. It holds machine code: only the
	// user of this process may be able to write there.
	CacheDir string
	// Version is that of the program; compiled modules of others are not used.
	Version string
	// Interpreter runs modules without compiling them: 72 times slower
	// (prefix-affinity on 64 rows, 2026-11), to the same results and the same
	// fuel, but with calls nested at most 2,000 deep. Processors without a compiler use it
	// anyway.
	Interpreter bool
}

// Host loads policies. Safe for concurrent use.
type Host struct {
	config Config

	mu        sync.Mutex
	open      map[*Module]struct{}
	instances int
	closed    bool
}

// NewHost makes a Host and checks that its cache folder can be used.
func NewHost(ctx context.Context, c Config) (*Host, error) {
	h := &Host{config: c, open: map[*Module]struct{}{}}
	if c.CacheDir != "" {
		if err := h.prepareCache(); err != nil {
			return nil, fmt.Errorf("use policy cache: %w", err)
		}
	}
	return h, nil
}

// Close closes every module that is still open. Nothing may be under way.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	var left []*Module
	for m := range h.open {
		left = append(left, m)
	}
	h.mu.Unlock()
	var errs []error
	for _, m := range left {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// Compile makes a module ready to run: inspected, metered, compiled, and tried on
// a small view of each kind it decides and on the samples it carries. An error
// about the module has ErrModule in it, and says what is wrong and what to do.
func (h *Host) Compile(ctx context.Context, name string, code []byte, lim Limits) (*Module, error) {
	return h.compileWith(ctx, name, code, lim, (*module).meter)
}

// Load compiles a module and makes one instance; closing that closes both.
func (h *Host) Load(ctx context.Context, name string, code []byte, lim Limits) (*Instance, error) {
	return h.load(ctx, name, code, lim, (*module).meter)
}

func (h *Host) load(ctx context.Context, name string, code []byte, lim Limits, transform func(*module, *Limits) ([]byte, error)) (*Instance, error) {
	m, err := h.compileWith(ctx, name, code, lim, transform)
	if err != nil {
		return nil, err
	}
	i, err := m.New(ctx, InstanceConfig{})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	i.owned = true
	return i, nil
}

// compileWith another transform than metering is how tests compare the two.
func (h *Host) compileWith(ctx context.Context, name string, code []byte, lim Limits, transform func(*module, *Limits) ([]byte, error)) (*Module, error) {
	if err := lim.Validate(); err != nil {
		return nil, err
	}
	lim = lim.forSize(len(code))
	if len(code) > lim.ModuleBytes {
		return nil, refuse("is %d bytes long, %d are allowed: strip it%s", len(code), lim.ModuleBytes, lim.advice())
	}
	shape, err := inspect(code)
	if err != nil {
		return nil, err
	}
	if err := shape.check(&lim); err != nil {
		return nil, err
	}
	metered, err := transform(shape, &lim)
	if err != nil {
		return nil, err
	}
	samples, err := shape.samples()
	if err != nil {
		return nil, err
	}
	m := &Module{host: h, lim: lim, open: map[*Instance]struct{}{}, hosted: len(shape.imports) > 0, info: Info{
		Name: name, Digest: sha256.Sum256(code), Kinds: shape.kinds(), Bytes: len(code), Metered: len(metered),
		MemoryPages: shape.memories[0].min, MaxPages: shape.memories[0].limit(&lim), Imports: shape.importNames(), Metadata: shape.metadata()}}
	if err := h.adopt(m); err != nil {
		return nil, err
	}
	if err := h.prepare(ctx, m, metered, samples); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// prepare compiles the module and tries it.
func (h *Host) prepare(ctx context.Context, m *Module, metered []byte, samples []Sample) (err error) {
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
		WithMemoryLimitPages(m.lim.MemoryPages).
		WithMemoryCapacityFromMax(true).
		WithCloseOnContextDone(false). // fuel stops a policy; a deadline would not stop recursion
		WithDebugInfoEnabled(false)
	if m.compiled, err = h.compile(ctx, m, rc, metered); err != nil {
		return refuse("is not valid: %w; build it again", oneLine(err))
	}
	if m.hosted {
		if err := grant(ctx, m.runtime, m.info.Imports); err != nil {
			return fmt.Errorf("make the host's functions: %w", err)
		}
	}
	i, err := m.instantiate(ctx, InstanceConfig{})
	if err != nil {
		return err
	}
	m.info.Major, m.info.Minor = i.major, i.minor
	if err := errors.Join(i.selfTest(), i.Close()); err != nil {
		return err
	}
	return m.runSamples(ctx, samples)
}

func (h *Host) adopt(m *Module) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	if len(h.open) >= maxModules {
		return fmt.Errorf("%d policies are loaded: close some first", len(h.open))
	}
	h.open[m] = struct{}{}
	return nil
}

func (h *Host) forget(m *Module) {
	h.mu.Lock()
	delete(h.open, m)
	h.mu.Unlock()
}

// count keeps the number of instances below its bound.
func (h *Host) count(n int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n > 0 && h.instances >= maxInstances {
		return fmt.Errorf("there are %d instances of policies: close some first", h.instances)
	}
	h.instances += n
	return nil
}

func (i *Instance) function(name string, params []api.ValueType, results ...api.ValueType) (api.Function, error) {
	f := i.mod.ExportedFunction(name)
	if f == nil {
		return nil, refuse("does not export the function %s", name)
	}
	d := f.Definition()
	if string(d.ParamTypes()) != string(params) || string(d.ResultTypes()) != string(results) {
		return nil, refuse("exports %s%s: it must be %s%s", name, typeText(d.ParamTypes(), d.ResultTypes()), name, typeText(params, results))
	}
	return f, nil
}

func typeText(params, results []api.ValueType) string {
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
