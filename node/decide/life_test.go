package decide_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/policies"
	"omx/policies/abi"
)

// evil is a module of the corpus, which behaves until a request is no first
// attempt.
func evil(t testing.TB, name string) decide.Policy {
	t.Helper()
	code, err := os.ReadFile(filepath.Join("../../policies/corpus/run", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return decide.Policy{Name: name, Code: code}
}

func builtin(t testing.TB, name string) decide.Policy {
	t.Helper()
	code, ok := policies.Builtin(name)
	if !ok {
		t.Fatalf("no built-in policy %s", name)
	}
	return decide.Policy{Name: name, Code: code}
}

func route(t testing.TB, d *decide.Decider, s *catalog.Snapshot, attempt uint32, at catalog.Micros) decide.Picks {
	t.Helper()
	var p decide.Picks
	d.Route(at, s, &decide.Request{ID: 7, Model: modelID(t, "m"), Prompt: 10, Attempt: attempt}, &p)
	if p.N == 0 {
		t.Fatal("no node was picked")
	}
	return p
}

// A policy that fails costs that decision, which the built-in rule takes; the
// next one is its own again. After three, the policy before it returns.
func TestFaultsCostOneDecision(t *testing.T) {
	for name, want := range map[string]abi.Status{"spin": abi.OutOfFuel, "unreachable": abi.Trapped, "liar": abi.BadAnswer, "nonsense": abi.BadAnswer, "log-flood": abi.OutOfFuel} {
		t.Run(name, func(t *testing.T) {
			d := newDecider(t, nil)
			use(t, d, abi.Route, "nearest")
			if err := d.Use(t.Context(), abi.Route, evil(t, name)); err != nil {
				t.Fatal(err)
			}
			s := fleet(t, 8, nil).Snapshot()
			at := now
			for range decide.MaxFaults - 1 {
				if p := route(t, d, s, 1, at); p.By.Policy != decide.Builtin || p.By.Status != want {
					t.Fatalf("a failed decision is by %s, %v", p.By.Policy, p.By.Status)
				}
				if p := route(t, d, s, 0, at); p.By.Policy != name || p.By.Status != abi.OK {
					t.Fatalf("the next decision is by %s, %v", p.By.Policy, p.By.Status)
				}
				if err := d.Repair(t.Context()); err != nil {
					t.Fatal(err)
				}
				at += 1000
			}
			if st := d.Active(abi.Route); st.Active.Faults != 2 || st.Builtin != 2 || st.Active.Statuses[want] != 2 {
				t.Errorf("status %+v", st)
			}
			route(t, d, s, 1, at)
			if p := route(t, d, s, 0, at); p.By.Policy != "nearest" {
				t.Errorf("after %d faults %s decides", decide.MaxFaults, p.By.Policy)
			}
			st := d.Active(abi.Route)
			if st.SetAside != name || st.LastGood != nil {
				t.Errorf("status %+v", st)
			}
			if err := d.Repair(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Faults that are far apart do not add up.
func TestFaultsAge(t *testing.T) {
	d := newDecider(t, nil)
	if err := d.Use(t.Context(), abi.Route, evil(t, "unreachable")); err != nil {
		t.Fatal(err)
	}
	s := fleet(t, 8, nil).Snapshot()
	for i := range catalog.Micros(6) {
		route(t, d, s, 1, now+i*decide.FaultWindow/2)
		if err := d.Repair(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if st := d.Active(abi.Route); st.SetAside != "" || st.Active.Traps != 6 {
		t.Errorf("status %+v", st)
	}
}

// Even when no spare is left, a decision is taken.
func TestNoSpareLeft(t *testing.T) {
	d := newDecider(t, nil)
	if err := d.Use(t.Context(), abi.Route, evil(t, "unreachable")); err != nil {
		t.Fatal(err)
	}
	s := fleet(t, 8, nil).Snapshot()
	route(t, d, s, 1, now)
	route(t, d, s, 1, now+decide.FaultWindow)
	if p := route(t, d, s, 0, now+decide.FaultWindow); p.By.Policy != decide.Builtin || p.By.Status != abi.NotReady {
		t.Errorf("decided by %+v", p.By)
	}
	if err := d.Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := route(t, d, s, 0, now+decide.FaultWindow); p.By.Policy != "unreachable" {
		t.Errorf("after the repair decided by %+v", p.By)
	}
}

func TestRollback(t *testing.T) {
	d := newDecider(t, nil)
	if err := d.Rollback(abi.Route); err == nil {
		t.Error("rolled back to nothing")
	}
	use(t, d, abi.Route, "nearest")
	use(t, d, abi.Route, "random")
	s := fleet(t, 8, nil).Snapshot()
	for _, want := range []string{"nearest", "random", "nearest"} {
		if err := d.Rollback(abi.Route); err != nil {
			t.Fatal(err)
		}
		if p := route(t, d, s, 0, now); p.By.Policy != want {
			t.Errorf("decided by %s, want %s", p.By.Policy, want)
		}
	}
}

func TestShadow(t *testing.T) {
	d := newDecider(t, nil)
	use(t, d, abi.Route, "nearest")
	s := fleet(t, 8, func(i int, info *catalog.NodeInfo) {
		if i == 0 {
			info.Placements[0].Load.Running = 9
		}
	}).Snapshot()
	for _, c := range []struct {
		shadow           string
		agreed, differed uint64
	}{{"nearest", 5, 0}, {"least-loaded", 0, 5}} {
		if err := d.Shadow(t.Context(), abi.Route, builtin(t, c.shadow)); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if p := route(t, d, s, 0, now); p.By.Policy != "nearest" || p.Pick[0].Node != nodeID(t, 0) {
				t.Fatalf("the shadow decides: %+v", p.List()[0])
			}
		}
		st := d.Active(abi.Route)
		if st.Agreed != c.agreed || st.Differed != c.differed || st.Shadow.Decisions != 5 || len(st.Examples) != int(c.differed) {
			t.Errorf("shadow %s: %+v", c.shadow, st)
		}
	}
	// A shadow that fails harms nobody.
	if err := d.Shadow(t.Context(), abi.Route, evil(t, "spin")); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if p := route(t, d, s, 1, now); p.By.Policy != "nearest" || p.By.Status != abi.OK {
			t.Fatalf("decided by %+v", p.By)
		}
	}
	if err := errors.Join(d.Shadow(t.Context(), abi.Route, decide.Policy{}), d.Repair(t.Context())); err != nil {
		t.Fatal(err)
	}
	if st := d.Active(abi.Route); st.Shadow != nil {
		t.Errorf("the shadow was not removed: %+v", st.Shadow)
	}
}

func TestAdmissionFailsAsConfigured(t *testing.T) {
	// An admission policy that traps: made from the corpus by its kind.
	code, err := os.ReadFile("../../policies/corpus/run/admit-traps.wasm")
	if err != nil {
		t.Fatal(err)
	}
	for closed, want := range map[bool]abi.Action{false: abi.Allow, true: abi.Shed} {
		d := deciderWith(t, decide.Config{AdmitClosed: closed})
		if err := d.Use(t.Context(), abi.Admit, decide.Policy{Name: "traps", Code: code}); err != nil {
			t.Fatal(err)
		}
		v := d.Admit(now, fleet(t, 1, nil).Snapshot(), &decide.Request{Model: modelID(t, "m"), Attempt: 1})
		if v.Action != want || v.By.Policy != decide.Builtin || v.By.Status != abi.Trapped || closed && v.Wait == 0 {
			t.Errorf("closed %v: %+v", closed, v)
		}
	}
}

// journal keeps all it is told.
type journal struct {
	mu        sync.Mutex
	decisions []decide.Taken
	views     [][]byte
	events    []abi.EventKind
	fresh     int
	resumes   int
}

func (j *journal) Decision(d *decide.Taken) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := *d
	c.View = append([]byte(nil), d.View...)
	c.Result = append([]byte(nil), d.Result...)
	j.decisions = append(j.decisions, c)
}

func (j *journal) Event(_ abi.Kind, e *abi.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, abi.EventKind(e.Kind))
}

func (j *journal) Fresh(abi.Kind, [32]byte, []byte, uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fresh++
}

func (j *journal) Resumes(abi.Kind, [32]byte, []byte, uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.resumes++
}

// The journal gets the view as the policy got it, and what it answered.
func TestJournal(t *testing.T) {
	j := &journal{}
	d := deciderWith(t, decide.Config{Journal: j})
	use(t, d, abi.Route, "nearest")
	s := fleet(t, 3, nil).Snapshot()
	r := decide.Request{ID: 1, Model: modelID(t, "m"), Prompt: 10}
	var p decide.Picks
	d.Route(now, s, &r, &p)
	d.Sent(now, &r, &p.Pick[0])
	d.First(now+1000, &r, &p.Pick[0], 1000)
	d.Ended(now+5000, &r, &p.Pick[0], decide.End{First: 1000, Took: 5000, Output: 5})
	d.Tick(now + 6000)
	if len(j.decisions) != 1 || j.fresh != 1 {
		t.Fatalf("%d decisions, %d fresh instances", len(j.decisions), j.fresh)
	}
	got := j.decisions[0]
	v, err := abi.Open(got.View)
	if err != nil || v.Count != 3 || v.ScoreList()[0] != abi.Never || got.ID != p.ID || got.Answer != abi.Pack(abi.OK, 0) || got.Status != abi.OK || got.Fuel == 0 || len(got.Result) < 12 {
		t.Errorf("journal %+v, %v", got, err)
	}
	want := []abi.EventKind{abi.EventDispatched, abi.EventFirst, abi.EventDone, abi.EventTick}
	if len(j.events) != len(want) {
		t.Fatalf("events %v", j.events)
	}
	for i := range want {
		if j.events[i] != want[i] {
			t.Errorf("events %v, want %v", j.events, want)
		}
	}
	use(t, d, abi.Route, "random")
	d.Route(now, s, &r, &p)
	if err := d.Rollback(abi.Route); err != nil {
		t.Fatal(err)
	}
	d.Route(now, s, &r, &p)
	d.Route(now, s, &r, &p)
	if j.fresh != 2 || j.resumes != 1 {
		t.Errorf("%d fresh instances, %d that resume", j.fresh, j.resumes)
	}
	seen := p.Pick[0].Seen
	var part abi.RowSeen
	s.Holders(modelID(t, "m"))[0].FillSeen(&part)
	if seen.InFlight() != 0 || part.First != 1000 || part.Each != 1000 || part.Done != 1 || part.ErrorsAt == 0 {
		t.Errorf("observed %+v", part)
	}
}

// A thousand policies come and go under load, and leave nothing.
func TestReloadsUnderLoad(t *testing.T) {
	const reloads, most = 1000, 1 << 20
	d := newDecider(t, nil)
	s := fleet(t, 8, nil).Snapshot()
	names := []string{"nearest", "least-loaded", "random"}
	use(t, d, abi.Route, names[0])
	stop := busy(t, d, s, 2, func(p *decide.Picks) bool { return p.N > 0 && p.By.Policy != decide.Builtin })
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // the first one runs finalizers
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for i := range 20 {
		use(t, d, abi.Route, names[i%3])
	}
	before := heap()
	for i := range reloads {
		use(t, d, abi.Route, names[i%3])
	}
	grown := heap() - before
	stop()
	if t.Logf("%d reloads: heap %+d bytes", reloads, grown); grown > most {
		t.Errorf("%d reloads left %d bytes", reloads, grown)
	}
}
