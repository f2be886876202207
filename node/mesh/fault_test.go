package mesh

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A peer that falls silent without a word fails its streams within the time of
// silence on both sides, and is back when it is heard again.
func TestSilentPeer(t *testing.T) {
	const silence = 600 * time.Millisecond
	var muted atomic.Bool
	ka, kb := newKey(t), newKey(t)
	b := startPeer(t, Config{Key: kb, Silence: silence, ListenUDP: mute(&muted), Peers: []string{"/p2p/" + idOf(t, ka).String()}})
	a := startPeer(t, Config{Key: ka, Silence: silence, Peers: b.Addrs(), Pool: PoolConfig{DialTimeout: 300 * time.Millisecond}})
	a.await(t, "b is up", func() bool { return a.up[b.ID()] })
	b.await(t, "a is up", func() bool { return b.up[a.ID()] })

	ended := make(chan struct{})
	b.handle(func(ctx context.Context, s *ServerStream) {
		_ = s.Accept()
		_ = s.Token([]byte("x"), 1)
		<-ctx.Done()
		close(ended)
	})
	s := begun(t, a, b)
	muted.Store(true)
	since := time.Now()
	if _, err := s.Next(); !errors.Is(err, ErrLost) {
		t.Errorf("got %v, want ErrLost", err)
	}
	took := time.Since(since)
	t.Logf("noticed after %v", took)
	if took > 3*silence {
		t.Errorf("noticed after %v, the time of silence is %v", took, silence)
	}
	a.await(t, "b is down", func() bool { return !a.up[b.ID()] })
	if a.Has(b.ID()) || a.Count() != 0 {
		t.Error("a silent peer is still in the pool")
	}
	if _, err := a.Open(t.Context(), b.ID(), 0, nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("open = %v", err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the handler was not cancelled")
	}
	muted.Store(false)
	a.await(t, "b is up again", func() bool { return a.up[b.ID()] })
}

// Whatever a listed peer sends, it loses its stream and nothing else.
func TestNonsenseOnStreams(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	for _, c := range []struct {
		name string
		in   []byte
	}{
		{"unknown tag", []byte{'X', version}},
		{"unknown version", []byte{tagRequest, version + 1}},
		{"unknown version of the control stream", []byte{tagControl, version + 1}},
		{"unknown kind", appendFrame([]byte{tagRequest, version}, 99, nil)},
		{"not a request", appendToken([]byte{tagRequest, version}, []byte("x"), 1)},
		{"request too long", appendHeader([]byte{tagRequest, version}, kindRequest, maxTicketed+1)},
		{"token of 4 GiB", appendHeader([]byte{tagRequest, version}, kindToken, -1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := a.pool.find(b.ID()).Conn().conn.NewStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Reset()
			_ = s.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := s.Write(c.in); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(s)
			if err == nil || errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "deadline") || len(got) > 0 {
				t.Errorf("answered with %q, %v; want a reset", got, err)
			}
			if answer, err := ask(t.Context(), a.Mesh, b.ID(), "still there"); err != nil || answer != "still there|usage" {
				t.Errorf("afterwards: %q, %v", answer, err)
			}
		})
	}
}

// An answer that breaks the format is an error of the peer's, not a token.
func TestNonsenseAnswers(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	for name, answer := range map[string][]byte{
		"unknown kind":    appendFrame(nil, 99, nil),
		"a request":       appendFrame(nil, kindRequest, nil),
		"token too long":  appendHeader(nil, kindToken, MaxFrame+1),
		"token too short": appendFrame(nil, kindToken, []byte{1}),
	} {
		t.Run(name, func(t *testing.T) {
			b.handle(func(_ context.Context, s *ServerStream) {
				s.buf = append(s.buf[:0], answer...)
				s.end()
			})
			if _, err := ask(t.Context(), a.Mesh, b.ID(), "x"); !errors.Is(err, ErrProtocol) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The 201st request to a peer is answered at once rather than kept waiting for
// one of QUIC's 256 streams.
func TestLimitOfOpenRequests(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	b.handle(func(ctx context.Context, s *ServerStream) {
		_ = s.Accept()
		_ = s.Token([]byte("x"), 1)
		<-ctx.Done()
	})
	var open []*Stream
	for len(open) < 200 {
		s, err := a.Open(t.Context(), b.ID(), 0, nil)
		if err != nil {
			t.Fatalf("request %d: %v", len(open), err)
		}
		defer s.Close()
		open = append(open, s)
	}
	for i, s := range open {
		if tok, err := s.Next(); err != nil || string(tok.Text) != "x" {
			t.Fatalf("request %d: %q, %v", i, tok.Text, err)
		}
	}
	var refused *RefusedError
	if _, err := a.Open(t.Context(), b.ID(), 0, nil); !errors.As(err, &refused) || refused.Code != CodeBusy {
		t.Errorf("one too many: %v", err)
	}
	open[0].Close()
	s, err := a.Open(t.Context(), b.ID(), 0, nil)
	if err != nil {
		t.Fatalf("after one has ended: %v", err)
	}
	s.Close()
}

// The serving side has bounds of its own.
func TestLimitOfServedRequests(t *testing.T) {
	ka, kb := newKey(t), newKey(t)
	b := startPeer(t, Config{Key: kb, MaxRequests: 1, Peers: []string{"/p2p/" + idOf(t, ka).String()}})
	a := startPeer(t, Config{Key: ka, Peers: b.Addrs()})
	a.await(t, "b is up", func() bool { return a.up[b.ID()] })
	hang(t, a, b)
	var refused *RefusedError
	if _, err := ask(t.Context(), a.Mesh, b.ID(), "x"); !errors.As(err, &refused) || refused.Code != CodeBusy {
		t.Errorf("one too many: %v", err)
	}
}
