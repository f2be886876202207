package node

import (
	"sync"
	"testing"
	"time"

	"omx/node/engine"
)

// A first token that is late is asked of another node, too: one of them answers, the
// other is free at once. What is not late is asked once.
func TestHedge(t *testing.T) {
	file := policyFile(t, "random")
	slow := newSim(t, engine.SimConfig{Prefill: time.Hour})
	nodes := connect(t, 2, Config{RoutePolicy: file, Hedge: true}, Config{Engine: slow}, Config{Engine: newSim(t, engine.SimConfig{})})
	n := nodes[0]
	for range firstsNeeded {
		n.firsts.add(model(t, "m"), time.Millisecond)
	}
	want, _ := oracle(t, engine.SimConfig{}, chat(t, "m"))
	tries := map[int]int{}
	eventually(t, "both kinds were seen", func() bool {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				var r reader
				res, err := n.Chat(t.Context(), chat(t, "m"), &r)
				if err != nil || r.begun != 1 || r.text.String() != want || r.meta.NodeName != "c" || res.Resumed != 0 {
					t.Errorf("%v, begun %d times by %q: %q", err, r.begun, r.meta.NodeName, r.text.String())
				}
			})
		}
		wg.Wait()
		for id := n.record.Last(); id > 0; id-- {
			if d, ok := n.Decision(id); ok {
				tries[d.Tries]++
			}
		}
		return t.Failed() || tries[1] > 0 && tries[2] > 0
	})
	eventually(t, "the slow node is free", func() bool { return slow.Models()[0].Load.Running == 0 })
	for _, h := range n.table.Snapshot().Holders(model(t, "m")) {
		if h.Suspect || h.Seen.InFlight() != 0 {
			t.Errorf("%s: suspect %v, %d in flight", h.Name, h.Suspect, h.Seen.InFlight())
		}
	}
}

// A race has one winner, whoever comes when.
func TestRace(t *testing.T) {
	for range 200 {
		r := &race{}
		var wg sync.WaitGroup
		won, entered := make(chan int, 8), make(chan int, 8)
		for i := range 8 {
			wg.Go(func() {
				a := &attempt{cancel: func(error) {}, race: r}
				if r.enter(a) {
					entered <- i
				}
				if r.win(a) && r.win(a) {
					won <- i
				}
			})
		}
		wg.Wait()
		if len(won) != 1 || len(entered) == 0 {
			t.Fatalf("%d winners, %d entered", len(won), len(entered))
		}
	}
}

func TestFirsts(t *testing.T) {
	var f firsts
	m := model(t, "m")
	for i := range firstsNeeded {
		if d := f.late(m); d != 0 {
			t.Fatalf("%v of %d", d, i)
		}
		f.add(m, time.Second)
	}
	if d := f.late(m); d != time.Second {
		t.Error(d)
	}
	for i := range 10 * firstsKept {
		f.add(m, time.Duration(i%100)*time.Millisecond)
	}
	if d := f.late(m); len(f.of[m]) != firstsKept || d < 90*time.Millisecond || d > 99*time.Millisecond {
		t.Errorf("%v of %d", d, len(f.of[m]))
	}
	for range firstsKept {
		f.add(m, time.Microsecond)
	}
	if d := f.late(m); d != hedgeLeast {
		t.Error(d)
	}
}
