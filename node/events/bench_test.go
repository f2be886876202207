package events

import (
	"context"
	"sync/atomic"
	"testing"
)

// Every event is delivered within the time measured.
func benchmarkEmit(b *testing.B, emit func(*testing.B, *Bus)) {
	b.ReportAllocs()
	bus := New()
	var seen atomic.Int64
	if _, err := bus.Subscribe(Options{Block: true}, func(Event) { seen.Add(1) }); err != nil {
		b.Fatal(err)
	}
	emit(b, bus)
	if err := bus.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkEmit(b *testing.B) {
	benchmarkEmit(b, func(b *testing.B, bus *Bus) {
		for b.Loop() {
			bus.Emit(Event{Kind: PeerUp, Node: 7})
		}
	})
}

func BenchmarkEmitParallel(b *testing.B) {
	benchmarkEmit(b, func(b *testing.B, bus *Bus) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				bus.Emit(Event{Kind: PeerUp, Node: 7})
			}
		})
	})
}

func BenchmarkEmitUnheard(b *testing.B) {
	bus := New()
	for b.Loop() {
		bus.Emit(Event{Kind: PeerUp, Node: 7})
	}
}
