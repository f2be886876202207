package policyhost

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/decide/journal"
	"omx/policies"
	"omx/policies/abi"
	"omx/policies/sign"
	"omx/wasm"
)

// loading is the way of a signed module from its bytes to its first answer.
func loading(ctx context.Context, o *Options) ([]Figure, error) {
	small, _ := policies.Builtin(policies.DefaultRoute)
	f, err := firstAnswer(ctx, o, "AssemblyScript", small, "", 5)
	if err != nil {
		return nil, err
	}
	figures := []Figure{f}
	code, err := goRule(ctx)
	if errors.Is(err, errNoGo) || o.Short {
		return figures, nil
	}
	if err != nil {
		return nil, err
	}
	cache, err := os.MkdirTemp("", "omx-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(cache)
	if _, err := firstAnswer(ctx, &Options{Short: true}, "", code, cache, 0); err != nil { // fills the cache
		return nil, err
	}
	if f, err = firstAnswer(ctx, o, "Go, compiled before", code, cache, 60); err != nil {
		return nil, err
	}
	return append(figures, f), nil
}

func firstAnswer(ctx context.Context, o *Options, by string, code []byte, cache string, floor float64) (Figure, error) {
	key, err := sign.NewKey(rand.Reader)
	if err != nil {
		return Figure{}, err
	}
	trust, err := sign.ParseTrust([]byte(key.Public().String()))
	if err != nil {
		return Figure{}, err
	}
	sig, err := sign.Sign(key, code, nil)
	if err != nil {
		return Figure{}, err
	}
	var rounds []float64
	for range o.rounds() {
		host, err := wasm.NewHost(ctx, wasm.Config{CacheDir: cache})
		if err != nil {
			return Figure{}, err
		}
		took, err := timed(func() error {
			if _, err := trust.Verify(code, sig); err != nil {
				return err
			}
			i, err := host.Load(ctx, "bench", code, wasm.Limits{Large: true})
			if err != nil {
				return err
			}
			size := abi.Size(abi.Route, 8)
			b, err := i.View(abi.Route, size)
			if err != nil {
				return err
			}
			abi.Begin(b, &abi.Shape{Kind: abi.Route, Rows: 8, Stride: abi.RowSize})
			_, _, err = i.Call(abi.Route, size, 8)
			return err
		})
		if err = errors.Join(err, host.Close(ctx)); err != nil {
			return Figure{}, err
		}
		rounds = append(rounds, took/1e3)
	}
	return over("signed module to first answer", by, "ms", floor, rounds), nil
}

// memory is what a hundred policies add to the process.
func memory(ctx context.Context, o *Options) ([]Figure, error) {
	const many = 100
	if _, err := resident(); err != nil {
		return nil, nil // only Linux tells
	}
	host, err := wasm.NewHost(ctx, wasm.Config{})
	if err != nil {
		return nil, err
	}
	defer host.Close(context.WithoutCancel(ctx))
	list := policies.List()
	add := func(n int) error {
		p := list[n%len(list)]
		code, _ := policies.Builtin(p.Name)
		// Another digest each, as other policies have.
		_, err := host.Load(ctx, p.Name, wasm.AppendMetadata(code, fmt.Appendf(nil, "%d", n)), wasm.Limits{})
		return err
	}
	if err := add(0); err != nil { // the runtime's own share
		return nil, err
	}
	debug.FreeOSMemory()
	before, _ := resident()
	for n := range many {
		if err := add(n); err != nil {
			return nil, err
		}
	}
	debug.FreeOSMemory()
	after, _ := resident()
	grown := float64(after-before) / (1 << 20)
	return []Figure{{What: "memory of 100 policies", By: "one instance each", Value: grown, Low: grown, High: grown, Unit: "MiB", Floor: 16}}, nil
}

// resident is the process's memory, in bytes.
func resident() (int64, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, errors.New("unknown format")
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// reloads is what a thousand policies leave that came and went.
func reloads(ctx context.Context, o *Options) ([]Figure, error) {
	n := 1000
	if o.Short {
		n = 50
	}
	host, err := wasm.NewHost(ctx, wasm.Config{})
	if err != nil {
		return nil, err
	}
	defer host.Close(context.WithoutCancel(ctx))
	d := decide.New(decide.Config{Load: decide.HostLoader(host, wasm.Limits{}, nil)})
	defer d.Close()
	use := func(i int) error {
		name := []string{"nearest", "least-loaded", "random"}[i%3]
		code, _ := policies.Builtin(name)
		return d.Use(ctx, abi.Route, decide.Policy{Name: name, Code: code})
	}
	heap := func() float64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 10)
	}
	for i := range 20 {
		if err := use(i); err != nil {
			return nil, err
		}
	}
	before := heap()
	for i := range n {
		if err := use(i); err != nil {
			return nil, err
		}
	}
	grown := heap() - before
	return []Figure{{What: fmt.Sprintf("heap after %d reloads", n), Value: grown, Low: grown, High: grown, Unit: "KiB", Floor: 1024}}, nil
}

