package mesh

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"omx/node/catalog"
)

// BackoffError says that a peer could not be reached a moment ago and is not
// dialled before Until.
type BackoffError struct {
	Until time.Time
	Cause error // of the last dial
}

func (e *BackoffError) Error() string {
	return fmt.Sprintf("not dialled before %s: %v", e.Until.Format(time.TimeOnly), e.Cause)
}

func (e *BackoffError) Unwrap() error { return e.Cause }

var errLostEarly = errors.New("its connection was lost soon after it was made")

// retry is when a peer may be dialled again. Each dial doubles the wait, also
// one that succeeds: a peer that hangs up at once would be dialled in a circle.
type retry struct {
	wait  time.Duration
	until time.Time
	cause error
}

// mayDial needs the mutex.
func (p *Pool[C]) mayDial(id catalog.NodeID, now time.Time) error {
	if r, ok := p.retries[id]; ok && now.Before(r.until) {
		return &BackoffError{Until: r.until, Cause: r.cause}
	}
	return nil
}

// dialled notes how a dial ended; it needs the mutex.
func (p *Pool[C]) dialled(id catalog.NodeID, err error, now time.Time) {
	r, ok := p.retries[id]
	if !ok && len(p.retries) >= maxPeers {
		return
	}
	if now.Sub(r.until) > stableAfter {
		r.wait = 0
	}
	r.wait = min(max(2*r.wait, p.cfg.RetryMin), p.cfg.RetryMax)
	r.until = now.Add(r.wait/2 + rand.N(r.wait/2+1)) // jitter, so that a fleet does not redial in step
	if r.cause = err; err == nil {
		r.cause = errLostEarly
	}
	p.retries[id] = r
}

// forget drops what has no meaning any more; it needs the mutex.
func (p *Pool[C]) forget(now time.Time) {
	for id, r := range p.retries {
		if now.Sub(r.until) > stableAfter {
			delete(p.retries, id)
		}
	}
}

// forgive has a peer dialled without a wait: there is news of it.
func (p *Pool[C]) forgive(id catalog.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.retries, id)
}
