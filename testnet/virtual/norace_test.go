//go:build !race

package virtual

const (
	seeds = 100 // are played unless OMX_SEEDS says how many
	many  = 200 // nodes at once

	crowd      = 60 // members of one mesh
	crowdSeeds = 5
)
