package virtual

import "time"

const (
	// MaxNodes of a fleet: memory, at some hundred KB each.
	MaxNodes = 4096

	meshPort = 4001
	model    = "m" // the one that holders have

	// joinTime is how long the nodes of a fleet may take until all see all.
	joinTime = time.Minute
	// lookEvery is how often views are compared; it is the error of what is said
	// about when they changed.
	lookEvery = 50 * time.Millisecond
	// leaveTime is virtual: buntdb's goroutine notices the end of its store within a
	// second, QUIC's timers within three timeouts.
	leaveTime = 5 * time.Second
)
