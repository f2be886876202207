package mesh

import (
	"math"
	"time"

	"omx/node/catalog"
)

// Network coordinates after Vivaldi (Dabek, Cox, Kaashoek, Morris, SIGCOMM
// 2004): a plane for the core of the network and a height for each node's
// access link. The constants are the paper's and Serf's.
const (
	coordErrorGain = 0.25 // weight of one sample in the error estimate (c_e)
	coordStep      = 0.25 // share of the misfit corrected per sample (c_c)
	coordHeightMin = 0.01 // ms; keeps two nodes in one place apart
	coordErrorMax  = 1.5  // relative error of a node that knows nothing
	coordMax       = 60e3 // ms; anything farther is nonsense
	rttMin, rttMax = time.Microsecond, 10 * time.Second
)

// Coordinate is a node's place and how sure it is of it: Error is the relative
// error of its predictions, 0 (certain) to 1.5 (knows nothing).
type Coordinate struct {
	Coord catalog.Coord
	Error float64
}

// NewCoordinate is where a node starts.
func NewCoordinate() Coordinate {
	return Coordinate{Coord: catalog.Coord{Height: coordHeightMin}, Error: coordErrorMax}
}

// Update moves own after a round trip to remote was measured. An impossible
// sample or place changes nothing. random gives numbers in [0,1); it picks the
// direction in which two nodes in the same place part.
func Update(own, remote Coordinate, rtt time.Duration, random func() float64) Coordinate {
	if rtt < rttMin || rtt > rttMax || !validCoord(own.Coord) || !validCoord(remote.Coord) {
		return own
	}
	ms := float64(rtt) / float64(time.Millisecond)
	ownErr, remoteErr := clampError(own.Error), clampError(remote.Error)
	dist := own.Coord.Distance(remote.Coord)

	weight := ownErr / (ownErr + remoteErr) // both at least coordErrorMin: never 0/0
	sample := math.Abs(dist-ms) / ms
	gain := coordErrorGain * weight
	next := Coordinate{Coord: own.Coord, Error: clampError(sample*gain + ownErr*(1-gain))}

	force := coordStep * weight * (ms - dist)
	dx, dy := float64(own.Coord.X)-float64(remote.Coord.X), float64(own.Coord.Y)-float64(remote.Coord.Y)
	plane := math.Hypot(dx, dy)
	if plane < coordHeightMin {
		a := 2 * math.Pi * random()
		dx, dy = math.Cos(a), math.Sin(a)
	} else {
		dx, dy = dx/plane, dy/plane
		h := float64(own.Coord.Height)
		h += (h + float64(remote.Coord.Height)) * force / plane
		next.Coord.Height = float32(max(h, coordHeightMin))
	}
	next.Coord.X += float32(dx * force)
	next.Coord.Y += float32(dy * force)
	if !validCoord(next.Coord) {
		return own
	}
	return next
}

// Estimate is the round trip between two places; 0 if one of them is not sure enough
// of where it is.
func Estimate(a, b Coordinate) time.Duration {
	if a.Error > coordErrorSure || b.Error > coordErrorSure || !validCoord(a.Coord) || !validCoord(b.Coord) {
		return 0
	}
	return min(time.Duration(a.Coord.Distance(b.Coord)*float64(time.Millisecond)), rttMax)
}

const (
	coordErrorMin  = 1e-3
	coordErrorSure = 0.5
)

func clampError(e float64) float64 {
	if math.IsNaN(e) {
		return coordErrorMax
	}
	return min(max(e, coordErrorMin), coordErrorMax)
}

func validCoord(c catalog.Coord) bool {
	ok := func(v float32) bool { return math.Abs(float64(v)) <= coordMax } // false for NaN
	return ok(c.X) && ok(c.Y) && ok(c.Height) && c.Height >= 0
}
