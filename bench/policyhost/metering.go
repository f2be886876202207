package policyhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"omx/policies"
	"omx/policies/abi"
	"omx/policies/rules"
	"omx/wasm"
)

// goRule is the routing rule of the Go template, compiled; errNoGo without a
// compiler.
func goRule(ctx context.Context) ([]byte, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, errNoGo
	}
	dir, err := os.MkdirTemp("", "omx-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	files, err := policies.Project("bench", "go", abi.Route)
	if err != nil {
		return nil, err
	}
	for name, b := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600)); err != nil {
			return nil, err
		}
	}
	out := filepath.Join(dir, "out.wasm")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build a policy in Go: %w: %s", err, text)
	}
	return os.ReadFile(out)
}

var errNoGo = errors.New("there is no go command")

// metering compares modules with and without it, call by call in turns, on 64
// rows that lie there already.
func metering(ctx context.Context, o *Options) ([]Figure, error) {
	weights, err := rules.Compile([]byte("kind = \"route\"\n[[drop]]\nwhen = \"draining or suspect\"\n[[score]]\nvalue = \"rtt + (queued + running) * 1000 / max(slots, 1)\"\n"))
	if err != nil {
		return nil, err
	}
	as, _ := policies.Builtin("expected-time")
	c, _ := policies.Example("c")
	rust, _ := policies.Example("rust")
	guests := []struct {
		name  string
		code  []byte
		floor float64
	}{{"rules", weights.Module, 1.10}, {"AssemblyScript", as, 1.10}, {"C", c, 1.10}, {"Rust", rust, 1.25}}
	switch code, err := goRule(ctx); {
	case err == nil && !o.Short:
		guests = append(guests, struct {
			name  string
			code  []byte
			floor float64
		}{"Go", code, 1.10})
	case err != nil && !errors.Is(err, errNoGo):
		return nil, err
	}
	var figures []Figure
	for _, g := range guests {
		f, err := overhead(ctx, o, g.name, g.code, g.floor)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.name, err)
		}
		figures = append(figures, f)
	}
	return figures, nil
}

func overhead(ctx context.Context, o *Options, name string, code []byte, floor float64) (Figure, error) {
	metered, err := wasm.Meter(code, wasm.Limits{Large: true})
	if err != nil {
		return Figure{}, err
	}
	var calls [2]func() error
	for i, b := range [][]byte{code, metered} {
		r := wazero.NewRuntime(ctx)
		defer r.Close(ctx)
		if calls[i], err = bare(ctx, r, b); err != nil {
			return Figure{}, err
		}
	}
	const batch = 200
	var ratios []float64
	for range o.rounds() {
		// The fastest of several batches each, in turns: what the code takes when
		// nothing else has the processor.
		var best [2]time.Duration
		for range 20 {
			for i, call := range calls {
				began := time.Now()
				for range batch {
					if err := call(); err != nil {
						return Figure{}, err
					}
				}
				if took := time.Since(began); best[i] == 0 || took < best[i] {
					best[i] = took
				}
			}
		}
		ratios = append(ratios, float64(best[1])/float64(best[0]))
	}
	return over("metered / plain, 64 rows", name, "×", floor, ratios), nil
}

// bare instantiates a routing policy without the host and returns a call of it on
// 64 rows.
func bare(ctx context.Context, r wazero.Runtime, code []byte) (func() error, error) {
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
		return nil, err
	}
	nothing := func(context.Context, api.Module, []uint64) {}
	i32, i64 := api.ValueTypeI32, api.ValueTypeI64
	if _, err := r.NewHostModuleBuilder("omx1").
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(nothing), []api.ValueType{i32, i32, i32}, nil).Export("log").
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(nothing), []api.ValueType{i32, i64}, nil).Export("count").
		Instantiate(ctx); err != nil {
		return nil, err
	}
	m, err := r.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		return nil, err
	}
	fuel, _ := m.ExportedGlobal("omx.fuel").(api.MutableGlobal)
	refill := func() {
		if fuel != nil {
			fuel.Set(1 << 40)
		}
	}
	refill()
	if f := m.ExportedFunction(abi.ExportInitialize); f != nil {
		if _, err := f.Call(ctx); err != nil {
			return nil, err
		}
	}
	const rows = 64
	shape := abi.Shape{Kind: abi.Route, Rows: rows, Stride: abi.RowSize}
	view := make([]byte, shape.Size())
	h := abi.Begin(view, &shape)
	h.Clock, h.Prompt, h.ExpectOut = 1_000_000, 200, 128
	for i := range rows {
		u := uint32(i)
		var row abi.Row
		row.Node, row.Flags, row.Slots, row.LoadAt, row.Queued, row.Running = uint64(i)+1, abi.Loaded, 4, 999_000, u%5, u%4
		row.RTT, row.RTTAt, row.Prefill, row.Decode, row.SpeedAt = 1000*u, 999_000, 200_000+10_000*u, 10_000+500*u, 999_000
		abi.PutRow(view, shape.Stride, i, &row)
	}
	room, err := m.ExportedFunction(abi.ExportBuf).Call(ctx, uint64(abi.Route), uint64(len(view)))
	if err != nil || room[0] == 0 || !m.Memory().Write(uint32(room[0]), slices.Clone(view)) {
		return nil, fmt.Errorf("no room for a view: %v", err)
	}
	route, stack := m.ExportedFunction(abi.ExportRoute), make([]uint64, 2)
	return func() error {
		refill()
		stack[0], stack[1] = room[0], uint64(len(view))
		if err := route.CallWithStack(ctx, stack); err != nil {
			return err
		}
		if s := abi.Answer(stack[0]).Status(); s != abi.OK {
			return fmt.Errorf("status %v", s)
		}
		return nil
	}, nil
}
