package wasm

import (
	"context"
	"testing"
	"time"
)

// While policies run away, one after the other, the process goes on: a ticker of
// 1 ms is late by no more than one of them can take, and the scheduler.
func TestRunawaysDoNotStopTheProcess(t *testing.T) {
	modules := corpus(t, "run")
	h := newHost(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	worst := make(chan time.Duration)
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
				worst <- late
				return
			}
		}
	}()
	longest := map[string]time.Duration{}
	for range 20 {
		for _, name := range []string{"spin", "fib", "recurse", "wide", "fill", "grow", "log-flood", "tables"} {
			i, err := h.Load(t.Context(), name, modules[name], Limits{FuelBase: 20_000 + 64*1000 - 8*1000})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			retry(t, i)
			longest[name] = max(longest[name], time.Since(began))
			if err := i.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cancel()
	late := <-worst
	t.Logf("a tick was late by %v at most; the longest calls: %v", late, longest)
	// A runaway that is not stopped never ends; this bound leaves room for a
	// machine that does ten other things.
	if late > 500*time.Millisecond {
		t.Errorf("a tick was late by %v", late)
	}
}
