package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"omx/node/decide"
	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

// replayed is the report on a journal.
func replayed(t testing.TB, path string, m Maker, o Options) Report {
	t.Helper()
	r, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rep, err := Replay(context.Background(), r, m, o)
	if err != nil || r.Damaged() != nil {
		t.Fatal(err, r.Damaged())
	}
	return rep
}

// everyBuiltin has all built-in policies decide in turns, with events between,
// over several blocks; policies that come back have their state.
func everyBuiltin(t *testing.T, h *host, dir string, rounds int) (decisions uint64) {
	stats := write(t, dir, Config{MaxFiles: 100}, func(w *Writer) {
		for range 2 {
			for i, p := range policies.List() {
				rows := 7
				if p.Kind == abi.Admit {
					rows = 1
				}
				n := h.begin(newFleet(uint64(i), p.Kind, rows, 256), w, p.Name, "")
				for j := range rounds {
					n.decide(t)
					decisions++
					n.told(t, &abi.Event{Kind: uint16(abi.EventDispatched), Now: n.now, Clock: n.clock(), Node: 1 + n.rng.Uint64N(7), Tenant: 3, Prompt: 100})
					n.told(t, &abi.Event{Kind: uint16(abi.EventDone), Now: n.now, Clock: n.clock(), Node: 1 + n.rng.Uint64N(7), Tenant: 3, Prompt: 100, Output: uint32(j), First: 900 + uint32(j), Took: 90_000})
					if j%20 == 19 {
						w.Flush()
						waitIdle(w)
					}
				}
			}
		}
	})
	if stats.Lost != 0 {
		t.Fatalf("%+v", stats)
	}
	return decisions
}

// Every built-in policy answers the same when it is asked again, with the same
// scores, steps and fuel, in the compiler and in the interpreter.
func TestReplaySame(t *testing.T) {
	dir := t.TempDir()
	n := everyBuiltin(t, newHost(t, false), dir, 50)
	for _, interpreter := range []bool{false, true} {
		h := newHost(t, interpreter)
		for _, p := range policies.List() {
			h.use(p.Name)
		}
		rep := replayed(t, dir, h.same, Options{Same: true, Examples: 3})
		if rep.Differ() != 0 || rep.Decisions() != n || rep.Skipped != 0 || rep.Gaps != 0 || rep.Events != 2*n {
			t.Errorf("interpreter %v, %d decisions: %+v", interpreter, n, rep)
		}
		for _, k := range rep.Kinds {
			if k.Unsure != 0 || k.Before != k.After || k.Before.P99 == 0 {
				t.Errorf("%s: %+v", k.Kind, k)
			}
		}
	}
}

// Another policy differs exactly where it answers otherwise.
func TestReplayOther(t *testing.T) {
	h := newHost(t, false)
	dir := t.TempDir()
	var node, after, same uint64
	write(t, dir, Config{}, func(w *Writer) {
		n := h.begin(newFleet(3, abi.Route, 9, 256), w, "least-loaded", "")
		other := h.guest(h.use("nearest"), nil)
		defer other.Close()
		n.shape.Stride = abi.RowSize // both read no more
		for range 500 {
			n.decide(t)
			view := n.view[:n.shape.Size()]
			mine, _ := n.guest.View(abi.Route, len(view))
			b, _ := other.View(abi.Route, len(view))
			copy(b, view)
			a, _, err := other.Call(abi.Route, len(view), 9)
			if err != nil {
				t.Fatal(err)
			}
			var x, y [maxOrder]int32
			was := abi.Scores(mine, 9, abi.RowSize)
			best := uint32(slices.Index(was, slices.Min(was)))
			switch is := abi.Scores(b, 9, abi.RowSize); {
			case best != a.Value():
				node++
			case !slices.Equal(order(&x, view, was, int(a.Value())), order(&y, view, is, int(a.Value()))):
				after++
			default:
				same++
			}
		}
	})
	if node == 0 {
		t.Fatal("the policies agree, the test is about such that do not")
	}
	rep := replayed(t, dir, h.only("nearest", abi.Route), Options{Examples: 2})
	k := rep.Kinds[0]
	if k.Differ != node+after || k.Decisions != 500 || count(k, otherNode) != node || count(k, otherOrder) != after || k.Lacked != 0 {
		t.Errorf("%d chose another node, %d another order; %+v", node, after, k)
	}
	if len(k.Examples) != 2 {
		t.Fatalf("%d examples", len(k.Examples))
	}
	if e := k.Examples[0]; e.Before == e.After && e.Reason == otherNode || len(e.Candidates) == 0 || e.Request == 0 {
		t.Errorf("%+v", e)
	}
	if rep = replayed(t, dir, h.only("nearest", abi.Route), Options{Limit: 7}); rep.Decisions() != 7 {
		t.Errorf("%d decisions, the limit is 7", rep.Decisions())
	}
	if rep = replayed(t, dir, h.only("nearest", abi.Route), Options{Kind: abi.Admit}); rep.Decisions() != 0 {
		t.Errorf("%d decisions of a kind that was not recorded", rep.Decisions())
	}
	if rep = replayed(t, dir, h.only("allow", abi.Admit), Options{}); rep.Decisions() != 0 || rep.Skipped != 500 {
		t.Errorf("%d decisions, %d passed over", rep.Decisions(), rep.Skipped)
	}
}

