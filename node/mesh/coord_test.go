package mesh

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"omx/node/catalog"
)

// Nodes on a plane, each behind an access link and all peers of one another,
// find coordinates that predict their round trips.
func TestCoordinatesConverge(t *testing.T) {
	const nodes, rounds = 40, 400
	rnd := rand.New(rand.NewPCG(1, 2))
	type place struct{ x, y, access float64 } // ms
	places, coords := make([]place, nodes), make([]Coordinate, nodes)
	for i := range places {
		places[i] = place{rnd.Float64() * 100, rnd.Float64() * 60, 1 + rnd.Float64()*9}
		coords[i] = NewCoordinate()
	}
	truth := func(i, j int) float64 {
		return math.Hypot(places[i].x-places[j].x, places[i].y-places[j].y) + places[i].access + places[j].access
	}
	for range rounds {
		for i := range nodes {
			j := (i + 1 + rnd.IntN(nodes-1)) % nodes
			ms := truth(i, j) * (0.95 + 0.1*rnd.Float64()) // 5 % jitter
			coords[i] = Update(coords[i], coords[j], time.Duration(ms*float64(time.Millisecond)), rnd.Float64)
		}
	}
	var off []float64
	for i := range nodes {
		for j := range i {
			off = append(off, math.Abs(coords[i].Coord.Distance(coords[j].Coord)-truth(i, j))/truth(i, j))
		}
	}
	sort.Float64s(off)
	median, p90 := off[len(off)/2], off[len(off)*9/10]
	t.Logf("relative error: median %.3f, 90th percentile %.3f", median, p90)
	if median > 0.10 || p90 > 0.30 {
		t.Errorf("median %.3f, 90th percentile %.3f", median, p90)
	}
	for i := range coords {
		if coords[i].Error > 0.5 {
			t.Errorf("node %d still thinks its error is %.2f", i, coords[i].Error)
		}
	}
}

func TestCoordinateIgnoresNonsense(t *testing.T) {
	nan, far := float32(math.NaN()), float32(1e6)
	good := Coordinate{Coord: catalog.Coord{X: 10, Y: 10, Height: 1}, Error: 0.2}
	for name, c := range map[string]struct {
		remote Coordinate
		rtt    time.Duration
	}{
		"no round trip":   {good, 0},
		"negative":        {good, -time.Second},
		"an hour":         {good, time.Hour},
		"not a number":    {Coordinate{Coord: catalog.Coord{X: nan}}, time.Second},
		"out of range":    {Coordinate{Coord: catalog.Coord{Y: far}}, time.Second},
		"negative height": {Coordinate{Coord: catalog.Coord{Height: -1}}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Update(good, c.remote, c.rtt, rand.Float64); got != good {
				t.Errorf("moved to %+v", got)
			}
		})
	}
}

func FuzzUpdate(f *testing.F) {
	f.Add(float32(0), float32(0), float32(0), 1.5, float32(0), float32(0), float32(0), 1.5, int64(time.Millisecond))
	f.Fuzz(func(t *testing.T, x, y, h float32, e float64, rx, ry, rh float32, re float64, rtt int64) {
		own := Coordinate{Coord: catalog.Coord{X: x, Y: y, Height: h}, Error: e}
		if !validCoord(own.Coord) {
			return
		}
		got := Update(own, Coordinate{Coord: catalog.Coord{X: rx, Y: ry, Height: rh}, Error: re}, time.Duration(rtt), func() float64 { return 0.25 })
		if !validCoord(got.Coord) || got != own && (got.Error < 0 || got.Error > coordErrorMax) {
			t.Errorf("moved to %+v", got)
		}
	})
}
