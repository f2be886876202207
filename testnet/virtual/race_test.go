//go:build race

package virtual

// Under the race detector all takes ten times as long.
const (
	seeds = 20
	many  = 50

	crowd      = 30
	crowdSeeds = 2
)
