package node

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"omx/node/api"
	"omx/node/engine"
)

// A drained node ends what it has begun and is sent nothing more, not even by its own
// clients, until it is told to take requests again.
func TestDrain(t *testing.T) {
	nodes := connect(t, 2, Config{Engine: newSim(t, engine.SimConfig{})},
		Config{Engine: newSim(t, engine.SimConfig{Decode: 2 * time.Millisecond, Output: 200})})
	a, b := nodes[0], nodes[1]
	answeredBy := func(at *Node) string {
		var r reader
		if _, err := at.Chat(t.Context(), chat(t, "m"), &r); err != nil {
			t.Fatal(err)
		}
		return r.meta.NodeName
	}
	draining := func(on bool) func() bool {
		return func() bool {
			return !slices.ContainsFunc(a.Nodes(), func(v api.NodeView) bool { return v.Name == "b" && (v.State == "draining") != on })
		}
	}

	under := make(chan api.DrainView, 1)
	r := &reader{}
	r.stop = func() {
		if r.tokens == 0 {
			under <- b.Drain(true)
		}
	}
	long := chat(t, "m")
	long.MaxTokens = 200
	eventually(t, "b answers", func() bool { // either may be chosen
		r.tokens = 0
		if _, err := b.Chat(t.Context(), long, r); err != nil {
			t.Fatal(err)
		}
		v := <-under
		if r.meta.NodeName != "b" {
			b.Drain(false)
			return false
		}
		if !v.Draining || v.Running != 1 || r.tokens < 200 {
			t.Errorf("while it answers: %+v; %d tokens", v, r.tokens)
		}
		return true
	})
	eventually(t, "a hears of it", draining(true))
	for range 10 {
		if at := answeredBy(a) + answeredBy(b); at != "aa" {
			t.Fatalf("answered by %s", at)
		}
	}
	if v := b.Drain(true); v.Running != 0 {
		t.Errorf("when all is done: %+v", v)
	}

	a.Drain(true)
	var clear *api.Error
	if _, err := a.Chat(t.Context(), chat(t, "m"), &reader{}); !errors.As(err, &clear) || clear.Status != http.StatusServiceUnavailable {
		t.Errorf("all are drained: %v", err)
	}
	a.Drain(false)
	b.Drain(false)
	eventually(t, "a hears that it is back", draining(false))
	answeredBy(a)
}

func TestPing(t *testing.T) {
	nodes := connect(t, 1, Config{}, Config{Engine: newSim(t, engine.SimConfig{})})
	a, b := nodes[0], nodes[1]
	id := b.id.String()
	for _, name := range []string{"b", id, id[len(id)-8:]} {
		if v, err := a.Ping(t.Context(), name); err != nil || v.Name != "b" || v.ID != id || v.RTTMillis <= 0 || v.RTTMillis > 5000 {
			t.Errorf("ping %s: %+v, %v", name, v, err)
		}
	}
	if v, err := a.Ping(t.Context(), "a"); err != nil || v.RTTMillis != 0 {
		t.Errorf("itself: %+v, %v", v, err)
	}
	b.Drain(true)
	if _, err := a.Ping(t.Context(), "b"); err != nil {
		t.Errorf("a drained node: %v", err)
	}
	for _, name := range []string{"", "c", id[len(id)-7:]} {
		var clear *api.Error
		if _, err := a.Ping(t.Context(), name); !errors.As(err, &clear) || clear.Status != http.StatusNotFound {
			t.Errorf("ping %q: %v", name, err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	var clear *api.Error
	if _, err := a.Ping(t.Context(), "b"); !errors.As(err, &clear) {
		t.Errorf("a node that is gone: %v", err)
	}
}
