package seed

import (
	"sync"
	"sync/atomic"
	"time"
)

// What an event is in both older designs: a heap object with a topic, a peer
// and any value. The value carries what an event of omx carries.
type busEvent struct {
	topic string
	peer  string
	data  any
	at    time.Time
}

type busData struct{ model, a, b uint64 }

type busHandler func(*busEvent)

// registry finds the handlers of a topic.
type registry struct {
	mu       sync.RWMutex
	handlers map[string][]busHandler
}

func newRegistry() registry { return registry{handlers: map[string][]busHandler{}} }

func (r *registry) on(topic string, h busHandler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handlers[topic] = append(r.handlers[topic], h)
}

func (r *registry) of(topic string) []busHandler {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.handlers[topic]
}

// naiveBus starts a goroutine for each handler call, without bound.
type naiveBus struct{ registry }

func (b *naiveBus) emit(topic, peer string, data any) {
	handlers := b.of(topic)
	ev := &busEvent{topic, peer, data, time.Now()}
	for _, h := range handlers {
		go h(ev)
	}
}

// reportBus starts a goroutine where one of its slots is free, else calls the
// handler itself.
type reportBus struct {
	registry
	slots chan struct{}
}

// reportSlots is the report's "50 workers".
const reportSlots = 50

func newReportBus() *reportBus {
	return &reportBus{newRegistry(), make(chan struct{}, reportSlots)}
}

func (b *reportBus) emit(topic, peer string, data any) {
	handlers := b.of(topic)
	ev := &busEvent{topic, peer, data, time.Now()}
	for _, h := range handlers {
		select {
		case b.slots <- struct{}{}:
			go func() {
				defer func() { <-b.slots }()
				h(ev)
			}()
		default:
			h(ev)
		}
	}
}

// tally counts handler calls, so that the clock can be stopped when the last
// has been made.
type tally struct {
	emitted, handled atomic.Int64
}

// wait returns when everything emitted has been handled.
func (t *tally) wait() {
	for t.handled.Load() < t.emitted.Load() {
		time.Sleep(20 * time.Microsecond)
	}
}
