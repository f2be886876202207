package nodetest

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// Goroutines that ask at once for timers that have fired: without [Bubble]'s care this
// crashes a process with the race detector.
func TestBubbleTimers(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	Bubble(t, func(t *testing.T) {
		var fleet sync.WaitGroup
		for range 8 {
			fleet.Go(func() {
				for range 10_000 {
					<-time.NewTimer(0).C
				}
			})
		}
		fleet.Wait()
	})
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("%d processors were left, there were %d", n, before)
	}
}
