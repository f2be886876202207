package mesh

import (
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"omx/node/catalog"
	"omx/node/nodetest"
)

// trio is three connected peers; muted takes the third from the network, port breaks
// the path of the first to that port.
func trio(t *testing.T, silence time.Duration) (a, b, c *testPeer, muted *atomic.Bool, port *atomic.Int64) {
	t.Helper()
	muted, port = new(atomic.Bool), new(atomic.Int64)
	ka, kb, kc := newKey(t), newKey(t), newKey(t)
	id := func(i catalog.NodeID) string { return "/p2p/" + i.String() }
	c = startPeer(t, Config{Key: kc, Silence: silence, ListenUDP: mute(muted), Peers: []string{id(idOf(t, ka)), id(idOf(t, kb))}})
	b = startPeer(t, Config{Key: kb, Silence: silence, Peers: append(c.Addrs(), id(idOf(t, ka)))})
	cut := nodetest.Lossy(0, func(peer net.Addr) bool { return int64(peer.(*net.UDPAddr).Port) == port.Load() })
	a = startPeer(t, Config{Key: ka, Silence: silence, ListenUDP: cut, Peers: append(c.Addrs(), b.Addrs()...)})
	for _, p := range []*testPeer{a, b, c} {
		p.await(t, "the others are up", func() bool {
			n := 0
			for _, up := range p.up {
				if up {
					n++
				}
			}
			return n == 2
		})
	}
	return a, b, c, muted, port
}

