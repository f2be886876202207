package mesh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"omx/node/catalog"
	"omx/node/nodetest"
)

func TestRequest(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	for _, dir := range []struct{ from, to *testPeer }{{a, b}, {b, a}} {
		got, err := ask(t.Context(), dir.from.Mesh, dir.to.ID(), "one two three")
		if err != nil || got != "one two three|usage" {
			t.Fatalf("ask = %q, %v", got, err)
		}
	}
	if a.Count() != 1 || b.Count() != 1 {
		t.Errorf("peers = %d and %d, want one each", a.Count(), b.Count())
	}
	big := strings.Repeat("x ", 1<<20)
	if got, err := ask(t.Context(), a.Mesh, b.ID(), big[:len(big)/64]); err != nil || len(got) < len(big)/64 {
		t.Errorf("large request: %d bytes, %v", len(got), err)
	}
	if _, err := a.Open(t.Context(), b.ID(), 0, make([]byte, MaxRequest+1)); err == nil {
		t.Error("an oversized request was sent")
	}
}

func TestRefusalAndFailure(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	b.handle(func(ctx context.Context, s *ServerStream) {
		s.Refuse(&RefusedError{Code: CodeShed, RetryAfter: 1500 * time.Millisecond, Message: "full"})
	})
	_, err := ask(t.Context(), a.Mesh, b.ID(), "x")
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Code != CodeShed || refused.RetryAfter != 1500*time.Millisecond || refused.Message != "full" {
		t.Errorf("refusal = %v", err)
	}
	b.handle(func(ctx context.Context, s *ServerStream) {
		_ = s.Accept()
		_ = s.Token([]byte("half"), 1)
		s.Fail(&FailedError{Code: CodeLost, Message: "engine"})
	})
	got, err := ask(t.Context(), a.Mesh, b.ID(), "x")
	var failed *FailedError
	if got != "half" || !errors.As(err, &failed) || failed.Code != CodeLost {
		t.Errorf("failure = %q, %v", got, err)
	}
	b.handle(func(ctx context.Context, s *ServerStream) { _ = s.Accept() }) // ends without an end
	if _, err = ask(t.Context(), a.Mesh, b.ID(), "x"); !errors.Is(err, ErrLost) {
		t.Errorf("broken off = %v, want ErrLost", err)
	}
}

func TestCancelReachesHandler(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	started, ended := make(chan struct{}), make(chan time.Time, 1)
	b.handle(func(ctx context.Context, s *ServerStream) {
		_ = s.Accept()
		close(started)
		<-ctx.Done()
		ended <- time.Now()
	})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := ask(ctx, a.Mesh, b.ID(), "x")
		result <- err
	}()
	<-started
	cancelled := time.Now()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("ask = %v, want canceled", err)
	}
	select {
	case at := <-ended:
		t.Logf("the handler knew after %v", at.Sub(cancelled))
	case <-time.After(30 * time.Second):
		t.Fatal("the handler was never told")
	}
}

func TestManyStreams(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	var wg sync.WaitGroup
	errs := make(chan error, 150)
	for i := range 150 {
		wg.Go(func() {
			want := fmt.Sprintf("r%d", i)
			if got, err := ask(t.Context(), a.Mesh, b.ID(), want); err != nil || got != want+"|usage" {
				errs <- fmt.Errorf("%s: %q, %w", want, got, err)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

func TestRecordsTravelWithAges(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	model := nodetest.Model(t, "m")
	now := micros(time.Now())
	info := catalog.NodeInfo{ID: b.ID(), Name: "b", Seq: 2, Placements: []catalog.Placement{{Model: model, State: catalog.Loaded,
		Load: catalog.Load{Running: 2, Slots: 4, At: now - 500_000}}}}
	if err := b.SetRecord(info); err != nil {
		t.Fatal(err)
	}
	a.await(t, "the record with its model", func() bool { return len(a.records[b.ID()].Placements) == 1 })
	a.mu.Lock()
	got, rtt := a.records[b.ID()], a.rtt
	a.mu.Unlock()
	p := got.Placements[0]
	if p.Load.Running != 2 || p.Speed.At != 0 {
		t.Errorf("placement = %+v", p)
	}
	if age := micros(time.Now()) - p.Load.At; age < 500_000 || age > 5_000_000 {
		t.Errorf("the load is %d µs old here, it was 500000 there", age)
	}
	if rtt <= 0 || rtt > time.Second {
		t.Errorf("round trip = %v on loopback", rtt)
	}
}

// A peer that vanishes fails its streams within the time of silence, and comes
// back by itself on the same port.
func TestPeerLossAndReturn(t *testing.T) {
	const silence = 500 * time.Millisecond
	ka, kb := newKey(t), newKey(t)
	listen := freeUDP(t)
	cfg := Config{Key: kb, Silence: silence, Listen: []string{listen}, Peers: []string{"/p2p/" + idOf(t, ka).String()}}
	b := startPeer(t, cfg)
	a := startPeer(t, Config{Key: ka, Silence: silence, Peers: b.Addrs()})
	id := b.ID()
	a.await(t, "b is up", func() bool { return a.up[id] })
	started := make(chan struct{})
	b.handle(func(ctx context.Context, s *ServerStream) {
		_ = s.Accept()
		close(started)
		<-ctx.Done()
	})
	result := make(chan error, 1)
	go func() {
		_, err := ask(t.Context(), a.Mesh, id, "x")
		result <- err
	}()
	<-started
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-result:
		if !errors.Is(err, ErrLost) {
			t.Errorf("ask = %v, want ErrLost", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the stream did not fail")
	}
	a.await(t, "b is down", func() bool { return !a.up[id] })
	startPeer(t, cfg)
	a.await(t, "b is up again", func() bool { return a.up[id] })
}
