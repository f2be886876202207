package policy_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/nodetest"
	"omx/node/policy"
	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

// evil is a module of the corpus that crashes when a request is no first attempt.
func evil(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("../../policies/corpus/run/unreachable.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// at is when the decisions of these tests are taken, in µs.
const at = 10_000_000

// fleet is what a node knows that sees one holder of a model.
func fleet(t testing.TB) (*catalog.Snapshot, catalog.ModelID) {
	t.Helper()
	model := nodetest.Model(t, "m")
	id := nodetest.Node(t, "node1")
	table, err := catalog.NewTable(catalog.NodeInfo{ID: id, Name: "n", Seq: 1, At: at, MemFreeMiB: 1000,
		Placements: []catalog.Placement{{Model: model, State: catalog.Loaded, Load: catalog.Load{Slots: 4, At: at}}}})
	if err != nil {
		t.Fatal(err)
	}
	return table.Snapshot(), model
}

// fail has the policy in charge crash until it is set aside.
func (r *rig) fail(t testing.TB) {
	t.Helper()
	s, model := fleet(t)
	for range decide.MaxFaults {
		var p decide.Picks
		r.decider.Route(at, s, &decide.Request{ID: 7, Model: model, Prompt: 10, Attempt: 1}, &p)
		if err := r.decider.Repair(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if st := r.decider.Active(abi.Route); st.SetAside == "" {
		t.Fatalf("nothing was set aside: %+v", st)
	}
}

// A policy that was set aside is told once, stays out of charge after a restart
// and when its file is written again unchanged, until the file changes.
func TestSetAside(t *testing.T) {
	for name, order := range map[string]func(*rig) error{
		"polled":        func(*rig) error { return nil },
		"ordered first": func(r *rig) error { return r.Shadow(t.Context(), abi.Route, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := write(t, filepath.Join(t.TempDir(), "p.wasm"), code(t, "nearest"), 0)
			r := newRig(t, dir, nil)
			r.start(t, file)
			write(t, file, evil(t), 1)
			if told := r.poll(t); len(told) != 1 || told[0].Err != nil {
				t.Fatalf("told %+v", told)
			}
			r.fail(t)
			if err := order(r); err != nil {
				t.Fatal(err)
			}
			if told := append(r.poll(t), r.poll(t)...); len(told) != 1 || told[0].Err == nil || !strings.Contains(told[0].Err.Error(), "is set aside") {
				t.Errorf("told %+v", told)
			}
			stays := func() {
				t.Helper()
				if d := r.decider.Active(abi.Route).Active.Digest; d != sha256.Sum256(code(t, "nearest")) {
					t.Errorf("%x decides; log: %s", d, r.log.String())
				}
			}
			stays()
			write(t, file, evil(t), 2)
			if told := append(r.poll(t), r.poll(t)...); len(told) != 1 || told[0].Err == nil || !strings.Contains(told[0].Err.Error(), "set aside before") {
				t.Errorf("told %+v", told)
			}
			stays()
			r = newRig(t, dir, nil)
			r.start(t, file)
			stays()
			write(t, file, code(t, "random"), 3)
			if told := r.poll(t); len(told) != 1 || told[0].Err != nil || told[0].Digest != sha256.Sum256(code(t, "random")) {
				t.Errorf("told %+v", told)
			}
		})
	}
}

// A node starts although what decided before is no longer allowed, also if the
// policy that is configured was rolled back.
func TestNothingIsAllowedAnyMore(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(t.TempDir(), "p.wasm"), code(t, "random"), 0)
	r := newRig(t, dir, nil)
	r.start(t, "nearest")
	r.activate(t, abi.Route, file, "")
	if err := r.Rollback(abi.Route); err != nil {
		t.Fatal(err)
	}
	r = newRigOf(t, dir, nil, func(name string) error {
		if name == policies.DefaultRoute || name == policies.DefaultAdmit {
			return nil
		}
		return errors.New("too large")
	})
	r.start(t, file)
	r.decides(t, policies.DefaultRoute, "", "")
}

// A thousand new versions of a file cost neither memory nor disk.
func TestReloads(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	dir := t.TempDir()
	file := write(t, filepath.Join(t.TempDir(), "p.wasm"), code(t, "nearest"), 0)
	r := newRig(t, dir, nil)
	r.start(t, file)
	version := func(i int) {
		write(t, file, wasm.AppendMetadata(code(t, "nearest"), fmt.Appendf(nil, "%d", i)), i)
		if told := r.poll(t); len(told) != 1 || told[0].Err != nil {
			t.Fatalf("version %d: told %+v", i, told)
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for i := range 100 {
		version(1 + i)
	}
	before := heap()
	for i := range 1000 {
		version(101 + i)
	}
	after := heap()
	if after > before+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	t.Logf("heap %d, then %d bytes", before, after)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) > 33 { // 32 modules and the state
		t.Errorf("%d files are kept, %v", len(files), err)
	}
}

// The modules used last are those that are kept.
func TestKeepsTheLastOnes(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, nil)
	r.start(t, "")
	var digests []string
	for i := range 50 {
		m := &policy.Module{Name: fmt.Sprint(i), Code: wasm.AppendMetadata(code(t, "nearest"), fmt.Appendf(nil, "%d", i))}
		if err := r.Activate(t.Context(), abi.Route, m); err != nil {
			t.Fatal(err)
		}
		kept := filepath.Join(dir, fmt.Sprintf("%x.wasm", m.Digest()))
		when := time.Unix(1_700_000_000+int64(i), 0)
		if err := os.Chtimes(kept, when, when); err != nil {
			t.Fatal(err)
		}
		digests = append(digests, fmt.Sprintf("sha256:%x", m.Digest()))
	}
	for i, d := range digests {
		if _, err := r.Find(d, abi.Route); (err == nil) != (i >= 50-30) { // 32 with the defaults of both kinds
			t.Errorf("module %d: %v", i, err)
		}
	}
}