// A peer that vanishes under a request is suspect at once, and gone as soon as
// another does not hear it either, long before it has been silent for long enough.
// The other, which had nothing open there, has noticed as well.
func TestVanishedPeerIsGoneBySecondOpinion(t *testing.T) {
	a, b, c, muted, _ := trio(t, time.Minute)
	s := hang(t, a, c)
	muted.Store(true)
	since := time.Now()
	a.await(t, "it is suspect", func() bool { return a.suspect[c.ID()] == 1 })
	t.Logf("suspect after %v", time.Since(since).Round(time.Millisecond))
	if _, err := s.Next(); !errors.Is(err, ErrLost) {
		t.Errorf("got %v", err)
	}
	a.await(t, "it is down", func() bool { return !a.up[c.ID()] })
	t.Logf("down after %v", time.Since(since).Round(time.Millisecond))
	b.await(t, "the other suspects it", func() bool { return b.suspect[c.ID()] == 1 })
	if took := time.Since(since); took > 5*time.Second {
		t.Errorf("that took %v", took)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.suspect[a.ID()]+a.suspect[b.ID()] > 0 {
		t.Error("a peer that answers is suspect")
	}
}

// A peer that vanishes while nothing is asked of it is suspect once its records are
// late, and gone by second opinion before it has been silent for long enough.
func TestVanishedIdlePeer(t *testing.T) {
	const silence = 6 * time.Second
	a, b, c, muted, _ := trio(t, silence)
	muted.Store(true)
	since := time.Now()
	for _, p := range []*testPeer{a, b} {
		p.await(t, "it is suspect", func() bool { return p.suspect[c.ID()] > 0 })
		t.Logf("suspect after %v", time.Since(since).Round(time.Millisecond))
	}
	for _, p := range []*testPeer{a, b} {
		p.await(t, "it is down", func() bool { return !p.up[c.ID()] })
		p.mu.Lock()
		if err := p.down[c.ID()]; !errors.Is(err, errGone) {
			t.Errorf("it is down since %v", err)
		}
		p.mu.Unlock()
	}
	t.Logf("down after %v", time.Since(since).Round(time.Millisecond))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.suspect[b.ID()] > 0 {
		t.Error("a peer that answers is suspect")
	}
}

// A peer that others hear is not given up before it has been silent for long enough:
// the path to it may be broken, or this node.
func TestBrokenPathIsNotDeath(t *testing.T) {
	const silence = 2 * time.Second
	a, _, c, _, port := trio(t, silence)
	hang(t, a, c)
	_, after, _ := strings.Cut(c.Addrs()[0], "/udp/")
	number, _, _ := strings.Cut(after, "/")
	addr, err := net.ResolveUDPAddr("udp4", "127.0.0.1:"+number)
	if err != nil {
		t.Fatal(err)
	}
	port.Store(int64(addr.Port))
	since := time.Now()
	a.await(t, "it is suspect", func() bool { return a.suspect[c.ID()] == 1 })
	a.await(t, "it is down", func() bool { return !a.up[c.ID()] })
	if took := time.Since(since); took < silence*2/3-100*time.Millisecond || took > 3*silence {
		t.Errorf("down after %v, the time of silence is %v", took, silence)
	}
	port.Store(0)
	a.await(t, "it is up again", func() bool { return a.up[c.ID()] })
}

// A peer that computes for long is not suspect, and neither is one that only was
// unreachable for a moment once it speaks again.
func TestSlowPeerIsNotSuspect(t *testing.T) {
	var muted atomic.Bool
	ka, kb := newKey(t), newKey(t)
	b := startPeer(t, Config{Key: kb, Silence: time.Minute, ListenUDP: mute(&muted), Peers: []string{"/p2p/" + idOf(t, ka).String()}})
	a := startPeer(t, Config{Key: ka, Silence: time.Minute, Peers: b.Addrs()})
	a.await(t, "b is up", func() bool { return a.up[b.ID()] })
	s := hang(t, a, b)
	// Pings go out and are answered: their number is how long that is.
	stats := func() uint64 {
		x, _ := a.pool.find(b.ID()).conn.stats()
		return x.PacketsReceived
	}
	for begun := stats(); stats() < begun+30; {
		select {
		case <-a.changed:
		case <-time.After(5 * time.Millisecond):
		}
	}
	a.mu.Lock()
	if a.suspect[b.ID()] > 0 {
		t.Error("a slow peer is suspect")
	}
	a.mu.Unlock()
	muted.Store(true)
	a.await(t, "it is suspect", func() bool { return a.suspect[b.ID()] == 1 })
	muted.Store(false)
	b.handle(echo)
	got, err := ask(t.Context(), a.Mesh, b.ID(), "again")
	if err != nil || got != "again|usage" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
	s.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.up[b.ID()] {
		t.Error("it is down")
	}
}

// While no request is open nothing is sent but records.
func TestWatcherRests(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	if _, err := ask(t.Context(), a.Mesh, b.ID(), "x"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it rests", func() bool { return !a.watcher.awake.Load() })
	hang(t, a, b)
	eventually(t, "it is awake again", a.watcher.awake.Load)
}

// Questions about peers that nobody knows, and answers that nobody waits for, do no
// harm; neither do too many.
func TestQuestionsOfAll(t *testing.T) {
	a, b, c, _, _ := trio(t, 3*time.Second)
	stranger := idOf(t, newKey(t))
	b.Mesh.mu.Lock()
	s := b.sessions[a.peer]
	b.Mesh.mu.Unlock()
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			for _, f := range [][]byte{appendAsk(nil, uint32(i), stranger), appendAsk(nil, uint32(i), a.ID()), appendAsk(nil, uint32(i), b.ID()),
				appendAsk(nil, uint32(i), c.ID()), appendVerdict(nil, uint32(i), heardNothing), appendVerdict(nil, 0, heardIt)} {
				for !s.control(f) {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	for _, to := range []*testPeer{b, c} {
		if got, err := ask(t.Context(), a.Mesh, to.ID(), "still there"); err != nil || got != "still there|usage" {
			t.Errorf("afterwards: %q, %v", got, err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.suspect) > 0 {
		t.Errorf("suspect: %v", a.suspect)
	}
}

func FuzzQuestions(f *testing.F) {
	f.Add(appendVerdict(nil, 7, heardIt)[headerLen:])
	f.Add(appendAsk(nil, 7, catalog.NodeID{})[headerLen:])
	f.Add([]byte("\x00\x00\x00\x0712D3KooWA"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := parseVerdict(b); err == nil && string(appendVerdict(nil, v.nonce, v.heard)[headerLen:]) != string(b) {
			t.Error("an answer does not come back")
		}
		if nonce, id, err := parseAsk(b); err == nil {
			again, same, err := parseAsk(appendAsk(nil, nonce, id)[headerLen:])
			if err != nil || again != nonce || same != id {
				t.Errorf("a question comes back as %d, %v, %v", again, same, err)
			}
		}
	})
}
