package events

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"omx/node/nodetest"
)

func TestCloseDelivers(t *testing.T) {
	b := New()
	g := newGate()
	s := subscribe(t, b, Options{}, g.handle)
	for a := range uint64(500) {
		b.Emit(Event{Kind: PeerUp, A: a})
	}
	<-g.in
	close(g.out)
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(g.seen) != 500 {
		t.Errorf("%d of 500 queued events delivered by Close", len(g.seen))
	}
	b.Emit(Event{Kind: PeerUp}) // nobody there any more
	if err := s.Close(context.Background()); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if st := s.Stats(); st.Delivered != 500 || st.Dropped != 0 {
		t.Errorf("%+v", st)
	}
	closeBus(t, b)
	closeBus(t, b)
}

func TestCloseIsBounded(t *testing.T) {
	nodetest.Bubble(t, func(t *testing.T) {
		b := New()
		g := newGate()
		s := subscribe(t, b, Options{Name: "stuck"}, g.handle)
		for a := range uint64(10) {
			b.Emit(Event{Kind: PeerUp, A: a})
		}
		<-g.in
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close of a stuck subscriber: %v", err)
		}
		close(g.out)
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("Close after the handler came back: %v", err)
		}
		if st := s.Stats(); st.Delivered != 1 || st.Delivered+st.Dropped != 10 {
			t.Errorf("%+v, want 1 delivered and 9 dropped", st)
		}
		closeBus(t, b)
	})
}

// Close sends home the emitters that wait for room, and counts what they had.
func TestCloseFreesEmitters(t *testing.T) {
	nodetest.Bubble(t, func(t *testing.T) {
		b := New()
		g := newGate()
		s := subscribe(t, b, Options{Queue: 1, Block: true}, g.handle)
		b.Emit(Event{Kind: PeerUp, A: 1})
		<-g.in
		var wg sync.WaitGroup
		for a := range uint64(5) {
			wg.Go(func() { b.Emit(Event{Kind: PeerUp, A: a + 2}) })
		}
		synctest.Wait() // one is in the queue, four wait
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Close: %v", err)
		}
		wg.Wait()
		close(g.out)
		closeBus(t, b)
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if st := s.Stats(); st.Delivered != 1 || st.Dropped != 5 {
			t.Errorf("%+v, want 1 delivered and 5 dropped", st)
		}
	})
}

// Subscribers come and go while events are emitted.
func TestChurn(t *testing.T) {
	b := New()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for a := uint64(0); ; a++ {
				select {
				case <-stop:
					return
				default:
					b.Emit(Event{Kind: PeerUp, A: a})
				}
			}
		})
	}
	for i := range 50 {
		got := make(chan struct{}, 1)
		s := subscribe(t, b, Options{Queue: 8, Block: i%2 == 0}, func(Event) {
			select {
			case got <- struct{}{}:
			default:
			}
		})
		<-got
		if err := s.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	closeBus(t, b)
}
