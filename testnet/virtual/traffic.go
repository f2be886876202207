package virtual

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Traffic is what the members of a crowd send.
type Traffic struct {
	Nodes   int           `json:"nodes"`
	Conns   int           `json:"connections"`
	Settled time.Duration `json:"settled_ns"`    // from the last join until all saw all
	Direct  float64       `json:"sessions_each"` // connections a node has
	Idle    Rate          `json:"idle"`
	Busy    Rate          `json:"busy"` // while every node's load changes four times a second
}

// Rate is what a node sends in a second, on average.
type Rate struct {
	Bytes   float64 `json:"bytes_per_second"` // with IP and UDP headers
	Packets float64 `json:"packets_per_second"`
}

// Traffic watches a crowd for half a minute: first nothing happens, then every node's
// load changes four times a second.
func (c *Crowd) Traffic(ctx context.Context) (t Traffic, err error) {
	t.Nodes, t.Conns = c.spec.Nodes, c.spec.Conns
	if t.Settled, err = c.Await(joinTime); err != nil {
		return t, err
	}
	time.Sleep(10 * time.Second) // path discovery ends
	for _, b := range c.all {
		t.Direct += float64(b.mesh.Count()) / float64(len(c.all))
	}
	t.Idle = c.rate(10 * time.Second)
	ctx, cancel := context.WithCancel(ctx)
	errs := make([]error, len(c.all))
	var all sync.WaitGroup
	for i, b := range c.all {
		all.Go(func() { errs[i] = b.change(ctx) })
	}
	time.Sleep(2 * time.Second)
	t.Busy = c.rate(10 * time.Second)
	cancel()
	all.Wait()
	return t, errors.Join(errs...)
}

func (c *Crowd) rate(span time.Duration) Rate {
	before := c.Net.Total()
	time.Sleep(span)
	after := c.Net.Total()
	per := span.Seconds() * float64(len(c.all))
	return Rate{float64(after.SentBytes-before.SentBytes) / per, float64(after.Sent-before.Sent) / per}
}

// change has a node's load change until ctx ends.
func (b *Body) change(ctx context.Context) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for running := uint32(1); ; running++ {
		if err := b.SetRunning(running % 3); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
