package nodetest

import (
	"testing"
	"time"
)

const (
	// patience is for machines that do much else, with the race detector: nothing
	// that is waited for needs it.
	patience = time.Minute
	pause    = 2 * time.Millisecond
)

// Eventually waits until ok says so, and ends the test if that does not come within
// a minute; what is the condition in words. It is for what tells nobody when it
// happens, and for the goroutine of the test.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(pause) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
