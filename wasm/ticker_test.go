package wasm

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"omx/policies/abi"
)

// runaways are the modules of the corpus that do not end by themselves, and one
// that takes all the memory it can get.
var runaways = []string{"spin", "fib", "recurse", "wide", "vectors", "fill", "grow", "tables", "roots", "refs", "chase", "log-flood", "prints", "draws", "waits"}

// runaway makes a function that has one instance after the other run away, with
// the budget of so many rows, and tells how long the call took.
func runaway(t testing.TB, h *Host, name string, code []byte, rows uint64) func() time.Duration {
	t.Helper()
	lim := Limits{}.withDefaults()
	budget := lim.fuel(abi.Route, int(rows), 0)
	m, err := h.Compile(t.Context(), name, code, Limits{FuelBase: budget - 8*defaultFuelPerRow})
	if err != nil {
		t.Fatal(err)
	}
	return func() time.Duration {
		i, err := m.New(t.Context(), InstanceConfig{Log: func(int, string) {}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, _, err = retry(t, i)
		took := time.Since(began)
		if name != "grow" && !errors.Is(err, ErrOutOfFuel) {
			t.Fatalf("%s: %v", name, err)
		}
		if err := i.Close(); err != nil {
			t.Fatal(err)
		}
		return took
	}
}

// ticks watches a ticker of 1 ms until the function it returns is called, which
// tells by how much a tick was late at most.
func ticks(t testing.TB) (worst func() time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	found := make(chan time.Duration)
	go func() {
		var late time.Duration
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case <-tick.C:
				now := time.Now()
				late = max(late, now.Sub(last)-time.Millisecond)
				last = now
			case <-ctx.Done():
				found <- late
				return
			}
		}
	}()
	return func() time.Duration {
		cancel()
		return <-found
	}
}

// While policies run away, one after the other, the process goes on: a ticker of
// 1 ms is late by no more than one of them can take, and the scheduler.
func TestRunawaysDoNotStopTheProcess(t *testing.T) {
	modules := corpus(t, "run")
	h := newHost(t, Config{})
	for _, rows := range []uint64{64, abi.MaxRows} {
		for _, name := range runaways {
			run := runaway(t, h, name, modules[name], rows)
			worst := ticks(t)
			var most time.Duration
			least := time.Hour
			for range 10 {
				took := run()
				most, least = max(most, took), min(least, took)
			}
			late := worst()
			t.Logf("%4d rows, %-9s stopped after %v to %v; a tick was late by %v at most", rows, name, least, most, late)
			// A runaway that is not stopped never ends; these bounds leave room for a
			// machine that does ten other things. "chase" waits for memory, 75 ms alone and
			// 130 beside them; bench policy measures what a quiet machine does.
			slack := time.Duration(1)
			if raceEnabled {
				slack = 10 // it slows the host's functions down
			}
			if late > slack*time.Second || least > slack*500*time.Millisecond {
				t.Errorf("%s with the budget of %d rows: stopped after %v, a tick late by %v", name, rows, least, late)
			}
		}
	}
}

// BenchmarkStop is how long a runaway holds its thread, and by how much a ticker
// of 1 ms in the same process was late meanwhile.
func BenchmarkStop(b *testing.B) {
	modules := corpus(b, "run")
	h := newHost(b, Config{})
	for _, rows := range []uint64{64, abi.MaxRows} {
		for _, name := range runaways {
			b.Run(fmt.Sprintf("%d/%s", rows, name), func(b *testing.B) {
				run := runaway(b, h, name, modules[name], rows)
				worst := ticks(b)
				least := time.Hour
				var most, all time.Duration
				for b.Loop() {
					took := run()
					all, least, most = all+took, min(least, took), max(most, took)
				}
				b.ReportMetric(0, "ns/op") // that has making the instance in it
				b.ReportMetric(float64(least.Microseconds()), "least-µs")
				b.ReportMetric(float64(all.Microseconds())/float64(b.N), "mean-µs")
				b.ReportMetric(float64(most.Microseconds()), "most-µs")
				b.ReportMetric(float64(worst().Microseconds()), "tick-late-µs")
			})
		}
	}
}
