package mesh

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"omx/node/catalog"
	"omx/node/nodetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is a mesh with what its observer was told.
type testPeer struct {
	*Mesh
	mu      sync.Mutex
	up      map[catalog.NodeID]bool
	suspect map[catalog.NodeID]int
	records map[catalog.NodeID]catalog.NodeInfo
	rtt     time.Duration
	changed chan struct{}
	serve   func(ctx context.Context, s *ServerStream)
}

func (p *testPeer) PeerUp(id catalog.NodeID)            { p.note(func() { p.up[id] = true }) }
func (p *testPeer) PeerDown(id catalog.NodeID, _ error) { p.note(func() { p.up[id] = false }) }
func (p *testPeer) PeerRecord(i catalog.NodeInfo, d time.Duration) {
	p.note(func() { p.records[i.ID], p.rtt = i, d })
}

func (p *testPeer) PeerSuspect(id catalog.NodeID) { p.note(func() { p.suspect[id]++ }) }

func (p *testPeer) Serve(ctx context.Context, _ catalog.NodeID, s *ServerStream) {
	p.mu.Lock()
	serve := p.serve
	p.mu.Unlock()
	serve(ctx, s)
}

// handle sets what requests are answered with from now on.
func (p *testPeer) handle(serve func(ctx context.Context, s *ServerStream)) {
	p.mu.Lock()
	p.serve = serve
	p.mu.Unlock()
}

func (p *testPeer) note(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// await waits until what is known fulfils cond.
func (p *testPeer) await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		p.mu.Lock()
		ok := cond()
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-p.changed:
		case <-timeout:
			t.Fatalf("never saw: %s", what)
		}
	}
}

func newKey(t testing.TB) ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func idOf(t testing.TB, key ed25519.PrivateKey) catalog.NodeID {
	_, _, id, err := identify(key)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

var eventually = nodetest.Eventually

func echo(ctx context.Context, s *ServerStream) {
	if s.Accept() != nil {
		return
	}
	for _, w := range strings.Fields(string(s.Request())) {
		if s.Token([]byte(w), 1) != nil {
			return
		}
	}
	s.Done([]byte("usage"))
}

func startPeer(t testing.TB, cfg Config) *testPeer {
	t.Helper()
	p := &testPeer{up: map[catalog.NodeID]bool{}, suspect: map[catalog.NodeID]int{}, records: map[catalog.NodeID]catalog.NodeInfo{}, changed: make(chan struct{}, 1), serve: echo}
	m, err := New(cfg, p, p)
	if err != nil {
		t.Fatal(err)
	}
	p.Mesh = m
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if err := m.SetRecord(catalog.NodeInfo{ID: m.ID(), Name: "peer", Seq: 1}); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return p
}

// pair is two connected peers; a dials b.
func pair(t testing.TB, silence time.Duration) (a, b *testPeer) {
	t.Helper()
	ka, kb := newKey(t), newKey(t)
	b = startPeer(t, Config{Key: kb, Silence: silence, Peers: []string{"/p2p/" + idOf(t, ka).String()}})
	a = startPeer(t, Config{Key: ka, Silence: silence, Peers: b.Addrs()})
	eventually(t, "the peers connect", func() bool { return a.Has(b.ID()) && b.Has(a.ID()) })
	return a, b
}

func ask(ctx context.Context, m *Mesh, id catalog.NodeID, request string) (string, error) {
	s, err := m.Open(ctx, id, []byte(request))
	if err != nil {
		return "", err
	}
	defer s.Close()
	var got []string
	for {
		tok, err := s.Next()
		if errors.Is(err, ErrDone) {
			return strings.Join(got, " ") + "|" + string(s.Trailer()), nil
		}
		if err != nil {
			return strings.Join(got, " "), err
		}
		got = append(got, string(tok.Text))
	}
}

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
	if _, err := a.Open(t.Context(), b.ID(), make([]byte, MaxRequest+1)); err == nil {
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
	case <-time.After(5 * time.Second):
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

// A node that is not listed gets nothing, whichever side dials.
func TestStrangerIsRefused(t *testing.T) {
	member := startPeer(t, Config{Key: newKey(t)})
	stranger := startPeer(t, Config{Key: newKey(t), Peers: member.Addrs()})
	eventually(t, "the stranger is refused", func() bool { return member.Refused() > 0 })
	if member.Count() != 0 || stranger.Count() != 0 || stranger.Has(member.ID()) {
		t.Error("a stranger counts as a peer")
	}
	if _, err := stranger.Open(t.Context(), member.ID(), []byte("x")); !errors.Is(err, ErrUnreachable) {
		t.Errorf("open = %v, want ErrUnreachable", err)
	}
}

func TestRecordsTravelWithAges(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	model, err := catalog.ParseModelID("m")
	if err != nil {
		t.Fatal(err)
	}
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

func TestPortInUse(t *testing.T) {
	a := startPeer(t, Config{Key: newKey(t)})
	addr, _, _ := strings.Cut(a.Addrs()[0], "/p2p/")
	m, err := New(Config{Key: newKey(t), Listen: []string{addr}}, a, a)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), "--mesh") {
		t.Errorf("start on a used port = %v", err)
	}
}

func TestBadPeers(t *testing.T) {
	key := newKey(t)
	for name, peer := range map[string]string{
		"not an address": "hello", "no identity": "/ip4/127.0.0.1/udp/1/quic-v1", "itself": "/p2p/" + idOf(t, key).String(),
	} {
		if m, err := New(Config{Key: key, Peers: []string{peer}}, nil, nil); err == nil {
			m.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}

func freeUDP(t *testing.T) string {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return fmt.Sprintf("/ip4/127.0.0.1/udp/%d/quic-v1", c.LocalAddr().(*net.UDPAddr).Port)
}