func count(k KindReport, reason string) uint64 {
	for _, r := range k.Reasons {
		if r.Reason == reason {
			return r.Count
		}
	}
	return 0
}

// A policy that reads more of each row than was recorded gets zeros there; one
// that reads less gets less.
func TestReplayStride(t *testing.T) {
	h := newHost(t, false)
	for _, c := range []struct {
		name   string
		stride int
		lacked uint64
	}{{"less", 64, 100}, {"as much", 128, 0}, {"more", 256, 0}} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, Config{}, func(w *Writer) {
				n := h.begin(newFleet(3, abi.Route, 9, 256), w, "nearest", "")
				n.shape.Stride = c.stride
				for range 100 {
					n.decide(t)
				}
			})
			g := &fake{stride: 128}
			rep := replayed(t, dir, g.make, Options{})
			if k := rep.Kinds[0]; k.Lacked != c.lacked || len(g.views) != 100 {
				t.Fatalf("%+v, %d views", k, len(g.views))
			}
			i := 0
			all(t, dir, func(r *Record) {
				if r.Type != TypeDecision {
					return
				}
				was, _ := abi.Open(r.Decision.View)
				is, err := abi.Open(g.views[i])
				if err != nil || int(is.Stride) != 128 || is.Seed != was.Seed || is.Request != was.Request {
					t.Fatalf("view %d: %v %+v", i, err, is.Header)
				}
				for row := range 9 {
					a, b := was.Row(row), is.Row(row)
					if a.RowMachine = (abi.RowMachine{}); a.RowLoad != b.RowLoad || a.RowSeen != b.RowSeen || b.RowMachine != (abi.RowMachine{}) {
						t.Fatalf("row %d of view %d is %+v, not %+v", row, i, b, a)
					}
				}
				for _, s := range is.ScoreList() {
					if s != abi.Never {
						t.Fatalf("score %d before the call", s)
					}
				}
				i++
			})
		})
	}
}

// A module that traps is replaced, as in a node, and that is a difference.
func TestReplayTraps(t *testing.T) {
	h := newHost(t, false)
	dir := t.TempDir()
	write(t, dir, Config{}, func(w *Writer) {
		n := h.begin(newFleet(3, abi.Route, 9, 256), w, "nearest", "")
		for range 30 {
			n.decide(t)
		}
	})
	g := &fake{stride: 64, fail: func(n int) bool { return n%10 == 9 }}
	rep := replayed(t, dir, g.make, Options{})
	k := rep.Kinds[0]
	if n := count(k, "ok, now trapped"); n != 3 || g.made != 3 || k.Unsure != 20 {
		t.Errorf("%d traps, %d instances, %+v", n, g.made, k)
	}
	if g.open != 0 {
		t.Errorf("%d instances are left open", g.open)
	}
}

