package seed

import (
	"context"
	"fmt"
	"time"

	"omx/bench/measure"
	"omx/node/events"
)

const (
	topic = "peer.connected"
	peer  = "12D3KooWExamplePeer"

	burstEvents   = 1000
	legacyHandler = time.Millisecond
	// legacyEmitters is the number of threads of the machine the report was
	// written on: its figures carry the suffix -14.
	legacyEmitters = 14
)

type emitFunc func(topic, peer string, data any)

// older measures one of the older buses with a handler that takes so long.
func older(handlerTime time.Duration, make func(busHandler) emitFunc) func(int) (*measure.Run, error) {
	return func(int) (*measure.Run, error) {
		var t tally
		emit := make(func(*busEvent) {
			if handlerTime > 0 {
				time.Sleep(handlerTime)
			}
			t.handled.Add(1)
		})
		return &measure.Run{
			Op: func(w *measure.Worker, n int) {
				for range n {
					w.Next++
					emit(topic, peer, busData{1, uint64(w.Next), 2})
				}
				t.emitted.Add(int64(n))
			},
			Drain: t.wait,
		}, nil
	}
}

func naiveEmit(h busHandler) emitFunc {
	b := &naiveBus{newRegistry()}
	b.on(topic, h)
	return b.emit
}

func reportEmit(h busHandler) emitFunc {
	b := newReportBus()
	b.on(topic, h)
	return b.emit
}

// omxEmit: the subscriber is lossless, for the others are, and every event has
// been handled when the clock stops.
func omxEmit(int) (*measure.Run, error) {
	var t tally
	bus := events.New()
	if _, err := bus.Subscribe(events.Options{Block: true}, func(events.Event) { t.handled.Add(1) }); err != nil {
		return nil, err
	}
	return &measure.Run{
		Op: func(w *measure.Worker, n int) {
			for range n {
				w.Next++
				bus.Emit(events.Event{Kind: events.PeerUp, Node: 7, Model: 1, A: uint64(w.Next), B: 2})
			}
			t.emitted.Add(int64(n))
		},
		Drain: t.wait,
		Close: func() string { return closeBus(bus) },
	}, nil
}

// omxLegacy is a subscriber as the node makes them, one that cannot keep up.
func omxLegacy(int) (*measure.Run, error) {
	bus := events.New()
	sub, err := bus.Subscribe(events.Options{}, func(events.Event) { time.Sleep(time.Millisecond) })
	if err != nil {
		return nil, err
	}
	return &measure.Run{
		Op: func(_ *measure.Worker, n int) {
			for range n {
				bus.Emit(events.Event{Kind: events.PeerUp, Node: 7, Model: 1})
			}
		},
		Close: func() string {
			abandon(bus, sub)
			st := sub.Stats()
			return fmt.Sprintf("%.3f %% of the events handled, the others dropped and counted",
				100*float64(st.Delivered)/float64(max(st.Delivered+st.Dropped, 1)))
		},
	}, nil
}

// olderBurst times how long the emitter is held by a burst of events.
func olderBurst(make func(busHandler) emitFunc) func(int) (*measure.Run, error) {
	return func(int) (*measure.Run, error) {
		var t tally
		emit := make(func(*busEvent) {
			time.Sleep(10 * time.Millisecond)
			t.handled.Add(1)
		})
		return &measure.Run{Once: func(timer *measure.Timer) {
			timer.Start()
			for i := range burstEvents {
				emit(topic, peer, busData{1, uint64(i), 2})
			}
			timer.Stop(1)
			t.emitted.Store(burstEvents)
			t.wait()
		}}, nil
	}
}

func omxBurst(int) (*measure.Run, error) {
	bus := events.New()
	begun := make(chan struct{}, 1)
	sub, err := bus.Subscribe(events.Options{}, func(events.Event) {
		select {
		case begun <- struct{}{}:
		default:
		}
		time.Sleep(10 * time.Millisecond)
	})
	if err != nil {
		return nil, err
	}
	return &measure.Run{
		Once: func(timer *measure.Timer) {
			bus.Emit(events.Event{Kind: events.PeerUp}) // the handler is busy when the burst begins
			<-begun
			timer.Start()
			for i := range burstEvents {
				bus.Emit(events.Event{Kind: events.PeerUp, Node: 7, Model: 1, A: uint64(i), B: 2})
			}
			timer.Stop(1)
		},
		Close: func() string {
			lost := sub.Stats().Dropped
			abandon(bus, sub)
			return fmt.Sprintf("%d of %d dropped", lost, burstEvents)
		},
	}, nil
}

// abandon closes a subscriber without working through its queue.
func abandon(bus *events.Bus, sub *events.Subscription) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = sub.Close(ended) // the error says that events were left, as is meant
	_ = sub.Close(context.Background())
	closeBus(bus)
}

func closeBus(bus *events.Bus) string {
	if err := bus.Close(context.Background()); err != nil {
		return err.Error()
	}
	return ""
}
