package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"omx/node/catalog"
)

// listenTokens is the length of one answer; the next begins at once.
const listenTokens = 1500

// listener has a model answer again and again and notes when its tokens come.
type listener struct {
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	firsts chan span // the first token of each answer

	mu     sync.Mutex
	gaps   []span // between the tokens of one answer
	broken int    // answers that ended with an error
}

// span begins with the sending of a request or with a token, and ends with a token.
type span struct{ from, to time.Time }

func listen(ctx context.Context, addr string, model catalog.ModelID) *listener {
	l := &listener{done: make(chan struct{}), firsts: make(chan span, 1)}
	l.ctx, l.cancel = context.WithCancel(ctx)
	go func() {
		defer close(l.done)
		for l.ctx.Err() == nil {
			if err := l.connected(addr, model); err != nil && l.ctx.Err() == nil {
				l.mu.Lock()
				l.broken++
				l.mu.Unlock()
				time.Sleep(time.Millisecond) // it is refused at once while the model is away
			}
		}
	}()
	return l
}

// connected asks until something goes wrong.
func (l *listener) connected(addr string, model catalog.ModelID) error {
	c, err := dial(addr, model)
	if err != nil {
		return err
	}
	hangUp := context.AfterFunc(l.ctx, func() { c.Close() })
	defer func() {
		if hangUp() {
			c.Close()
		}
	}()
	for err == nil {
		sent, last := time.Now(), time.Time{}
		c.piece = func() {
			now := time.Now()
			if last.IsZero() {
				l.began(span{sent, now})
			} else {
				l.mu.Lock()
				l.gaps = append(l.gaps, span{last, now})
				l.mu.Unlock()
			}
			last = now
		}
		_, err = c.ask("hello", listenTokens)
	}
	return err
}

// began keeps the latest.
func (l *listener) began(s span) {
	select {
	case <-l.firsts:
	default:
	}
	l.firsts <- s // nobody else sends
}

// first waits for the first token of a request that was sent after a moment.
func (l *listener) first(after time.Time) (time.Time, error) {
	timeout := time.NewTimer(recoveryTimeout)
	defer timeout.Stop()
	for {
		select {
		case s := <-l.firsts:
			if s.from.After(after) {
				return s.to, nil
			}
		case <-timeout.C:
			return time.Time{}, fmt.Errorf("a model did not answer within %v", recoveryTimeout)
		case <-l.ctx.Done():
			return time.Time{}, l.ctx.Err()
		}
	}
}

// longest is the longest gap that ended between two moments.
func (l *listener) longest(from, to time.Time) (most time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.gaps {
		if g.to.After(from) && !g.to.After(to) {
			most = max(most, g.to.Sub(g.from))
		}
	}
	return most
}

// stop ends it; it may be called more than once.
func (l *listener) stop() {
	l.cancel()
	<-l.done
}
