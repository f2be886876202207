package policyhost

import (
	"context"
	"fmt"
	"time"

	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

// shapes of a runaway, by modules of the corpus.
var shapes = [...]struct{ name, module string }{
	{"loop", "spin"}, {"recursion of calls", "fib"}, {"deep recursion", "recurse"}, {"wide frames", "wide"},
	{"bulk fill", "fill"}, {"memory growth", "grow"}, {"tables", "tables"}, {"calls of the host", "log-flood"},
}

// runaways lets each kind run away on 64 rows, while a ticker of 1 ms says how
// late it is: what a runaway does to the rest of the process.
func runaways(ctx context.Context, o *Options) ([]Figure, error) {
	host, err := wasm.NewHost(ctx, wasm.Config{})
	if err != nil {
		return nil, err
	}
	defer host.Close(context.WithoutCancel(ctx))
	stop, late := ticker()
	var figures []Figure
	for _, s := range shapes {
		code, ok := policies.Evil(s.module)
		if !ok {
			return nil, fmt.Errorf("no module %s", s.module)
		}
		m, err := host.Compile(ctx, s.name, code, wasm.Limits{})
		if err != nil {
			return nil, err
		}
		var rounds []float64
		for range 3 * o.rounds() {
			took, err := runaway(ctx, m)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			rounds = append(rounds, took)
		}
		if err := m.Close(); err != nil {
			return nil, err
		}
		figures = append(figures, over("runaway stopped after", s.name, "µs", 2000, rounds))
	}
	close(stop)
	worst := <-late
	return append(figures, Figure{What: "a 1 ms tick was late by", By: "during all of these", Value: worst, Low: worst, High: worst, Unit: "µs", Floor: 5000}), nil
}

// runaway is how long one call holds its thread, in µs.
func runaway(ctx context.Context, m *wasm.Module) (float64, error) {
	const rows = 64
	i, err := m.New(ctx, wasm.InstanceConfig{})
	if err != nil {
		return 0, err
	}
	size := abi.Size(abi.Route, rows)
	b, err := i.View(abi.Route, size)
	if err != nil {
		return 0, err
	}
	clear(b)
	abi.Begin(b, &abi.Shape{Kind: abi.Route, Rows: rows, Stride: abi.RowSize}).Attempt = 1
	took, _ := timed(func() error {
		_, _, err := i.Call(abi.Route, size, rows)
		return err
	})
	return took, i.Close()
}

// ticker tells, when stop is closed, by how many µs a tick of 1 ms was late at
// most.
func ticker() (stop chan struct{}, late chan float64) {
	stop, late = make(chan struct{}), make(chan float64, 1)
	go func() {
		worst := 0.0
		t := time.NewTicker(time.Millisecond)
		defer t.Stop()
		last := time.Now()
		for {
			select {
			case <-t.C:
				now := time.Now()
				worst = max(worst, float64(now.Sub(last)-time.Millisecond)/1e3)
				last = now
			case <-stop:
				late <- worst
				return
			}
		}
	}()
	return stop, late
}
