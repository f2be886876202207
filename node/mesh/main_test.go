package mesh

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"omx/node/catalog"
	"omx/node/mesh/member"
	"omx/node/nodetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testPeer is a mesh with what its observer was told.
type testPeer struct {
	*Mesh
	mu      sync.Mutex
	up      map[catalog.NodeID]bool
	down    map[catalog.NodeID]error // why
	suspect map[catalog.NodeID]int
	records map[catalog.NodeID]catalog.NodeInfo
	rtt     time.Duration
	changed chan struct{}
	serve   func(ctx context.Context, s *ServerStream)
}

func (p *testPeer) PeerUp(id catalog.NodeID) { p.note(func() { p.up[id] = true }) }
func (p *testPeer) PeerDown(id catalog.NodeID, why error) {
	p.note(func() { p.up[id], p.down[id] = false, why })
}

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

var eventually = nodetest.Eventually

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

// freeUDP is an address that nobody has: for a peer that comes back to it.
func freeUDP(t *testing.T) string {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return fmt.Sprintf("/ip4/127.0.0.1/udp/%d/quic-v1", c.LocalAddr().(*net.UDPAddr).Port)
}

// echo answers with the words of the request.
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

// ask sends a request and reads its answer: the words, and how it ended.
func ask(ctx context.Context, m *Mesh, id catalog.NodeID, request string) (string, error) {
	s, err := m.Open(ctx, id, 0, []byte(request))
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

// startPeer is a peer that answers by echo, and runs until the test ends.
func startPeer(t testing.TB, cfg Config) *testPeer {
	t.Helper()
	p := &testPeer{up: map[catalog.NodeID]bool{}, down: map[catalog.NodeID]error{}, suspect: map[catalog.NodeID]int{}, records: map[catalog.NodeID]catalog.NodeInfo{}, changed: make(chan struct{}, 1), serve: echo}
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

// mute takes a node from the network while the flag is set.
func mute(muted *atomic.Bool) func(string, *net.UDPAddr) (net.PacketConn, error) {
	return nodetest.Lossy(0, func(net.Addr) bool { return muted.Load() })
}

// begun is a request whose first token has come; it ends with the test.
func begun(t testing.TB, from, to *testPeer) *Stream {
	t.Helper()
	s, err := from.Open(t.Context(), to.ID(), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	return s
}

// hang begins a request that is never answered to its end.
func hang(t testing.TB, from, to *testPeer) *Stream {
	t.Helper()
	to.handle(func(ctx context.Context, s *ServerStream) {
		_ = s.Token([]byte("x"), 1)
		<-ctx.Done()
	})
	return begun(t, from, to)
}

// clock is moved by hand.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// machine is a node's key and folder, running or not.
type machine struct {
	key ed25519.PrivateKey
	dir string
}

func newMachine(t testing.TB) machine {
	return machine{newKey(t), filepath.Join(t.TempDir(), "mesh")}
}

func (m machine) id() member.ID { return member.ID(m.key.Public().(ed25519.PublicKey)) }

func (m machine) start(t testing.TB, change ...func(*Config)) *testPeer {
	t.Helper()
	cfg := Config{Key: m.key, Dir: m.dir}
	for _, f := range change {
		f(&cfg)
	}
	return startPeer(t, cfg)
}

func (m machine) join(ctx context.Context, tok *member.Token, now func() time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_, err := Join(ctx, JoinConfig{Key: m.key, Name: "joiner", Token: tok, Dir: m.dir, Now: now})
	return err
}

// founder makes a mesh with one member, which runs.
func founder(t testing.TB, change ...func(*Config)) *testPeer {
	t.Helper()
	m := newMachine(t)
	cfg := Config{}
	for _, f := range change {
		f(&cfg)
	}
	now := time.Now
	if cfg.Now != nil {
		now = cfg.Now
	}
	if _, err := member.Init(m.dir, m.id(), "founder", now()); err != nil {
		t.Fatal(err)
	}
	return m.start(t, change...)
}

func invite(t testing.TB, p *testPeer, role member.Role, uses int) *member.Token {
	t.Helper()
	tok, err := p.Invite(nil, role, uses, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	again, err := member.ParseToken(tok.String())
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// joined is a new member, which runs.
func joined(t testing.TB, by *testPeer, role member.Role, change ...func(*Config)) *testPeer {
	t.Helper()
	m := newMachine(t)
	if err := m.join(t.Context(), invite(t, by, role, 1), by.cfg.Now); err != nil {
		t.Fatal(err)
	}
	return m.start(t, change...)
}
