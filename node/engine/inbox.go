package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"omx/node/engine/frame"
)

// inbox holds what has come for one request until its reader takes it. A slow
// reader never holds up the worker: what comes meanwhile is joined.
type inbox struct {
	// slotted says that the request has a slot, which its end frees.
	slotted bool
	since   time.Time // the request had its slot, and was not with the worker yet

	mu      sync.Mutex
	parts   []part
	size    int // bytes of all parts
	vectors [][]float32
	result  *frame.Result
	err     error // the request is lost
	news    chan struct{}
}

// part is text of one kind.
type part struct {
	text     []byte
	tokens   int
	thought  bool
	called   bool
	logprobs []frame.Logprob
}

func (p *part) joins(d *frame.Detail) bool {
	return p.thought == d.Thought && p.called == d.Called && len(p.logprobs) == 0 && len(d.Logprobs) == 0
}

var errSlowReader = errors.New("the answer was not read")

func newInbox(slotted bool) *inbox {
	return &inbox{slotted: slotted, since: time.Now(), news: make(chan struct{}, 1)}
}

// waited is how long a request that began then waited for its slot; if it got
// none (b is nil), until now.
func (b *inbox) waited(began time.Time) time.Duration {
	if b == nil {
		return time.Since(began)
	}
	return b.since.Sub(began)
}

// put adds plain text. It returns false once the reader is too far behind.
func (b *inbox) put(text []byte, tokens int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.add(text, tokens, &frame.Detail{})
}

// putRich adds a piece with more to it; see put.
func (b *inbox) putRich(d *frame.Detail, tokens int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.add([]byte(d.Text), tokens, d)
}

func (b *inbox) add(text []byte, tokens int, d *frame.Detail) bool {
	b.size += len(text) + logprobSize*len(d.Logprobs)
	if b.size > maxPending {
		b.err = errSlowReader
		b.notify()
		return false
	}
	if n := len(b.parts); n > 0 && b.parts[n-1].joins(d) {
		p := &b.parts[n-1]
		p.text, p.tokens = append(p.text, text...), p.tokens+tokens
	} else {
		b.parts = append(b.parts, part{thought: d.Thought, called: d.Called, logprobs: d.Logprobs, tokens: tokens, text: append(b.spare(), text...)})
	}
	b.notify()
	return true
}

// spare is the buffer of a part that was taken.
func (b *inbox) spare() []byte {
	if len(b.parts) < cap(b.parts) {
		return b.parts[:len(b.parts)+1][len(b.parts)].text[:0]
	}
	return nil
}

// putVector adds a vector.
func (b *inbox) putVector(v []float32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.vectors = append(b.vectors, v)
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
func (b *inbox) next(ctx context.Context) (t Token, r *frame.Result, err error) {
	for {
		b.mu.Lock()
		if len(b.parts) > 0 {
			p := &b.parts[0]
			t = Token{Text: string(p.text), N: p.tokens, Thought: p.thought, Called: p.called, Logprobs: p.logprobs}
			b.size -= len(p.text) + logprobSize*len(p.logprobs)
			if len(b.parts) == 1 {
				b.parts = b.parts[:0] // its buffer is taken again
			} else {
				b.parts = b.parts[1:]
			}
		} else {
			r, err = b.result, b.err
		}
		b.mu.Unlock()
		if t.Text != "" || r != nil || err != nil {
			return t, r, err
		}
		select {
		case <-b.news:
		case <-ctx.Done():
			return Token{}, nil, ctx.Err()
		}
	}
}
