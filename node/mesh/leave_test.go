package mesh

import (
	"context"
	"errors"
	"testing"
	"time"

	"omx/node/mesh/member"
)

// A node that leaves is gone at once, not after its silence.
func TestLeaving(t *testing.T) {
	for name, pairOf := range map[string]func() (a, b *testPeer){
		"listed": func() (a, b *testPeer) { return pair(t, 20*time.Second) },
		"members": func() (a, b *testPeer) {
			slow := func(c *Config) { c.Silence = 20 * time.Second }
			a = founder(t, slow)
			b = joined(t, a, member.Serve, slow)
			eventually(t, "connected", func() bool { return a.Has(b.ID()) && b.Has(a.ID()) })
			return a, b
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pairOf()
			id := b.ID()
			a.await(t, "b is up", func() bool { return a.up[id] })
			began := time.Now()
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			a.await(t, "b is down", func() bool { return !a.up[id] })
			t.Logf("closed in %v, down there after %v", took.Round(time.Microsecond), time.Since(began).Round(time.Microsecond))
			if since := time.Since(began); since > 5*time.Second {
				t.Errorf("down only after %v", since)
			}
		})
	}
}

func TestDrain(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	started, finish := make(chan struct{}), make(chan struct{})
	b.handle(func(ctx context.Context, s *ServerStream) {
		close(started)
		<-finish
		s.Done(nil)
	})
	result := make(chan error, 1)
	go func() {
		_, err := ask(t.Context(), a.Mesh, b.ID(), "x")
		result <- err
	}()
	<-started
	drained := make(chan struct{})
	go func() {
		b.Drain(t.Context())
		close(drained)
	}()
	select {
	case <-drained:
		t.Error("drained while a request was open")
	case <-time.After(50 * time.Millisecond):
	}
	close(finish)
	<-drained
	if err := <-result; err != nil {
		t.Errorf("the request under way = %v", err)
	}
	var refused *RefusedError
	if _, err := ask(t.Context(), a.Mesh, b.ID(), "x"); !errors.As(err, &refused) || refused.Code != CodeDraining {
		t.Errorf("a request after that = %v", err)
	}
}
