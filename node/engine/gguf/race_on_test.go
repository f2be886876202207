//go:build race

package gguf

// slower is how much longer the race detector may take.
const slower = 20
