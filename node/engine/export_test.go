package engine

// What the conformance suite, which stands outside, needs of the helpers in here.
var (
	StartLocal   = newLocal
	EndlessModel = endlessModel
)
