package events

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// Options of one subscriber. The zero value asks for every kind, with a queue
// of DefaultQueue events that loses the oldest when full.
type Options struct {
	Name  string // in errors; free text
	Kinds Set    // which events; 0 means All
	Queue int    // events that may wait, 1 to MaxQueue; 0 means DefaultQueue

	// Block makes Emit wait while the queue is full, in place of dropping the
	// oldest event. For subscribers that must see everything and are quick. The
	// handler of such a subscriber must not emit what it is subscribed to, nor
	// wait for anyone who does.
	Block bool
}

// Validate reports a queue length out of range.
func (o Options) Validate() error {
	if o.Queue < 0 || o.Queue > MaxQueue {
		return fmt.Errorf("queue of %d events: choose 1 to %d, or 0 for %d", o.Queue, MaxQueue, DefaultQueue)
	}
	return nil
}

// Subscription is one subscriber's place on a Bus.
//
// Events wait in a ring. The goroutine that delivers swaps the ring for an
// empty one and works through what it got without the lock: however long a
// handler takes, the lock is held for a few instructions, and under load one
// wake-up serves many events.
type Subscription struct {
	bus    *Bus
	name   string
	kinds  Set
	block  bool
	handle func(Event)

	_       [64]byte // emitters write from here on, deliver reads what is above
	mu      sync.Mutex
	ring    []Event
	first   int // index of the oldest
	n       int
	idle    bool // deliver waits for wake
	sealed  bool // takes no more events
	waiting int  // emitters in room.Wait
	room    sync.Cond
	dropped uint64
	_       [64]byte

	discard   atomic.Bool // do not deliver the rest
	delivered atomic.Uint64
	wake      chan struct{} // one token: deliver is idle and must look again
	done      chan struct{} // closed when deliver has returned
}

func newSubscription(b *Bus, opt Options, handle func(Event)) *Subscription {
	if opt.Queue == 0 {
		opt.Queue = DefaultQueue
	}
	if opt.Kinds == 0 {
		opt.Kinds = All
	}
	s := &Subscription{
		bus: b, name: opt.Name, kinds: opt.Kinds, block: opt.Block, handle: handle,
		ring: make([]Event, opt.Queue),
		wake: make(chan struct{}, 1),
		done: make(chan struct{}),
	}
	s.room.L = &s.mu
	return s
}

// put queues one event.
func (s *Subscription) put(ev *Event) {
	s.mu.Lock()
	for s.block && s.n == len(s.ring) && !s.sealed {
		s.waiting++
		s.room.Wait()
		s.waiting--
	}
	if s.sealed {
		s.dropped++
		s.mu.Unlock()
		return
	}
	at := s.first + s.n
	if at >= len(s.ring) {
		at -= len(s.ring)
	}
	s.ring[at] = *ev
	if s.n < len(s.ring) {
		s.n++
	} else { // the oldest has just been written over
		s.dropped++
		if s.first++; s.first == len(s.ring) {
			s.first = 0
		}
	}
	wake := s.idle
	s.idle = false
	s.mu.Unlock()
	if wake {
		s.wake <- struct{}{}
	}
}

// take swaps the ring for the empty one given; ok is false when the
// subscription is sealed and nothing is left.
func (s *Subscription) take(empty []Event) (ring []Event, first, n int, ok bool) {
	s.mu.Lock()
	for s.n == 0 {
		if s.sealed {
			s.mu.Unlock()
			return nil, 0, 0, false
		}
		s.idle = true
		s.mu.Unlock()
		<-s.wake
		s.mu.Lock()
	}
	ring, first, n = s.ring, s.first, s.n
	s.ring, s.first, s.n = empty, 0, 0
	if s.waiting > 0 {
		s.room.Broadcast()
	}
	s.mu.Unlock()
	return ring, first, n, true
}

func (s *Subscription) deliver() {
	defer close(s.done)
	spare := make([]Event, len(s.ring))
	for {
		ring, first, n, ok := s.take(spare)
		if !ok {
			return
		}
		for i := 0; i < n; i++ {
			if s.discard.Load() {
				s.mu.Lock()
				s.dropped += uint64(n - i)
				s.mu.Unlock()
				n = i
				break
			}
			at := first + i
			if at >= len(ring) {
				at -= len(ring)
			}
			s.handle(ring[at])
		}
		s.delivered.Add(uint64(n)) // by batch: the processors would pass this word around for each event
		spare = ring
	}
}

// seal stops the intake, and sends waiting emitters home.
func (s *Subscription) seal() {
	s.mu.Lock()
	s.sealed = true
	wake := s.idle
	s.idle = false
	s.room.Broadcast()
	s.mu.Unlock()
	if wake {
		s.wake <- struct{}{}
	}
}

func (s *Subscription) wait(ctx context.Context) error {
	select {
	case <-s.done:
		return nil
	default:
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		s.discard.Store(true)
		return fmt.Errorf("close event subscription %q: handler still busy: %w", s.name, ctx.Err())
	}
}

// Close stops the intake, waits until everything queued has been delivered and
// the goroutine has ended. When ctx ends first, what is left is dropped, the
// error says so, and the goroutine ends with the handler call it is in. The
// handler must not call it. A second Close waits in the same way.
func (s *Subscription) Close(ctx context.Context) error {
	s.bus.remove(s)
	s.seal()
	return s.wait(ctx)
}

// Stats counts events since Subscribe.
type Stats struct {
	Delivered uint64 // handler calls that have returned, as of the last batch
	Dropped   uint64 // written over in a full queue, or left when it was closed
	Waiting   int    // queued now, without those already taken for delivery
}

// Stats returns the counts.
func (s *Subscription) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Delivered: s.delivered.Load(), Dropped: s.dropped, Waiting: s.n}
}
