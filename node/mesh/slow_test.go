package mesh

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// A peer that does not read makes this node hold no more than the window of one
// stream, whatever there is to be said; its going away frees the rest at once.
func TestPeerThatDoesNotRead(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	var sent, writes atomic.Int64
	ended := make(chan struct{})
	text := make([]byte, 100)
	b.handle(func(ctx context.Context, s *ServerStream) {
		defer close(ended)
		for ctx.Err() == nil && s.Token(text, 1) == nil {
			sent.Add(int64(len(text)))
			writes.Add(1)
		}
	})
	s := begun(t, a, b)
	// It has come to a halt when nothing more is written for a while.
	for last := int64(-1); last != writes.Load(); {
		last = writes.Load()
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("%d bytes were sent to nobody", sent.Load())
	if sent.Load() > 1<<20 {
		t.Errorf("%d bytes were sent to nobody", sent.Load())
	}
	closed := time.Now()
	s.Close()
	<-ended
	t.Logf("cancelled within %v", time.Since(closed))
	if took := time.Since(closed); took > 10*time.Second {
		t.Errorf("cancelled after %v", took)
	}
}
