//go:build !race

package nodetest

// Race says whether the race detector is on, with which all takes ten times as long.
const Race = false
