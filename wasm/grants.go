package wasm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// instanceKey finds the instance that calls a function of the host.
type instanceKey struct{}

// hostFunction is a function of the host that a policy may import. It has neither time nor power
// of its own: what it answers depends on the view and on what was called before.
type hostFunction struct {
	module, name    string
	params, results []api.ValueType
	cost            uint64 // fuel, beside one unit per 8 bytes that it reads or writes
	do              func(i *Instance, args []uint64) uint64
}

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// granted is found by what imports name.
func granted(module, name string) *hostFunction {
	for f := range slices.Values(functions) {
		if f.module == module && f.name == name {
			return &f
		}
	}
	return nil
}

// grant puts the functions that a module imports into its runtime.
func grant(ctx context.Context, r wazero.Runtime, imports []string) error {
	builders := map[string]wazero.HostModuleBuilder{}
	for n := range functions {
		f := &functions[n]
		if !slices.Contains(imports, f.module+"."+f.name) {
			continue
		}
		if builders[f.module] == nil {
			builders[f.module] = r.NewHostModuleBuilder(f.module)
		}
		builders[f.module] = builders[f.module].NewFunctionBuilder().
			WithGoModuleFunction(api.GoModuleFunc(f.call), f.params, f.results).Export(f.name)
	}
	var errs []error
	for _, b := range builders {
		_, err := b.Instantiate(ctx)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// errHost stops a policy inside a function of the host.
var errHost = errors.New("called a function of the host with no fuel left, or too early")

func (f *hostFunction) call(ctx context.Context, _ api.Module, stack []uint64) {
	i, _ := ctx.Value(instanceKey{}).(*Instance)
	if i == nil || i.memory == nil {
		panic(errHost) // a start function: nothing is set up yet
	}
	i.charge(f.cost)
	result := f.do(i, stack)
	if len(f.results) > 0 {
		stack[0] = result
	}
}

// charge takes fuel for what the host does for the policy.
func (i *Instance) charge(units uint64) {
	if i.fuel == nil {
		return
	}
	left := int64(i.fuel.Get()) - int64(units)
	i.fuel.Set(uint64(left))
	if left < 0 {
		panic(errHost)
	}
}

// bytes is a range of the policy's memory, which it pays for; nil if there is
// no such range.
func (i *Instance) bytes(ptr, size uint64) []byte {
	i.charge(uint64(uint32(size)) / 8)
	b, ok := i.memory.Read(uint32(ptr), uint32(size))
	if !ok {
		return nil
	}
	return b
}

// deny says which imports are not granted, and what is.
func deny(denied []entity) error {
	var names []string
	for _, e := range denied {
		if len(names) == maxNamed {
			names = append(names, fmt.Sprintf("and %d more", len(denied)-maxNamed))
			break
		}
		name := e.text()
		if e.kind != kindFunction {
			name += " (" + kindNames[e.kind] + ")"
		}
		names = append(names, name)
	}
	e := denied[0]
	advice := "take time and seed from the view"
	switch {
	case e.module == "env" && e.name == "abort":
		advice = "with AssemblyScript, build with --use abort="
	case strings.HasPrefix(e.module, "wasi"):
		advice = "a policy has no files, sockets or processes: leave out what needs them"
	}
	return refuse("imports %s: granted are omx1.log, omx1.count and a part of wasi_snapshot_preview1 (see policies/ABI.md); %s", strings.Join(names, ", "), advice)
}

// functions are all that a policy may import.
var functions = append([]hostFunction{
	{"omx1", "log", []api.ValueType{i32, i32, i32}, nil, hostCost, func(i *Instance, a []uint64) uint64 {
		if b := i.bytes(a[1], min(uint64(uint32(a[2])), maxLine)); b != nil {
			i.write(int(int32(a[0])), b)
		}
		return 0
	}},
	{"omx1", "count", []api.ValueType{i32, i64}, nil, hostCost, func(i *Instance, a []uint64) uint64 {
		if id := uint32(a[0]); id < maxCounters {
			i.world.counters[id] += int64(a[1])
		}
		return 0
	}},
}, wasi...)
