package node

import (
	"os"
	"sync"
	"testing"
	"time"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/policies/abi"
)

// keeping is the configuration of a node that takes part in replication.
func keeping(t *testing.T, policy string, params ...string) Config {
	c := storing(t, "serve")
	c.ReplicatePolicy, c.ReplicateParams, c.replicateEvery, c.ReplicateAfter = policy, params, 50*time.Millisecond, 200*time.Millisecond
	c.keepPromise = 3 * time.Second
	return c
}

// has tells whether a node's store has a model.
func has(t *testing.T, n *Node, name string) bool {
	_, err := n.blobs.Get(model(t, name))
	return err == nil
}

func copiesOf(t *testing.T, nodes []*Node, name string) (n int) {
	for _, node := range nodes {
		if has(t, node, name) {
			n++
		}
	}
	return n
}

// old has a node forget that it has begun just now, and so may have promised something
// before.
func old(nodes ...*Node) { born(time.Now().Add(-time.Hour), nodes) }

// young has nodes have begun just now, however long the test takes.
func young(nodes ...*Node) { born(time.Now().Add(time.Hour), nodes) }

func born(begun time.Time, nodes []*Node) {
	for _, n := range nodes {
		n.replicator.mu.Lock()
		n.replicator.born = begun
		n.replicator.mu.Unlock()
	}
}

// Models are copied until there are enough, and again when a holder is gone for long;
// nodes that take no part get none.
func TestReplicationKeepsCopies(t *testing.T) {
	cfg := func() Config { return keeping(t, "keep-n", "n=2") }
	none := storing(t, "serve")
	nodes := meshOf(t, cfg(), cfg(), cfg(), none)
	a, rest, idle := nodes[0], nodes[1:3], nodes[3]
	stores(t, a, "mine")
	eventually(t, "there are two copies", func() bool { return copiesOf(t, nodes, "mine") == 2 })
	if has(t, idle, "mine") {
		t.Error("a node without a policy has got one")
	}
	first, other := rest[0], rest[1]
	if has(t, other, "mine") {
		first, other = other, first
	}
	if m, err := first.blobs.Get(model(t, "mine")); err != nil || m.Source != "mesh" || len(m.Params) == 0 {
		t.Errorf("%+v, %v", m, err)
	}
	for _, n := range a.table.Snapshot().Nodes {
		if takes := n.ID != idle.id; takes != (n.DiskFreeMiB > 0) {
			t.Errorf("%s has %d MiB for copies", n.Name, n.DiskFreeMiB)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another makes up for it", func() bool { return has(t, other, "mine") })
}

// Whatever a policy says, and all at once, no last copy is given up, nor more than the
// operator wants.
func TestNoLastCopyIsGivenUp(t *testing.T) {
	for _, least := range []int{1, 2} {
		cfg := func() Config {
			c := keeping(t, "keep-n", "n=4")
			if least > 1 {
				c.Replicas = []string{"mine=2"}
			}
			return c
		}
		nodes := meshOf(t, cfg(), cfg(), cfg(), cfg())
		young(nodes...)
		for _, n := range nodes {
			stores(t, n, "mine")
		}
		for _, n := range nodes {
			knows(t, n, "mine", 4)
		}
		for _, n := range nodes { // it has every node give up its copy
			drops, err := n.policies.Find("../policies/corpus/run/drops.wasm", abi.Replicate)
			if err == nil {
				err = n.policies.Activate(t.Context(), abi.Replicate, drops)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if copiesOf(t, nodes, "mine") != 4 {
			t.Error("a node that has just begun has given up a copy")
		}
		stop, watched := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(watched)
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					if n := copiesOf(t, nodes, "mine"); n < least {
						t.Errorf("%d copies are left, at least %d are wanted", n, least)
						return
					}
				}
			}
		}()
		old(nodes...)
		eventually(t, "those that can be are given up", func() bool { return copiesOf(t, nodes, "mine") == least })
		for range 20 { // and once more, all at once
			var all sync.WaitGroup
			for _, n := range nodes {
				if has(t, n, "mine") {
					all.Go(func() { _ = n.replicator.giveUp(t.Context(), model(t, "mine")) })
				}
			}
			all.Wait()
		}
		close(stop)
		<-watched
		for _, n := range nodes {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A node promises only what it has, and not while it gives it up.
func TestPromise(t *testing.T) {
	nodes := meshOf(t, keeping(t, "keep-n"), keeping(t, "keep-n"))
	stores(t, nodes[0], "mine")
	old(nodes...)
	r, m := nodes[0].replicator, model(t, "mine")
	parts, err := nodes[0].partsOf(m)
	if err != nil || !r.promise(m, &parts) {
		t.Fatal("it does not keep what it has", err)
	}
	if r.startGiving(m) {
		t.Error("it gives up what it has promised to keep")
	}
	r.mu.Lock()
	clear(r.promised)
	r.mu.Unlock()
	if !r.startGiving(m) || r.promise(m, &parts) || r.startGiving(m) {
		t.Error("it promises what it gives up")
	}
	r.stopGiving(m)
	if err := os.Truncate(blobPath(t, nodes[0], "mine"), 1000); err != nil {
		t.Fatal(err)
	}
	if r.promise(m, &parts) {
		t.Error("it promises a file that is cut")
	}
}

func TestFailedFetchesWait(t *testing.T) {
	now := time.Unix(1, 0)
	var g grievance
	for _, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute} {
		if g = g.again(now); g.until.Sub(now) != want {
			t.Errorf("%v, want %v", g.until.Sub(now), want)
		}
	}
	for range 20 {
		g = g.again(now)
	}
	if g.wait != time.Hour {
		t.Errorf("at most %v", g.wait)
	}
}

func TestParseReplicas(t *testing.T) {
	got, err := ParseReplicas([]string{"llama3.2:3b=2-4", "a=3", "b=pin", "a=pin"})
	want := map[catalog.ModelID]decide.Wish{model(t, "llama3.2:3b"): {Least: 2, Most: 4}, model(t, "a"): {Least: 3, Pinned: true}, model(t, "b"): {Pinned: true}}
	if err != nil || len(got) != len(want) {
		t.Fatal(got, err)
	}
	for m, w := range want {
		if got[m] != w {
			t.Errorf("%s: %+v, want %+v", m, got[m], w)
		}
	}
	for _, bad := range []string{"", "a", "a=", "a=x", "a=-1", "a=3-2", "a=1-0", "a=1001", "a=1-1001", "=2", "a=2-", "a=18446744073709551616"} {
		if _, err := ParseReplicas([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
