package journal

import (
	"context"
	"crypto/sha256"
	"os"
	"testing"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/policies/abi"
	"omx/wasm"
)

// A policy that failed fails in the same way when it is asked again, and where it
// did not fail it agrees; one that does not fail differs just where that one did.
func TestFaults(t *testing.T) {
	for name, want := range map[string]abi.Status{"spin": abi.OutOfFuel, "unreachable": abi.Trapped, "liar": abi.BadAnswer, "nonsense": abi.BadAnswer, "log-flood": abi.OutOfFuel} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			now := catalog.Micros(1_000_000_000)
			table, model, _ := mesh(t, 9, now)
			h := newHost(t, false)
			code, err := os.ReadFile("../../../policies/corpus/run/" + name + ".wasm")
			if err != nil {
				t.Fatal(err)
			}
			if h.modules[sha256.Sum256(code)], err = h.host.Compile(ctx, name, code, wasm.Limits{}); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			const rounds, faults = 40, 4
			write(t, dir, Config{}, func(w *Writer) {
				d := decide.New(decide.Config{Load: decide.HostLoader(h.host, wasm.Limits{}, nil), Journal: w})
				defer d.Close()
				if err := d.Use(ctx, abi.Route, decide.Policy{Name: name, Code: code}); err != nil {
					t.Fatal(err)
				}
				for n := range rounds {
					now += decide.FaultWindow // faults are too far apart for it to be set aside
					r := decide.Request{ID: uint64(n), Model: model, Prompt: 10}
					if n%(rounds/faults) == 5 {
						r.Attempt = 1 // at which it fails
					}
					var p decide.Picks
					if d.Route(now, table.Snapshot(), &r, &p); p.N == 0 {
						t.Fatal("no node was picked")
					}
					if err := d.Repair(ctx); err != nil {
						t.Fatal(err)
					}
				}
			})
			failed := records(t, dir, func(r *Record) bool { return r.Type == TypeDecision && r.Decision.Status == want })
			if failed != faults {
				t.Fatalf("%d decisions are %v, want %d", failed, want, faults)
			}
			if rep := replayed(t, dir, h.same, Options{Same: true, Examples: 3}); rep.Decisions() != rounds || rep.Differ() != 0 {
				t.Errorf("the same policy: %+v", rep)
			}
			rep := replayed(t, dir, h.only("nearest", abi.Route), Options{})
			if got := count(rep.Kinds[0], want.String()+", now ok"); got != faults {
				t.Errorf("a sound policy: %d decisions are sound now, want %d: %+v", got, faults, rep)
			}
		})
	}
}