// replay records decisions of a small mesh and has them taken again.
func replay(ctx context.Context, o *Options) (figures []Figure, err error) {
	decisions := 50_000
	if o.Short {
		decisions = 500
	}
	host, err := wasm.NewHost(ctx, wasm.Config{})
	if err != nil {
		return nil, err
	}
	defer host.Close(context.WithoutCancel(ctx))
	for _, c := range []struct {
		policy string
		rows   int
	}{{policies.DefaultRoute, 8}, {"nearest", 64}, {policies.DefaultRoute, 64}} {
		dir, err := os.MkdirTemp("", "omx-bench-")
		if err != nil {
			return nil, err
		}
		f, differ, err := replayed(ctx, o, host, dir, c.policy, c.rows, decisions)
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			return nil, err
		}
		figures = append(figures, f, Figure{What: "decisions that differ", By: f.By, Value: differ, Low: differ, High: differ, Unit: fmt.Sprintf("of %d", decisions)})
	}
	return figures, nil
}

func replayed(ctx context.Context, o *Options, host *wasm.Host, dir, policy string, rows, decisions int) (f Figure, differ float64, err error) {
	if err := record(ctx, host, dir, policy, rows, decisions); err != nil {
		return f, 0, err
	}
	code, _ := policies.Builtin(policy)
	m, err := host.Compile(ctx, policy, code, wasm.Limits{})
	if err != nil {
		return f, 0, err
	}
	defer m.Close()
	var rounds []float64
	for range o.rounds() {
		r, err := journal.Read(dir)
		if err != nil {
			return f, 0, err
		}
		began := time.Now()
		rep, err := journal.Replay(ctx, r, func(abi.Kind, [32]byte, []byte) (decide.Guest, error) {
			return m.New(ctx, wasm.InstanceConfig{})
		}, journal.Options{Same: true})
		took := time.Since(began)
		if err := errors.Join(err, r.Close()); err != nil {
			return f, 0, err
		}
		if rep.Decisions() != uint64(decisions) {
			return f, 0, fmt.Errorf("%d of %d decisions were replayed", rep.Decisions(), decisions)
		}
		differ += float64(rep.Differ())
		rounds = append(rounds, float64(decisions)/took.Seconds()/1e6)
	}
	f = over("replay", fmt.Sprintf("%s, %d rows", policy, rows), "M/s", 1, rounds)
	f.Least = true
	return f, differ, nil
}

// record has a policy decide for a mesh whose loads change, and writes it down.
func record(ctx context.Context, host *wasm.Host, dir, policy string, rows, decisions int) error {
	w, err := journal.Open(dir, journal.Config{MaxFileBytes: 256 << 20, RingBytes: 4 << 20})
	if err != nil {
		return err
	}
	run, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(run) }()
	defer cancel()
	d := decide.New(decide.Config{Load: decide.HostLoader(host, wasm.Limits{}, nil), Journal: w, Candidates: rows})
	defer d.Close()
	code, _ := policies.Builtin(policy)
	if err := d.Use(ctx, abi.Route, decide.Policy{Name: policy, Code: code}); err != nil {
		return err
	}
	model, err := catalog.ParseModelID("model")
	if err != nil {
		return err
	}
	mesh, ids, err := newMesh(model, rows)
	if err != nil {
		return err
	}
	const second = 1_000_000
	for n := range decisions {
		now := catalog.Micros(1000*second + 2000*n)
		if n%8 == 0 { // a record comes in
			if err := mesh.PutRecord(says(ids[n/8%rows], model, n, now)); err != nil {
				return err
			}
			mesh.Publish()
		}
		var p decide.Picks
		r := decide.Request{ID: uint64(n), Model: model, Prompt: uint32(50 + n%400), Seed: uint64(n) * 0x9e3779b97f4a7c15}
		d.Route(now, mesh.Snapshot(), &r, &p)
		if w.Stats().Lost > 0 {
			return errors.New("the disk does not keep up")
		}
		if n%512 == 511 { // slower than a disk is
			w.Flush()
			time.Sleep(time.Millisecond)
		}
	}
	cancel()
	return <-ended
}

func newMesh(model catalog.ModelID, n int) (*catalog.Table, []catalog.NodeID, error) {
	var t *catalog.Table
	var ids []catalog.NodeID
	for i := range n {
		id, err := catalog.ParseNodeID(fmt.Sprintf("node%d", i))
		if err != nil {
			return nil, nil, err
		}
		ids = append(ids, id)
		info := says(id, model, i, 1)
		if i == 0 {
			if t, err = catalog.NewTable(info); err != nil {
				return nil, nil, err
			}
			continue
		}
		if err := t.PutRecord(info); err != nil {
			return nil, nil, err
		}
		t.SetRTT(id, uint32(500*i), 1)
		t.SetUp(id, true)
	}
	t.Publish()
	return t, ids, nil
}

func says(id catalog.NodeID, model catalog.ModelID, n int, now catalog.Micros) catalog.NodeInfo {
	return catalog.NodeInfo{ID: id, Seq: uint64(n) + 1, At: now, MemFreeMiB: 4096, Placements: []catalog.Placement{{Model: model, State: catalog.Loaded,
		Load:  catalog.Load{Queued: uint32(n % 3), Running: uint32(n % 5), Slots: 4, At: now},
		Speed: catalog.Speed{PrefillNS: uint32(200_000 + n%7*10_000), DecodeUS: uint32(10_000 + n%11*500), At: now}}}}
}
