package virtual

import (
	"context"
	"testing"
	"time"

	"omx/node/engine"
	"omx/node/nodetest"
)

// A peer that vanishes in the middle of an answer: how long the client waits, and how
// long the peer is still a candidate.
func TestSilentDeath(t *testing.T) {
	dir := t.TempDir()
	nodetest.Bubble(t, func(t *testing.T) {
		f, err := Start(t.Context(), Spec{Nodes: 4, Holders: 3, Dir: dir, Engine: engine.SimConfig{Decode: 20 * time.Millisecond, Output: 300}})
		if err != nil {
			t.Fatal(err)
		}
		q := Question{Prompt: "a long story"}
		done := make(chan *Answer)
		go func() { done <- f.Ask(t.Context(), 0, q) }()
		time.Sleep(2 * time.Second)
		serving := busy(f)
		if serving < 1 {
			t.Fatalf("node %d serves", serving)
		}
		f.Stop(serving)
		at := f.Now()
		for len(f.Ghosts(serving)) > 0 && f.Now()-at < time.Minute {
			time.Sleep(time.Millisecond)
		}
		gone := f.Now() - at
		a := <-done
		want, _, err := f.Oracle(q)
		if err != nil {
			t.Fatal(err)
		}
		if a.Begun != 1 || a.Err != nil || a.Text() != want {
			t.Errorf("begun %d times: %q, %v", a.Begun, a.Text(), a.Err)
		}
		if most := 3*time.Second + 50*time.Millisecond; gone > most {
			t.Errorf("a candidate for %v after its end, at most %v", gone, most)
		}
		gap, _ := a.Gap()
		if most := 250 * time.Millisecond; gap > most {
			t.Errorf("no token for %v, at most %v", gap, most)
		}
		t.Logf("RTT 50 ms, a token each 20 ms: the dead peer was a candidate for %v; the worst gap between tokens was %v", gone, gap)
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A client's cancellation frees the slot of another node within 100 ms, half a round
// trip of 50 ms among them.
func TestCancelFreesSlot(t *testing.T) {
	dir := t.TempDir()
	nodetest.Bubble(t, func(t *testing.T) {
		f, err := Start(t.Context(), Spec{Nodes: 2, Holders: 1, Dir: dir, Engine: engine.SimConfig{Decode: 20 * time.Millisecond, Output: 300}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan *Answer)
		go func() { done <- f.Ask(ctx, 0, Question{Prompt: "a long story"}) }()
		time.Sleep(2 * time.Second)
		if serving := busy(f); serving != 1 {
			t.Fatalf("node %d serves", serving)
		}
		cancel()
		at := f.Now()
		for busy(f) >= 0 && f.Now()-at < time.Second {
			time.Sleep(time.Millisecond)
		}
		if took, most := f.Now()-at, 100*time.Millisecond; took > most {
			t.Errorf("the slot was free after %v, at most %v", took, most)
		} else {
			t.Logf("the slot was free after %v", took)
		}
		if a := <-done; a.Err == nil {
			t.Error("the answer came to its end")
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
}

// busy is a node that answers a request now, -1 if none does.
func busy(f *Fleet) int {
	for i := range f.Nodes() {
		if p := f.Node(i).Info().Placements; len(p) > 0 && p[0].Load.Running > 0 {
			return i
		}
	}
	return -1
}

// What a node sends while nobody asks anything.
func TestIdle(t *testing.T) {
	sizes := []int{3, 10}
	if soak {
		sizes = append(sizes, 100)
	}
	for _, n := range sizes {
		dir := t.TempDir()
		nodetest.Bubble(t, func(t *testing.T) {
			f, err := Start(t.Context(), Spec{Nodes: n, Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second) // path discovery ends
			before, span := f.Net.Total(), 10*time.Second
			time.Sleep(span)
			after := f.Net.Total()
			per := func(a, b uint64) float64 { return float64(b-a) / span.Seconds() / float64(n) }
			bytes := per(before.SentBytes, after.SentBytes)
			t.Logf("%d nodes, each with all others, idle: a node sends %.0f bytes and %.1f packets a second, %.0f bytes to each other one",
				n, bytes, per(before.Sent, after.Sent), bytes/float64(n-1))
			if bytes > 1000*float64(n-1) {
				t.Errorf("%.0f bytes a second", bytes)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
