package journal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/nodetest"
	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

// mesh is a table of nodes that hold one model.
func mesh(t *testing.T, nodes int, now catalog.Micros) (*catalog.Table, catalog.ModelID, []catalog.NodeInfo) {
	model := nodetest.Model(t, "m")
	var table *catalog.Table
	var infos []catalog.NodeInfo
	for i := range nodes {
		id := nodetest.Node(t, fmt.Sprintf("node%c", 'A'+i))
		info := catalog.NodeInfo{ID: id, Name: "n", Seq: 1, At: now, Placements: []catalog.Placement{{Model: model, State: catalog.Loaded,
			Load:  catalog.Load{Slots: 4, At: now - 1000},
			Speed: catalog.Speed{PrefillNS: 1_000_000, DecodeUS: 10_000, At: now - 5000}}}}
		infos = append(infos, info)
		if i == 0 {
			var err error
			if table, err = catalog.NewTable(info); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := table.PutRecord(info); err != nil {
			t.Fatal(err)
		}
		table.SetRTT(id, uint32(1000*i), now-2000)
		table.SetUp(id, true)
	}
	table.Publish()
	return table, model, infos
}

// What a Decider tells of a busy while, in which policies with state are changed,
// rolled back and crash, is enough for all of it to be had again.
func TestDecider(t *testing.T) {
	const rounds = 1200
	rng := rand.New(rand.NewPCG(1, 2))
	now := catalog.Micros(1_000_000_000)
	table, model, infos := mesh(t, 9, now)
	ctx := context.Background()
	h := newHost(t, false)
	trapping, err := os.ReadFile("../../../policies/corpus/run/unreachable.wasm")
	if err != nil {
		t.Fatal(err)
	}
	crashes, err := h.host.Compile(ctx, "crashes", trapping, wasm.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	h.modules[sha256.Sum256(trapping)] = crashes

	dir := t.TempDir()
	stats := write(t, dir, Config{}, func(w *Writer) {
		d := decide.New(decide.Config{Load: decide.HostLoader(h.host, wasm.Limits{}, nil), Journal: w})
		use := func(k abi.Kind, name, params string) {
			code, _ := policies.Builtin(name)
			if name == "crashes" {
				code = trapping
			} else {
				h.use(name)
			}
			if err := d.Use(ctx, k, decide.Policy{Name: name, Code: code, Params: []byte(params)}); err != nil {
				t.Fatal(err)
			}
		}
		use(abi.Route, "probe-rif", "")
		use(abi.Admit, "fair-share", "")
		use(abi.Replicate, "keep-n", "")
		for n := range rounds {
			now += catalog.Micros(rng.IntN(50_000))
			r := decide.Request{ID: uint64(n), Model: model, Tenant: 1 + rng.Uint64N(3), Session: rng.Uint64N(20), Affinity: rng.Uint64N(9),
				Prompt: rng.Uint32N(3000), Seed: rng.Uint64()}
			if n%97 == 96 {
				r.Attempt = 1 // at which one of the policies crashes
			}
			s := table.Snapshot()
			d.Admit(now, s, &r)
			var p decide.Picks
			if d.Route(now, s, &r, &p); p.N > 0 {
				d.Sent(now, &r, &p.Pick[0])
				d.First(now+2000, &r, &p.Pick[0], catalog.Micros(1000+rng.IntN(90_000)))
				d.Ended(now+9000, &r, &p.Pick[0], decide.End{First: 2000, Took: 9000, Output: 20, Failed: rng.IntN(20) == 0})
			}
			switch n % 200 {
			case 10:
				d.Tick(now)
				d.Replicate(now, s, nil, rng.Uint64())
			case 30:
				use(abi.Route, "power-of-two", "")
				use(abi.Admit, "token-bucket", "")
			case 60:
				use(abi.Route, "crashes", "")
			case 120:
				if err := d.Repair(ctx); err != nil {
					t.Fatal(err)
				}
				use(abi.Route, "peak-ewma", "")
			case 150:
				if err := errors.Join(d.Rollback(abi.Route), d.Rollback(abi.Admit)); err != nil {
					t.Fatal(err)
				}
			}
			if i := 1 + rng.IntN(8); n%5 == 0 {
				infos[i].Seq++
				infos[i].At = now
				infos[i].Placements[0].Load = catalog.Load{Slots: 4, Queued: rng.Uint32N(5), Running: rng.Uint32N(5), At: now}
				if err := table.PutRecord(infos[i]); err != nil {
					t.Fatal(err)
				}
				table.Publish()
			}
			if n%100 == 99 {
				w.Flush()
				waitIdle(w)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	})
	rep := replayed(t, dir, h.same, Options{Same: true, Examples: 3})
	if stats.Lost != 0 || rep.Differ() != 0 || rep.Skipped != 0 || rep.Decisions() < 2*rounds || len(rep.Kinds) != 3 {
		t.Errorf("%+v\n%+v", stats, rep)
	}
	for _, k := range rep.Kinds {
		if k.Unsure != 0 {
			t.Errorf("%s: %d decisions by instances of another state", k.Kind, k.Unsure)
		}
	}
	if faults := records(t, dir, func(r *Record) bool { return r.Type == TypeDecision && r.Decision.Status == abi.Trapped }); faults == 0 {
		t.Error("no policy crashed, the test is about such too")
	}
}
