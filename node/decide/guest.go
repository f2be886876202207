package decide

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"omx/policies/abi"
	"omx/wasm"
)

// Policy is a module to decide by.
type Policy struct {
	Name   string
	Code   []byte
	Params []byte // the operator's parameters, lines of key=value; nil for none
}

// Module is a loaded policy, compiled once.
type Module interface {
	Info() wasm.Info
	// New makes an instance with a state of its own.
	New(ctx context.Context) (Guest, error)
	Close() error
}

// Guest is one instance of a policy; wasm.Instance is the one in use. It is
// called by one goroutine at a time.
type Guest interface {
	// Wants is how many bytes of each row it reads, and which tags of the
	// extension, as a mask.
	Wants(k abi.Kind) (rowBytes int, tags uint32)
	// View is the window of so many bytes in which the policy reads.
	View(k abi.Kind, bytes int) ([]byte, error)
	// Call decides; fuel is what it cost. After an error the guest is spoiled.
	Call(k abi.Kind, viewLen, rows int) (answer abi.Answer, fuel uint64, err error)
	// Event tells it what happened; nothing if it does not listen.
	Event(b []byte) error
	Spoiled() bool
	Close() error
}

// Loader turns a module's bytes into a Module that has passed its checks.
type Loader func(ctx context.Context, p Policy) (Module, error)

// loaded is a policy that can decide: the instance that does, which has its
// state, and a spare that takes over at once when that one traps.
type loaded struct {
	Policy
	module       Module
	digest       [32]byte
	guest, spare Guest
	stats        Stats
	spoiled      [MaxFaults]int64 // µs, when instances failed of late
	fresh        bool             // the next decision is the first of its instance
	resumed      bool             // or the first since it is in charge again
}

// newLoaded loads a policy and makes its two instances.
func newLoaded(ctx context.Context, load Loader, kind abi.Kind, p Policy) (*loaded, error) {
	m, err := load(ctx, p)
	if err != nil {
		return nil, err
	}
	l := &loaded{Policy: p, module: m, digest: m.Info().Digest, fresh: true}
	if kinds := m.Info().Kinds; !slices.Contains(kinds, kind) {
		return nil, errors.Join(fmt.Errorf("it does not decide %q (no export omx_%s); it decides %v", kind, kind, kinds), l.Close())
	}
	for _, g := range []*Guest{&l.guest, &l.spare} {
		if *g, err = m.New(ctx); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// Close frees both instances and the module.
func (l *loaded) Close() error {
	if l == nil {
		return nil
	}
	var errs []error
	for _, g := range []Guest{l.guest, l.spare} {
		if g != nil {
			errs = append(errs, g.Close())
		}
	}
	return errors.Join(append(errs, l.module.Close())...)
}

// HostLoader loads policies into a wasm.Host. log gets what they log; nil drops
// it.
func HostLoader(h *wasm.Host, lim wasm.Limits, log func(policy string, level int, line string)) Loader {
	return func(ctx context.Context, p Policy) (Module, error) {
		m, err := h.Compile(ctx, p.Name, p.Code, lim)
		if err != nil {
			return nil, err
		}
		c := wasm.InstanceConfig{Params: p.Params}
		if log != nil {
			c.Log = func(level int, line string) { log(p.Name, level, line) }
		}
		return hosted{m, c}, nil
	}
}

// hosted is a module of a wasm.Host.
type hosted struct {
	*wasm.Module
	config wasm.InstanceConfig
}

func (m hosted) New(ctx context.Context) (Guest, error) {
	i, err := m.Module.New(ctx, m.config)
	if err != nil {
		return nil, err
	}
	return i, nil
}
