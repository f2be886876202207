package engine

import (
	"context"
	"errors"
	"sync"

	"omx/node/engine/frame"
)

// inbox holds what has come for one request until its reader takes it. A slow
// reader never holds up the worker: what comes meanwhile is joined.
type inbox struct {
	mu     sync.Mutex
	text   []byte
	tokens int
	result *frame.Result
	err    error // the request is lost
	news   chan struct{}
}

var errSlowReader = errors.New("the answer was not read")

func newInbox() *inbox { return &inbox{news: make(chan struct{}, 1)} }

// put adds text. It returns false once the reader is too far behind.
func (b *inbox) put(text []byte, tokens int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.text)+len(text) > maxPending {
		b.err = errSlowReader
		b.notify()
		return false
	}
	b.text = append(b.text, text...)
	b.tokens += tokens
	b.notify()
	return true
}

// end ends the request: with a result, or with an error if there is none.
func (b *inbox) end(r *frame.Result, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.result == nil && b.err == nil {
		b.result, b.err = r, err
	}
	b.notify()
}

func (b *inbox) notify() {
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// next waits for text or the end. Text comes before the result or error.
func (b *inbox) next(ctx context.Context) (text string, tokens int, r *frame.Result, err error) {
	for {
		b.mu.Lock()
		if len(b.text) > 0 {
			text, tokens = string(b.text), b.tokens
			b.text, b.tokens = b.text[:0], 0
		} else {
			r, err = b.result, b.err
		}
		b.mu.Unlock()
		if text != "" || r != nil || err != nil {
			return text, tokens, r, err
		}
		select {
		case <-b.news:
		case <-ctx.Done():
			return "", 0, nil, ctx.Err()
		}
	}
}
