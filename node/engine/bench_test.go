package engine

import (
	"context"
	"sync"
	"testing"
	"time"

	"omx/node/catalog"
)

// BenchmarkFirstToken is a short question through the worker: ns/op is the whole
// answer of 22 tokens, ttft-µs the time to its first text.
func BenchmarkFirstToken(b *testing.B) {
	l := newLocal(b, nil)
	p := ask(l, "Who are you?")
	if _, _, err := answer(l, p); err != nil {
		b.Fatal(err)
	}
	var ttft time.Duration
	for b.Loop() {
		_, u, err := answer(l, p)
		if err != nil {
			b.Fatal(err)
		}
		ttft += u.TTFT
	}
	b.ReportMetric(float64(ttft.Microseconds())/float64(b.N), "ttft-µs")
}

// BenchmarkTokens is the output of one and of four requests at once, 100 tokens
// each.
func BenchmarkTokens(b *testing.B) {
	for name, streams := range map[string]int{"one": 1, "four": 4} {
		b.Run(name, func(b *testing.B) {
			path := endlessModel(b)
			l := newLocal(b, func(c *LocalConfig) { c.Models[0].Path = path })
			eventually(b, "loaded", func() bool { return status(l).State == catalog.Loaded })
			tokens := 0
			for b.Loop() {
				var wg sync.WaitGroup
				for range streams {
					wg.Go(func() {
						p := ask(l, "Hello")
						p.MaxTokens = 100
						if _, _, err := answer(l, p); err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
				tokens += 100 * streams
			}
			b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}

// BenchmarkCancel is the time from the end of a running request's context until
// its slot is free.
func BenchmarkCancel(b *testing.B) {
	path := endlessModel(b)
	l := newLocal(b, func(c *LocalConfig) { c.Models[0].Path = path })
	var free time.Duration
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		p := ask(l, "Hello")
		p.MaxTokens = 0
		var began time.Time
		_, err := l.Generate(ctx, p, func(Token) error {
			if began.IsZero() {
				began = time.Now()
				cancel()
			}
			return nil
		})
		if err == nil {
			b.Fatal("the request was not cancelled")
		}
		for status(l).Load.Running > 0 {
			time.Sleep(10 * time.Microsecond)
		}
		free += time.Since(began)
		cancel()
	}
	b.ReportMetric(float64(free.Microseconds())/float64(b.N), "free-µs")
}
