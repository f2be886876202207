package mesh

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// streams are the request streams that are open at a peer's end.
func (p *testPeer) streams(t testing.TB, to *testPeer) []network.Stream {
	t.Helper()
	var all []network.Stream
	for _, c := range p.host.swarm.ConnsToPeer(to.peer) {
		all = append(all, c.GetStreams()...)
	}
	return all[:max(len(all)-1, 0)] // but for the control stream
}

// idle is how many streams are kept for a peer.
func (p *testPeer) idle(t testing.TB, to *testPeer) int {
	t.Helper()
	e, err := p.pool.Acquire(to.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Release()
	k := &e.Conn().kept
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.idle)
}

func TestStreamsAreKept(t *testing.T) {
	client, server := pair(t, 3*time.Second)
	seen := make(chan string, 10)
	server.handle(func(ctx context.Context, s *ServerStream) {
		seen <- string(s.Request())
		echo(ctx, s)
	})
	big := strings.Repeat(strings.Repeat("x", 1000)+" ", keepBuffer/1000+1) // more than is kept
	for _, request := range []string{"a", "b", big, "c d"} {
		if got, err := ask(t.Context(), client.Mesh, server.ID(), request); err != nil || got == "" {
			t.Fatalf("%.20q: %.20q, %v", request, got, err)
		}
		if got := <-seen; got != request {
			t.Errorf("served %.20q for %.20q", got, request)
		}
	}
	if n := len(client.streams(t, server)); n != 1 || client.idle(t, server) != 1 {
		t.Errorf("%d streams for one request after the other, %d kept", n, client.idle(t, server))
	}
}

// A next request that comes while the handler of the one before has not returned
// yet must not cancel it, and is served.
func TestNextRequestBeforeReturn(t *testing.T) {
	client, server := pair(t, 3*time.Second)
	next := make(chan struct{})
	cancelled := make(chan error, 2)
	server.handle(func(ctx context.Context, s *ServerStream) {
		echo(ctx, s)
		if string(s.Request()) == "first" {
			<-next
		}
		cancelled <- ctx.Err()
	})
	if _, err := ask(t.Context(), client.Mesh, server.ID(), "first"); err != nil {
		t.Fatal(err)
	}
	st, err := client.Open(t.Context(), server.ID(), 0, []byte("second"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	close(next)
	if tok, err := st.Next(); err != nil || string(tok.Text) != "second" {
		t.Errorf("%q, %v", tok.Text, err)
	}
	if n := len(client.streams(t, server)); n != 1 {
		t.Errorf("%d streams", n)
	}
	if err := <-cancelled; err != nil {
		t.Error(err)
	}
}

// What is cancelled, or beyond the limit, is not kept.
func TestStreamsNotKept(t *testing.T) {
	client, server := pair(t, 3*time.Second)
	client.cfg.KeepStreams = 2
	var open []*Stream
	for range 4 {
		s, err := client.Open(t.Context(), server.ID(), 0, []byte("w"))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, s)
	}
	for _, s := range open {
		for {
			if _, err := s.Next(); errors.Is(err, ErrDone) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
	}
	if n := client.idle(t, server); n != 2 {
		t.Errorf("%d streams are kept, 2 are allowed", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, err := client.Open(ctx, server.ID(), 0, []byte("w"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	s.Close()
	if n := client.idle(t, server); n != 1 {
		t.Errorf("%d streams are kept after one of two was cancelled", n)
	}
	client.expireStreams(time.Now().Add(keepFor + time.Second))
	if n := client.idle(t, server); n != 0 {
		t.Errorf("%d streams are kept after %v", n, keepFor)
	}
	server.await(t, "no stream left", func() bool { return len(server.streams(t, client)) == 0 })
}

// Where none are kept, each request has its own.
func TestKeepNone(t *testing.T) {
	client, server := pair(t, 3*time.Second)
	client.cfg.KeepStreams = -1
	for range 3 {
		if _, err := ask(t.Context(), client.Mesh, server.ID(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if n := client.idle(t, server); n != 0 {
		t.Errorf("%d are kept", n)
	}
}

// A peer that asks again before it has its answer is not served.
func TestRequestBeforeAnswer(t *testing.T) {
	client, server := pair(t, 3*time.Second)
	cancelled := make(chan struct{})
	server.handle(func(ctx context.Context, s *ServerStream) {
		if s.Accept() == nil {
			<-ctx.Done()
			close(cancelled)
		}
	})
	s, err := client.host.swarm.NewStream(t.Context(), server.peer)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Reset()
	request := append(ticketed(t, client, server, 0), "one"...)
	if _, err := s.Write(appendFrame([]byte{tagRequest, version}, kindRequest, request)); err != nil {
		t.Fatal(err)
	}
	if k, _, err := newFrameReader(s).next(); k != kindAccepted || err != nil {
		t.Fatal(k, err)
	}
	if _, err := s.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	<-cancelled
}
