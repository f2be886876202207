package events

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"omx/node/nodetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func subscribe(t *testing.T, b *Bus, opt Options, handle func(Event)) *Subscription {
	t.Helper()
	s, err := b.Subscribe(opt, handle)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeBus(t *testing.T, b *Bus) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

// A handler that waits until it is let go, for tests of full queues.
type gate struct {
	in, out chan struct{}
	seen    []uint64
}

func newGate() *gate { return &gate{in: make(chan struct{}), out: make(chan struct{})} }

func (g *gate) handle(ev Event) {
	if len(g.seen) == 0 {
		close(g.in)
		<-g.out
	}
	g.seen = append(g.seen, ev.A)
}

func TestOrder(t *testing.T) {
	const emitters, each = 8, 5000
	for _, opt := range []Options{
		{Name: "lossless, tiny queue", Block: true, Queue: 3},
		{Name: "lossless", Block: true},
		{Name: "lossy", Queue: 64},
	} {
		t.Run(opt.Name, func(t *testing.T) {
			b := New()
			var last [emitters]uint64
			total := uint64(0)
			s := subscribe(t, b, opt, func(ev Event) {
				if ev.A <= last[ev.Node] {
					t.Errorf("emitter %d: %d after %d", ev.Node, ev.A, last[ev.Node])
				}
				last[ev.Node] = ev.A
				total++
			})
			var wg sync.WaitGroup
			for e := range emitters {
				wg.Go(func() {
					for i := range each {
						b.Emit(Event{Kind: PeerUp, Node: uint64(e), A: uint64(i + 1)})
					}
				})
			}
			wg.Wait()
			closeBus(t, b)
			st := s.Stats()
			if st.Delivered != total || st.Delivered+st.Dropped != emitters*each {
				t.Errorf("delivered %d (saw %d) and dropped %d of %d", st.Delivered, total, st.Dropped, emitters*each)
			}
			if opt.Block && st.Dropped != 0 {
				t.Errorf("%d events of a lossless subscriber dropped", st.Dropped)
			}
			newest := uint64(0)
			for _, n := range last {
				newest = max(newest, n)
			}
			if newest != each { // the newest is never the one dropped
				t.Errorf("the last event emitted did not arrive, only %d of %d", newest, each)
			}
		})
	}
}

// What one emitter does after another's Emit has returned comes after it.
func TestOrderBetweenEmitters(t *testing.T) {
	b := New()
	next := uint64(0)
	subscribe(t, b, Options{Block: true, Queue: 7}, func(ev Event) {
		if ev.A != next {
			t.Errorf("got %d, want %d", ev.A, next)
		}
		next++
	})
	turn := make(chan uint64, 1)
	turn <- 0
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				n := <-turn
				b.Emit(Event{Kind: PeerUp, A: n})
				turn <- n + 1
			}
		})
	}
	wg.Wait()
	closeBus(t, b)
	if next != 4000 {
		t.Errorf("%d events seen, want 4000", next)
	}
}

func TestFullQueueDropsOldest(t *testing.T) {
	b := New()
	g := newGate()
	s := subscribe(t, b, Options{Queue: 4}, g.handle)
	b.Emit(Event{Kind: PeerUp, A: 1})
	<-g.in // 1 is being handled, the queue is empty
	for a := uint64(2); a <= 10; a++ {
		b.Emit(Event{Kind: PeerUp, A: a})
	}
	if st := s.Stats(); st.Dropped != 5 || st.Waiting != 4 {
		t.Errorf("%+v, want 5 dropped and 4 waiting", st)
	}
	close(g.out)
	closeBus(t, b)
	want := []uint64{1, 7, 8, 9, 10}
	if len(g.seen) != len(want) {
		t.Fatalf("saw %v, want %v", g.seen, want)
	}
	for i, a := range want {
		if g.seen[i] != a {
			t.Fatalf("saw %v, want %v", g.seen, want)
		}
	}
}

func TestFullQueueBlocks(t *testing.T) {
	nodetest.Bubble(t, func(t *testing.T) {
		b := New()
		g := newGate()
		s := subscribe(t, b, Options{Queue: 2, Block: true}, g.handle)
		b.Emit(Event{Kind: PeerUp, A: 1})
		<-g.in
		returned := false
		go func() {
			for a := uint64(2); a <= 4; a++ {
				b.Emit(Event{Kind: PeerUp, A: a})
			}
			returned = true
		}()
		synctest.Wait()
		if returned {
			t.Error("Emit returned although the queue was full")
		}
		close(g.out)
		synctest.Wait()
		if st := s.Stats(); !returned || st.Delivered != 4 || st.Dropped != 0 {
			t.Errorf("returned %v, %+v; want 4 delivered", returned, st)
		}
		closeBus(t, b)
	})
}

