package virtual

import (
	"context"
	"errors"
	"sync"

	"omx/node/decide"
	"omx/wasm"
)

// Policies compiles each policy once for all nodes of all fleets that share it;
// every node has instances of its own. It may be made outside of bubbles and be
// used in several.
type Policies struct {
	load decide.Loader
	host *wasm.Host

	mu      sync.Mutex
	modules map[string]decide.Module
}

// NewPolicies returns an empty one.
func NewPolicies() (*Policies, error) {
	h, err := wasm.NewHost(context.Background(), wasm.Config{})
	if err != nil {
		return nil, err
	}
	return &Policies{host: h, load: decide.HostLoader(h, wasm.Limits{}, nil), modules: map[string]decide.Module{}}, nil
}

// Load is a decide.Loader.
func (p *Policies) Load(ctx context.Context, want decide.Policy) (decide.Module, error) {
	key := want.Name + "\x00" + string(want.Params) + "\x00" + string(want.Code)
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.modules[key]
	if m == nil {
		var err error
		if m, err = p.load(ctx, want); err != nil {
			return nil, err
		}
		p.modules[key] = m
	}
	return lent{m}, nil
}

// Close frees what was compiled; no node may use it any more.
func (p *Policies) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, m := range p.modules {
		errs = append(errs, m.Close())
	}
	return errors.Join(append(errs, p.host.Close(context.Background()))...)
}

// lent is a module that other nodes use too.
type lent struct{ decide.Module }

// Close leaves it open.
func (lent) Close() error { return nil }
