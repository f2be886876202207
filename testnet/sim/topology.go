package sim

import (
	"math"

	"omx/node/catalog"
)

// Round trips, before jitter.
const (
	lanLeast = 300        // µs within a site
	lanMost  = 1_000      // µs within a site
	wanLeast = 10 * milli // between sites next to each other
	wanRange = 70 * milli // more between the two farthest apart
	hop      = 125        // jitter: up to 125/1024 of the round trip more, each way
)

// topology is where nodes are and how long messages take.
type topology struct {
	site  []int // of each node
	coord []catalog.Coord
	rtt   [][]uint32 // µs, both directions alike
	seed  uint64
}

func newTopology(s *Scenario) *topology {
	type point struct{ x, y float64 }
	r := stream(s.Seed, forSites)
	at := make([]point, s.Sites)
	for i := range at {
		at[i] = point{r.Float64(), r.Float64()}
	}
	far := 1e-9
	for _, a := range at {
		for _, b := range at {
			far = max(far, math.Hypot(a.x-b.x, a.y-b.y))
		}
	}
	t := &topology{site: make([]int, s.Nodes), coord: make([]catalog.Coord, s.Nodes), rtt: make([][]uint32, s.Nodes), seed: s.Seed}
	scale := float64(wanRange/milli) / far // milliseconds across the plane
	for i := range t.site {
		t.site[i] = i % s.Sites
		p := at[t.site[i]]
		t.coord[i] = catalog.Coord{X: float32(p.x * scale), Y: float32(p.y * scale), Height: float32(wanLeast/milli) / 2}
		t.rtt[i] = make([]uint32, s.Nodes)
	}
	links := stream(s.Seed, forLinks)
	for i := range t.rtt {
		for j := range i {
			rtt := uint32(lanLeast + links.IntN(lanMost-lanLeast+1))
			if a, b := at[t.site[i]], at[t.site[j]]; t.site[i] != t.site[j] {
				rtt += uint32(wanLeast) + uint32(math.Hypot(a.x-b.x, a.y-b.y)/far*float64(wanRange))
			}
			t.rtt[i][j], t.rtt[j][i] = rtt, rtt
		}
	}
	return t
}

// oneWay is how long the message named by keys takes from a to b.
func (t *topology) oneWay(a, b int32, keys ...uint64) catalog.Micros {
	rtt := uint64(t.rtt[a][b])
	h := t.seed
	for _, k := range keys {
		h = mix(h, k)
	}
	return catalog.Micros(rtt/2 + rtt*(h%hop)/1024)
}