// A slow subscriber delays neither the emitter nor another subscriber.
func TestSlowSubscriberIsAlone(t *testing.T) {
	b := New()
	g := newGate()
	subscribe(t, b, Options{Queue: 2}, g.handle)
	quick := make(chan uint64, 100)
	subscribe(t, b, Options{}, func(ev Event) { quick <- ev.A })
	for a := range uint64(100) {
		b.Emit(Event{Kind: PeerUp, A: a})
	}
	for a := range uint64(100) {
		if got := <-quick; got != a {
			t.Fatalf("got %d, want %d", got, a)
		}
	}
	close(g.out)
	closeBus(t, b)
}

func TestKinds(t *testing.T) {
	b := New()
	var some, all []Kind
	subscribe(t, b, Options{Kinds: Of(PeerDown, PolicyFault)}, func(ev Event) { some = append(some, ev.Kind) })
	subscribe(t, b, Options{}, func(ev Event) { all = append(all, ev.Kind) })
	for k := PeerUp; k < kinds; k++ {
		b.Emit(Event{Kind: k})
		if k.String() == "unknown" || k.String() == "" {
			t.Errorf("kind %d has no name", k)
		}
	}
	closeBus(t, b)
	if len(some) != 2 || some[0] != PeerDown || some[1] != PolicyFault || len(all) != int(kinds)-1 {
		t.Errorf("got %v and %d of all", some, len(all))
	}
	if kinds.String() != "unknown" || Kind(0).String() != "unknown" || Kind(255).String() != "unknown" {
		t.Error("a kind that does not exist has a name")
	}
}

func TestStamp(t *testing.T) {
	nodetest.Bubble(t, func(t *testing.T) {
		b := New()
		var at []int64
		subscribe(t, b, Options{}, func(ev Event) { at = append(at, ev.At) })
		check := func(n int) {
			t.Helper()
			synctest.Wait()
			now := time.Now().UnixMicro()
			if len(at) != n || math.Abs(float64(now-at[n-1])) > 1000 {
				t.Fatalf("event %d stamped %v, now %d", n, at, now)
			}
		}
		b.Emit(Event{Kind: PeerUp}) // the clock rests
		check(1)
		for i := 2; i < 10; i++ { // it ticks
			time.Sleep(300 * time.Microsecond)
			b.Emit(Event{Kind: PeerUp})
			check(i)
		}
		time.Sleep(time.Hour) // it rests again
		if w := b.clock.word.Load(); w != 0 {
			t.Error("the clock ticks although nobody asks")
		}
		b.Emit(Event{Kind: PeerUp})
		check(10)
		b.Emit(Event{Kind: PeerUp, At: 42})
		synctest.Wait()
		if at[10] != 42 {
			t.Errorf("the emitter's own time became %d", at[10])
		}
		closeBus(t, b)
	})
}

func TestSubscribeErrors(t *testing.T) {
	b := New()
	for _, q := range []int{-1, MaxQueue + 1} {
		if _, err := b.Subscribe(Options{Queue: q}, func(Event) {}); err == nil {
			t.Errorf("queue of %d accepted", q)
		}
	}
	for range MaxSubscribers {
		subscribe(t, b, Options{Queue: 1}, func(Event) {})
	}
	if _, err := b.Subscribe(Options{}, func(Event) {}); err == nil {
		t.Error("one subscriber too many accepted")
	}
	closeBus(t, b)
	if _, err := b.Subscribe(Options{}, func(Event) {}); !errors.Is(err, ErrClosed) {
		t.Errorf("subscribing to a closed bus: %v", err)
	}
}

func TestEmitAllocs(t *testing.T) {
	for _, opt := range []Options{{Name: "drop"}, {Name: "block", Block: true}} {
		t.Run(opt.Name, func(t *testing.T) {
			b := New()
			subscribe(t, b, opt, func(Event) {})
			if n := testing.AllocsPerRun(5000, func() { b.Emit(Event{Kind: PeerUp, Node: 1, A: 2}) }); n != 0 {
				t.Errorf("%v allocations per Emit, want 0", n)
			}
			closeBus(t, b)
		})
	}
}
