package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrClosed means the bus takes no more subscribers.
var ErrClosed = errors.New("event bus is closed")

// Bus passes events to its subscribers. The zero value is not usable: New.
// All methods may be called from several goroutines.
type Bus struct {
	subs atomic.Pointer[[]*Subscription] // replaced, never changed: Emit takes no lock to read it

	clock clock

	mu     sync.Mutex
	closed bool
	stop   chan struct{} // ends the clock
	wg     sync.WaitGroup
}

// New returns a bus without subscribers. It starts no goroutine.
func New() *Bus {
	b := &Bus{clock: clock{wake: make(chan struct{}, 1)}}
	b.subs.Store(new([]*Subscription))
	return b
}

// Emit gives ev to every subscriber of its kind. It allocates nothing and waits
// only for subscribers with Options.Block, and for those only while their queue
// is full. What one goroutine emits, and what is emitted after another Emit has
// returned, arrives in that order. With no subscribers it does nothing.
func (b *Bus) Emit(ev Event) {
	for _, s := range *b.subs.Load() {
		if s.kinds.Has(ev.Kind) {
			if ev.At == 0 {
				ev.At = b.clock.now()
			}
			s.put(&ev)
		}
	}
}

// Subscribe calls handle for each event of the wanted kinds, one at a time and
// in order, on a goroutine that Close ends. The first one also starts the clock
// that stamps events; Bus.Close ends it. Errors: ErrClosed, options out of
// range, too many subscribers.
func (b *Bus) Subscribe(opt Options, handle func(Event)) (*Subscription, error) {
	if err := opt.Validate(); err != nil {
		return nil, fmt.Errorf("subscribe to events: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	have := *b.subs.Load()
	switch {
	case b.closed:
		return nil, fmt.Errorf("subscribe to events: %w", ErrClosed)
	case len(have) >= MaxSubscribers:
		return nil, fmt.Errorf("subscribe to events: %d subscribers already, the limit; close one", len(have))
	}
	if b.stop == nil {
		b.stop = make(chan struct{})
		b.wg.Go(func() { b.clock.run(b.stop) })
	}
	s := newSubscription(b, opt, handle)
	next := append(slices.Clip(have), s)
	b.subs.Store(&next)
	go s.deliver()
	return s, nil
}

func (b *Bus) remove(s *Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	have := *b.subs.Load()
	if i := slices.Index(have, s); i >= 0 {
		next := slices.Concat(have[:i], have[i+1:])
		b.subs.Store(&next)
	}
}

// Close ends every subscription as Subscription.Close does, all at once, and
// refuses new ones. Events emitted after it are dropped.
func (b *Bus) Close(ctx context.Context) error {
	b.mu.Lock()
	if !b.closed && b.stop != nil {
		close(b.stop)
	}
	b.closed = true
	all := *b.subs.Load()
	b.subs.Store(new([]*Subscription))
	b.mu.Unlock()
	for _, s := range all {
		s.seal()
	}
	b.wg.Wait()
	var errs []error
	for _, s := range all {
		errs = append(errs, s.wait(ctx))
	}
	return errors.Join(errs...)
}
