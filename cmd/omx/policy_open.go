package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"omx/node/policy"
	"omx/policies/abi"
	"omx/wasm"
)

// largestModule is the largest file that is read: the host takes none above it.
const largestModule = 16 << 20

// readPolicy reads a module, a file or a built-in one by its name.
func readPolicy(ref string) ([]byte, error) {
	list, err := policy.Find(ref, "")
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("policy %s is a folder: name one of its modules", ref)
	}
	return list[0].Code, nil
}

// policyFile are the flags of commands that run a module on this machine.
type policyFile struct {
	File  string   `arg:"" help:"Policy module (.wasm), or the name of a built-in one."`
	Large bool     `name:"policy-large" help:"Allow modules of the size that Go makes."`
	Param []string `help:"Parameter of the policy, key=value; repeat it for more." placeholder:"KEY=VALUE"`
}

// openPolicy is a module compiled and ready, as in a node.
type openPolicy struct {
	*wasm.Module
	code   []byte
	host   *wasm.Host
	config wasm.InstanceConfig
}

func (f *policyFile) open(e *env) (*openPolicy, error) {
	code, err := readPolicy(f.File)
	if err != nil {
		return nil, err
	}
	p, err := openModule(e.ctx, f.File, code, wasm.Limits{Large: f.Large})
	if err != nil {
		return nil, err
	}
	if len(f.Param) > 0 {
		p.config.Params = []byte(strings.Join(f.Param, "\n") + "\n")
	}
	p.config.Log = func(level int, line string) { e.say("policy: %s", line) }
	return p, nil
}

func openModule(ctx context.Context, name string, code []byte, lim wasm.Limits) (*openPolicy, error) {
	host, err := wasm.NewHost(ctx, wasm.Config{Version: version})
	if err != nil {
		return nil, err
	}
	m, err := host.Compile(ctx, name, code, lim)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), host.Close(ctx))
	}
	return &openPolicy{Module: m, code: code, host: host}, nil
}

func (p *openPolicy) instance(ctx context.Context) (*wasm.Instance, error) {
	return p.New(ctx, p.config)
}

// close frees the module and all its instances.
func (p *openPolicy) close() error { return p.host.Close(context.Background()) }

// tryView has an instance decide on a case, after it has heard its events. The
// view holds the answer's scores or steps, and is valid until the next call.
func tryView(i *wasm.Instance, c *policyCase) (abi.View, abi.Answer, uint64, error) {
	for _, b := range c.events {
		if err := i.Event(b); err != nil {
			return abi.View{}, 0, 0, fmt.Errorf("%s: %w", abi.ExportEvent, err)
		}
	}
	stride, tags := i.Wants(c.shape.Kind)
	s := c.as(stride, tags)
	b, err := i.View(s.Kind, s.Size())
	if err != nil {
		return abi.View{}, 0, 0, err
	}
	c.write(b, s, tags)
	a, fuel, err := i.Call(s.Kind, len(b), s.Rows)
	if err != nil {
		return abi.View{}, a, fuel, err
	}
	// Memory may have moved; the area has not.
	if b, err = i.View(s.Kind, len(b)); err != nil {
		return abi.View{}, a, fuel, err
	}
	v, err := abi.Open(b)
	if err != nil {
		err = fmt.Errorf("the policy changed the view: %w", err)
	}
	return v, a, fuel, err
}