// The state of a policy that decided begins where it began, comes back with it
// after a rollback, and is unknown after a gap.
func TestReplayState(t *testing.T) {
	dir := t.TempDir()
	a, b := [32]byte{1}, [32]byte{2}
	f := newFleet(1, abi.Route, 3, 64)
	w, err := Open(dir, Config{RingBytes: 128 << 10})
	if err != nil {
		t.Fatal(err)
	}
	d := func(digest [32]byte) {
		x := f.taken(digest)
		x.Answer = abi.Pack(abi.OK, 0)
		w.Decision(x)
	}
	e := abi.Event{Kind: uint16(abi.EventTick)}
	w.Fresh(abi.Route, a, []byte("a"), 1)
	d(a)
	w.Event(abi.Route, &e)
	w.Fresh(abi.Route, b, []byte("b"), 2)
	d(b)
	w.Resumes(abi.Route, a, []byte("a"), 3) // a rollback
	w.Event(abi.Route, &e)
	d(a)
	d(b) // another, which was not announced
	w.Fresh(abi.Route, a, []byte("a"), 4)
	w.Fresh(abi.Route, a, []byte("c"), 5) // the same module with other parameters
	d(a)
	w.Resumes(abi.Route, a, []byte("a"), 6)
	d(a)
	w.Fresh(abi.Route, a, []byte("a"), 6) // in place of one that crashed
	w.Resumes(abi.Route, a, []byte("c"), 7)
	d(a)
	w.Resumes(abi.Route, a, []byte("a"), 8)
	w.Event(abi.Route, &e)
	w.drop()
	w.Flush()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	waitIdle(w)
	d(a)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var told []string
	rep := replayed(t, dir, func(_ abi.Kind, digest [32]byte, params []byte) (decide.Guest, error) {
		name := fmt.Sprintf("%s%d", params, len(told))
		told = append(told, name+" begins")
		g := &fake{stride: 64}
		g.heard = func() { told = append(told, name+" hears") }
		g.asked = func() { told = append(told, name+" decides") }
		return g.make(abi.Route, digest, params)
	}, Options{Same: true})
	want := "a0 begins, a0 decides, a0 hears, b3 begins, b3 decides, a0 hears, a0 decides, b3 decides, a8 begins, " +
		"c9 begins, c9 decides, a8 decides, a12 begins, c9 decides, a12 hears, a12 decides"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if k := rep.Kinds[0]; k.Unsure != 1 || rep.Gaps != 1 || rep.Lost != 1 {
		t.Errorf("%+v", rep)
	}
}

func TestReplayEnds(t *testing.T) {
	h := newHost(t, false)
	dir := journalOf(t, h, "nearest", 3, 3*askedEvery)
	r, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err = Replay(ctx, r, h.same, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if r, err = Read(dir); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fails := func(abi.Kind, [32]byte, []byte) (decide.Guest, error) { return nil, os.ErrInvalid }
	if _, err = Replay(context.Background(), r, fails, Options{}); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("no policy: %v", err)
	}
}

// fake is a guest that keeps the views it gets; it answers row 0.
type fake struct {
	stride       int
	views        [][]byte
	room         []byte
	calls, made  int
	open         int
	spoiled      bool
	fail         func(call int) bool
	heard, asked func()
}

func (g *fake) make(abi.Kind, [32]byte, []byte) (decide.Guest, error) {
	g.made++
	g.open++
	g.spoiled = false
	return g, nil
}

func (g *fake) Wants(abi.Kind) (int, uint32) { return g.stride, 0 }
func (g *fake) Spoiled() bool                { return g.spoiled }
func (g *fake) Close() error                 { g.open--; return nil }

func (g *fake) View(_ abi.Kind, n int) ([]byte, error) {
	if len(g.room) < n {
		g.room = make([]byte, n)
	}
	return g.room[:n], nil
}

func (g *fake) Event([]byte) error {
	if g.heard != nil {
		g.heard()
	}
	return nil
}

func (g *fake) Call(_ abi.Kind, n, _ int) (abi.Answer, uint64, error) {
	g.views = append(g.views, append([]byte(nil), g.room[:n]...))
	if g.asked != nil {
		g.asked()
	}
	if g.calls++; g.fail != nil && g.fail(g.calls-1) {
		g.spoiled = true
		return 0, 0, wasm.ErrTrap
	}
	return abi.Pack(abi.OK, 0), 5, nil
}
