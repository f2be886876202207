package virtual

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"omx/node/mesh"
	"omx/node/nodetest"
	"omx/testnet/virtual/vnet"
)

// inCrowd runs f with the members of one mesh in a bubble, when the last has joined.
func inCrowd(t *testing.T, spec CrowdSpec, f func(t *testing.T, c *Crowd)) {
	t.Helper()
	dir, err := TempDir()
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	spec.Dir = dir
	nodetest.Bubble(t, func(t *testing.T) {
		c, err := NewCrowd(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(t, c)
	})
}

// small is a mesh of twice as many members as connections. A node of it has at most
// eight neighbours: five see no more than 26 nodes at two hops, however well they are
// chosen.
var small = CrowdSpec{Nodes: 20, Conns: 10}

// inMembers runs f with whole nodes, more than a node keeps connections, that have found
// one another; so many hold the model.
func inMembers(t *testing.T, holders int, f func(t *testing.T, f *Fleet)) {
	t.Helper()
	dir := t.TempDir()
	nodetest.Bubble(t, func(t *testing.T) {
		all, err := Start(t.Context(), Spec{Nodes: 16, Holders: holders, Conns: 8, Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := all.Close(); err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(5 * time.Second)
		f(t, all)
	})
}

// settle awaits that all see all, and that nothing changes then.
func settle(t *testing.T, c *Crowd, most time.Duration) time.Duration {
	t.Helper()
	took, err := c.Await(most)
	if err != nil {
		t.Fatal(err)
	}
	return took
}

func (c *Crowd) turns() (n int) {
	for _, b := range c.all {
		n += b.Turns()
	}
	return n
}

// Members of a mesh that is larger than a node's connections all see all, however they
// have come, and go on to.
func TestCrowdSeesAll(t *testing.T) {
	specs := map[string]CrowdSpec{
		"at once":            small,
		"one by one":         {Nodes: small.Nodes, Conns: small.Conns, Batch: 1, Pause: 2 * time.Second},
		"first a small mesh": {Nodes: crowd, Conns: crowd / 3, Batch: crowd / 3, Pause: 3 * time.Second},
	}
	if soak {
		specs["300 members"] = CrowdSpec{Nodes: 300, Conns: 60}
	}
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			inCrowd(t, spec, func(t *testing.T, c *Crowd) {
				took := settle(t, c, settleIn)
				time.Sleep(3 * time.Second)
				before := c.turns()
				time.Sleep(20 * time.Second)
				if d := c.Differs(); d != "" || c.turns() != before {
					t.Errorf("later %s; %d times one came or went", d, c.turns()-before)
				}
				direct, most := 0, 0
				for _, b := range c.all {
					direct, most = direct+b.mesh.Count(), max(most, b.mesh.Count())
				}
				t.Logf("%d members with %d connections each: all saw all %v after the last had joined; %.1f connections a node",
					spec.Nodes, spec.Conns, took, float64(direct)/float64(spec.Nodes))
				if most > spec.Conns {
					t.Errorf("a node has %d connections", most)
				}
				if direct >= spec.Nodes*(spec.Nodes-1) {
					t.Error("all are connected with all: nothing was tried")
				}
			})
		})
	}
}

