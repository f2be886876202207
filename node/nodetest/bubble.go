package nodetest

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
)

// Bubble is [synctest.Test], with one processor under the race detector: the runtime
// (Go 1.26, golang.org/issue/78156) keeps one race context for all timers of a bubble,
// and when two threads find that their timers have fired at the same instant, which in
// virtual time is common, they use it at once and the detector crashes the process.
// Bubbles of parallel tests share that processor; races are found as before, since they
// are told by order, not by time.
func Bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	if Race {
		one.take()
		defer one.give()
	}
	synctest.Test(t, f)
}

var one oneProcessor

// oneProcessor has the process run on one processor as long as a bubble needs it.
type oneProcessor struct {
	mu      sync.Mutex
	bubbles int
	before  int // GOMAXPROCS without bubbles
}

func (o *oneProcessor) take() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bubbles++; o.bubbles == 1 {
		o.before = runtime.GOMAXPROCS(1)
	}
}

func (o *oneProcessor) give() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bubbles--; o.bubbles == 0 {
		runtime.GOMAXPROCS(o.before)
	}
}
