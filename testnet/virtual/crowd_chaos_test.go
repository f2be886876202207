package virtual

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"omx/testnet/virtual/vnet"
)

// turnFor is how long a node waits for the word of another neighbour; see mesh.
const turnFor = 500 * time.Millisecond

// chaos is what befalls a crowd, drawn from a seed.
type chaos struct {
	c    *Crowd
	draw *rand.Rand
	down map[int]time.Time
	cuts []time.Time // when a path went or came
	log  []string

	longest time.Duration // that one was up after its end
}

func (x *chaos) note(format string, a ...any) {
	x.log = append(x.log, fmt.Sprintf("%v ", time.Since(x.c.began).Round(time.Millisecond))+fmt.Sprintf(format, a...))
}

// step has one thing happen.
func (x *chaos) step(t *testing.T) {
	i := x.draw.IntN(len(x.c.all))
	switch what := x.draw.IntN(7); {
	case what < 2 && len(x.down) < len(x.c.all)/4 && x.c.all[i].mesh != nil:
		x.down[i] = time.Now()
		if what == 0 {
			x.note("node %d is killed", i+1)
			x.cuts = append(x.cuts, x.down[i])
			x.c.Kill(i)
		} else {
			x.note("node %d leaves", i+1)
			if err := x.c.Stop(i); err != nil {
				t.Error(err)
			}
		}
	case what < 4:
		x.restart(t, 2*time.Second)
	case what == 4:
		half := x.draw.Perm(len(x.c.all))[:1+x.draw.IntN(len(x.c.all)/2)]
		x.note("split off %v", half)
		x.cuts = append(x.cuts, time.Now())
		x.c.Net.Split(half...)
	case what == 5:
		x.note("heal")
		x.cuts = append(x.cuts, time.Now())
		x.c.Net.Heal()
	default:
		p := vnet.Path{Delay: time.Duration(5+x.draw.IntN(60)) * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.04 * x.draw.Float64(), Duplicate: 0.01, Reorder: 0.02}
		x.note("all paths are %+v", p)
		x.c.Net.Shape(func(int, int) vnet.Path { return p })
		if x.draw.IntN(2) == 0 && x.c.all[i].mesh != nil {
			x.note("node %d has a new address", i+1)
			x.cuts = append(x.cuts, time.Now())
			x.c.Net.Rebind(i)
		}
	}
}

// restart starts those again that have been down for a while.
func (x *chaos) restart(t *testing.T, after time.Duration) {
	for i, at := range x.down {
		if time.Since(at) >= after {
			x.note("node %d is started", i+1)
			delete(x.down, i)
			if err := x.c.Restart(i); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// ghosts finds a node that is up somewhere though it ended long ago: neighbours notice
// within three seconds and tell, unless they or the path to them go, which others
// notice within three seconds again.
func (x *chaos) ghosts() string {
	for i, at := range x.down {
		most := 3*time.Second + 400*time.Millisecond
		if slices.ContainsFunc(x.cuts, func(c time.Time) bool { return c.After(at.Add(-4*time.Second)) && !c.Equal(at) }) {
			most += 3*time.Second + turnFor
		}
		for _, b := range x.c.all {
			up, _ := b.Sees(x.c.all[i].ID)
			if b.mesh == nil || !up {
				continue
			}
			x.longest = max(x.longest, time.Since(at))
			if time.Since(at) >= most {
				return fmt.Sprintf("node %d is up at node %d %v after its end", i+1, b.index+1, time.Since(at))
			}
		}
	}
	return ""
}

// Whatever befalls a large mesh, nobody is up long after its end, and all see all again.
func TestCrowdChaos(t *testing.T) {
	seeds := crowdSeeds
	if soak {
		seeds = 100
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			spec := small
			spec.Seed = seed
			inCrowd(t, spec, func(t *testing.T, c *Crowd) {
				x := chaos{c: c, draw: rand.New(rand.NewPCG(seed, 1)), down: map[int]time.Time{}}
				defer func() {
					if t.Failed() {
						for _, l := range x.log {
							t.Log(l)
						}
					}
				}()
				settle(t, c, settleIn)
				for range 20 {
					x.step(t)
					for range 4 * (1 + x.draw.IntN(15)) {
						time.Sleep(50 * time.Millisecond)
						if g := x.ghosts(); g != "" {
							t.Fatal(g)
						}
					}
				}
				time.Sleep(2 * time.Second)
				c.Net.Shape(func(int, int) vnet.Path { return vnet.Path{Delay: 25 * time.Millisecond} })
				c.Net.Heal()
				x.restart(t, 0)
				x.note("the last fault")
				t.Logf("%v after the last fault all see all; nobody was up for more than %v after its end", settle(t, c, settleIn), x.longest)
			})
		})
	}
}