// A member that vanishes is down for all others as soon as its neighbours have
// noticed, and stays down; when it comes back, all see it.
func TestCrowdDeath(t *testing.T) {
	inCrowd(t, small, func(t *testing.T, c *Crowd) {
		settle(t, c, settleIn)
		time.Sleep(5 * time.Second)
		for dead := 3; dead < 9; dead += 2 {
			id := c.Node(dead).ID
			neighbour := map[*Body]bool{}
			for _, b := range c.all {
				neighbour[b] = b.mesh.Has(id)
			}
			c.Kill(dead)
			at := time.Now()
			var direct, through time.Duration
			for time.Since(at) < 5*time.Second {
				for _, b := range c.all {
					if b.index == dead {
						continue
					}
					if up, _ := b.Sees(id); up && neighbour[b] {
						direct = time.Since(at)
					} else if up {
						through = time.Since(at)
					}
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Logf("node %d was up for %v at those that were connected with it, for %v at others", dead+1, direct, through)
			// A record each second, silence of three, half a round trip for the word of
			// it, and a look each 10 ms.
			if most := 3*time.Second + 50*time.Millisecond; direct > most || through > most+25*time.Millisecond {
				t.Errorf("at most %v", most)
			}
			for range 1000 {
				for _, b := range c.all {
					if up, _ := b.Sees(id); up {
						t.Fatalf("node %d is back at node %d", dead+1, b.index+1)
					}
				}
				time.Sleep(10 * time.Millisecond)
			}
			if err := c.Restart(dead); err != nil {
				t.Fatal(err)
			}
			t.Logf("and was seen by all and saw all %v after it was started again", settle(t, c, settleIn))
		}
	})
}

// A member that leaves is gone at once.
func TestCrowdLeaves(t *testing.T) {
	inCrowd(t, small, func(t *testing.T, c *Crowd) {
		settle(t, c, settleIn)
		at := time.Now()
		go func() { _ = c.Stop(7) }()
		synctest.Wait()
		for c.Differs() != "" && time.Since(at) < settleIn {
			time.Sleep(time.Millisecond)
		}
		t.Logf("a member that left was down everywhere after %v", time.Since(at))
		if time.Since(at) > 200*time.Millisecond {
			t.Error("it took long")
		}
	})
}

// Two halves lose each other and find each other again, of a mesh that is larger than a
// node's connections and of such as are not.
func TestCrowdSplit(t *testing.T) {
	splits := []struct {
		CrowdSpec
		long time.Duration
	}{{small, 10 * time.Second}, {small, 2 * time.Minute}, {CrowdSpec{Nodes: 10}, 10 * time.Minute}, {CrowdSpec{Nodes: 2}, 10 * time.Minute}}
	for _, split := range splits {
		long := split.long
		inCrowd(t, split.CrowdSpec, func(t *testing.T, c *Crowd) {
			settle(t, c, settleIn)
			half := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}[:split.Nodes/2]
			c.Net.Split(half...)
			time.Sleep(long)
			for _, a := range c.all {
				for _, b := range c.all {
					up, _ := a.Sees(b.ID)
					if want := (a.index < len(half)) == (b.index < len(half)); a != b && up != want {
						t.Errorf("in a split of %v node %d sees node %d: %t", long, a.index+1, b.index+1, up)
					}
				}
			}
			c.Net.Heal()
			t.Logf("%d nodes: %v after the end of a split of %v all see all", split.Nodes, settle(t, c, settleIn), long)
		})
	}
}

// Members between which there is no path see each other through those that both reach:
// a neighbour is sought that hears who cannot be dialled.
func TestCrowdWithoutPaths(t *testing.T) {
	inCrowd(t, small, func(t *testing.T, c *Crowd) {
		settle(t, c, settleIn)
		side := func(i int) int { return i % 4 } // 0 and 1 do not reach each other
		c.Net.Shape(func(from, to int) vnet.Path {
			p := vnet.Path{Delay: 25 * time.Millisecond}
			if side(from)+side(to) == 1 {
				p.Loss = 1
			}
			return p
		})
		time.Sleep(4 * time.Second) // until the sessions have ended that are cut
		t.Logf("%v later all see all", settle(t, c, 4*settleIn))

		// A request there finds out, and no other tries until some time is over.
		from, to := c.Node(0), c.Node(1)
		if _, err := from.Ask(t.Context(), to); !errors.Is(err, mesh.ErrUnreachable) || !from.mesh.Unreachable(to.ID) {
			t.Errorf("asked without a path: %v", err)
		}
		c.Net.Shape(func(int, int) vnet.Path { return vnet.Path{Delay: 25 * time.Millisecond} })
		time.Sleep(time.Minute)
		if from.mesh.Unreachable(to.ID) {
			t.Error("a minute later it still counts as unreachable")
		}
		if _, err := from.Ask(t.Context(), to); err != nil {
			t.Error(err)
		}
	})
}

// Requests to members that are known through others are served, each over a connection
// that goes again.
func TestCrowdAsk(t *testing.T) {
	inCrowd(t, small, func(t *testing.T, c *Crowd) {
		settle(t, c, settleIn)
		time.Sleep(5 * time.Second)
		kept := c.Node(0).mesh.Count()
		made := 0
		for _, a := range []int{0, 5} {
			for _, b := range c.all {
				from := c.Node(a)
				if b == from {
					continue
				}
				far := from.mesh.Through(b.ID)
				at := time.Now()
				got, err := from.Ask(t.Context(), b)
				took := time.Since(at)
				if err != nil || got != b.ID.String() {
					t.Errorf("node %d asked node %d, through others: %t: %q, %v", a+1, b.index+1, far, got, err)
				}
				if most := 50 * time.Millisecond; !far && took > most+time.Millisecond || far && took > 4*most {
					t.Errorf("node %d asked node %d, through others: %t: it took %v", a+1, b.index+1, far, took)
				}
				if far {
					made++
				}
				if n := from.mesh.Count(); n > c.spec.Conns {
					t.Errorf("%d connections", n)
				}
				if d := c.Differs(); d != "" {
					t.Error(d)
				}
			}
		}
		time.Sleep(90 * time.Second)
		if n := c.Node(0).mesh.Count(); n > kept+1 || made < 10 {
			t.Errorf("%d connections were made; node 1 had %d and has %d", made, kept, n)
		}
		if d := c.Differs(); d != "" {
			t.Error(d)
		}
	})
}

// What a member sends, while nothing happens and while every node's load changes four
// times a second.
func TestCrowdTraffic(t *testing.T) {
	specs := []CrowdSpec{{Nodes: 10}, small}
	if soak {
		specs = append(specs, CrowdSpec{Nodes: 100}, CrowdSpec{Nodes: 200, Conns: 50})
	}
	for _, spec := range specs {
		inCrowd(t, spec, func(t *testing.T, c *Crowd) {
			r, err := c.Traffic(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d members, at most %d connections: a node sends %.0f bytes and %.0f packets a second idle, %.0f and %.0f with changing load",
				r.Nodes, r.Conns, r.Idle.Bytes, r.Idle.Packets, r.Busy.Bytes, r.Busy.Packets)
			if most := 600 * r.Direct; r.Idle.Bytes > most {
				t.Errorf("more than %.0f bytes a second", most)
			}
		})
	}
}

// Nodes that know one another through others answer for one another, and a node that
// dies is no candidate of anybody then.
func TestMembersAnswer(t *testing.T) {
	inMembers(t, 1, func(t *testing.T, f *Fleet) {
		holder, through := f.Nodes()-1, 0
		id := f.hosts[holder].id.String()
		for i := range holder {
			for _, v := range f.Node(i).Nodes() {
				if v.ID == id && v.Through {
					through++
				}
			}
			a := f.Ask(t.Context(), i, Question{Prompt: "hello"})
			if a.Err != nil || a.Node != f.hosts[holder].name {
				t.Errorf("node %d: %v by %q", i+1, a.Err, a.Node)
			}
			if took := a.Tokens[0].At - a.Asked; took > 200*time.Millisecond {
				t.Errorf("node %d: first token after %v", i+1, took)
			}
		}
		if through == 0 {
			t.Error("all nodes were connected with the only holder")
		}
		f.Stop(holder)
		at := f.Now()
		for len(f.Ghosts(holder)) > 0 && f.Now()-at < time.Minute {
			time.Sleep(10 * time.Millisecond)
		}
		gone := f.Now() - at
		t.Logf("%d of %d nodes knew the holder through others; it was a candidate for %v after its end", through, holder, gone)
		if gone > ghostsFor {
			t.Error("too long")
		}
		for range 500 {
			if g := f.Ghosts(holder); len(g) > 0 {
				t.Fatalf("it is back at %v", g)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}
