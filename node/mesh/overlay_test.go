package mesh

import (
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	"omx/node/catalog"
	"omx/node/mesh/member"
	"omx/node/nodetest"
)

// crowd is a mesh with more members than each keeps connections; all see all.
func crowd(t testing.TB, n, conns int) (peers []*testPeer) {
	t.Helper()
	small := func(c *Config) { c.Pool.MaxConns = conns }
	peers = append(peers, founder(t, small))
	for range n - 1 {
		peers = append(peers, joined(t, peers[0], member.Serve, small))
	}
	for i, p := range peers {
		done := make(chan struct{})
		ended := make(chan struct{})
		go func() { // as a node keeps its record true
			defer close(ended)
			for seq := uint64(2); ; seq++ {
				if p.SetRecord(catalog.NodeInfo{ID: p.ID(), Name: "peer", Seq: seq, Zone: uint32(seq / 25), MemFreeMiB: uint32(i)}) != nil {
					return
				}
				select {
				case <-done:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		}()
		t.Cleanup(func() { close(done); <-ended })
	}
	for _, p := range peers {
		nodetest.Eventually(t, "all see all, and have room", func() bool {
			p.overlay.mu.Lock()
			defer p.overlay.mu.Unlock()
			return p.sees() == n-1 && len(p.overlay.kept) <= p.overlay.high()
		})
	}
	return peers
}

func (p *testPeer) sees() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, up := range p.up {
		n += bit(up)
	}
	return n
}

// hidden is a peer that another knows through others only.
func hidden(t testing.TB, peers []*testPeer) (at, of *testPeer) {
	t.Helper()
	nodetest.Eventually(t, "one is known through others", func() bool {
		for _, a := range peers {
			for _, b := range peers {
				if a != b && a.Through(b.ID()) {
					at, of = a, b
					return true
				}
			}
		}
		return false
	})
	return at, of
}

// apart is two peers that know each other through others only, and cannot dial each other.
func apart(t testing.TB, peers []*testPeer) (at, of *testPeer) {
	t.Helper()
	hold := func(p, other *testPeer) {
		p.pool.mu.Lock()
		defer p.pool.mu.Unlock()
		p.pool.retries[other.ID()] = retry{until: time.Now().Add(time.Hour), cause: errDial}
	}
	for {
		at, of = hidden(t, peers)
		hold(at, of)
		hold(of, at)
		nodetest.Eventually(t, "neither dials", func() bool { return !dialling(at, of) && !dialling(of, at) })
		if at.Through(of.ID()) {
			return at, of
		}
		at.pool.forgive(of.ID())
		of.pool.forgive(at.ID())
	}
}

func dialling(p, other *testPeer) bool {
	p.pool.mu.Lock()
	defer p.pool.mu.Unlock()
	return p.pool.calls[other.ID()] != nil
}

// A member's record is taken from nobody but who was asked, only once, and only as the
// member has signed it.
func TestPassedOnRecords(t *testing.T) {
	at, of := apart(t, crowd(t, 10, 8))
	// takes has a neighbour bring a record that the test makes.
	takes := func(from *session, key ed25519.PrivateKey, seq uint64) {
		info := catalog.NodeInfo{ID: of.ID(), Name: "sent by the test", Seq: seq}
		raw := signRecord(key, at.overlay.mesh, encodeRecord(nil, &info, NewCoordinate(), time.Now(), brief))
		frame := appendSigned(nil, of.ID().Handle(), &signedRecord{raw: raw, at: time.Now()}, time.Now())
		if err := at.overlay.tookSigned(from, frame[headerLen:]); err != nil {
			t.Error(err)
		}
	}
	asked := func() *session { // for the sought one's record; nil for a moment
		at.overlay.mu.Lock()
		defer at.overlay.mu.Unlock()
		return at.peers.get(of.peer).far.via
	}
	seen := func() bool {
		at.mu.Lock()
		defer at.mu.Unlock()
		return at.records[of.ID()].Name == "sent by the test"
	}
	refused := func(key ed25519.PrivateKey, seq uint64, reason string) func() bool {
		return func() bool {
			if s := asked(); s != nil {
				takes(s, key, seq)
			}
			return at.Refusals()[reason] > 0
		}
	}
	nodetest.Eventually(t, "an old record is refused", refused(of.cfg.Key, 1, recordStale))
	nodetest.Eventually(t, "a record that another has signed is refused", refused(newKey(t), 1<<40, recordForged))
	for _, s := range at.all() {
		if s != asked() {
			takes(s, of.cfg.Key, 1<<41)
		}
	}
	if seen() {
		t.Error("taken from one that was not asked, or as another has signed it")
	}
	nodetest.Eventually(t, "its own signature counts", func() bool {
		if s := asked(); s != nil {
			takes(s, of.cfg.Key, 1<<42)
		}
		return seen()
	})
}

// A request to a member that is known through others is served, over a connection
// that is made for it.
func TestRequestThroughFullPool(t *testing.T) {
	peers := crowd(t, 10, 8)
	at, of := hidden(t, peers)
	if at.Has(of.ID()) {
		t.Fatal("it is connected")
	}
	if got, err := ask(t.Context(), at.Mesh, of.ID(), "x y"); err != nil || got != "x y|usage" {
		t.Fatalf("ask = %q, %v", got, err)
	}
	if !at.Has(of.ID()) || at.Through(of.ID()) {
		t.Error("no connection was made")
	}
	nodetest.Eventually(t, "it has gone, or there is room for it", func() bool {
		at.pool.Sweep(time.Now().Add(time.Minute)) // it is idle
		e := at.pool.find(of.ID())
		at.overlay.mu.Lock()
		room := len(at.overlay.kept) <= at.overlay.high()
		at.overlay.mu.Unlock()
		return e == nil && at.Through(of.ID()) || e != nil && e.state.Load()&pinned != 0 && room
	})
	at.mu.Lock()
	defer at.mu.Unlock()
	if !at.up[of.ID()] {
		t.Error("the member went down with its connection")
	}
}

func FuzzOverlayFrames(f *testing.F) {
	info := typical(f, 0)
	key := newKey(f)
	raw := signRecord(key, member.MeshID{1}, encodeRecord(nil, &info, NewCoordinate(), time.Unix(1, 0), brief))
	f.Add(appendSigned(nil, 7, &signedRecord{raw: raw, news: true}, time.Unix(1, 0))[headerLen:])
	f.Add(appendWant(appendWant(nil, wish{opWant, 1, 2}), wish{opNeed, 3, 4}))
	f.Add(appendWord(appendWord(nil, 1, wordHeard), 2, wordParted))
	f.Add(appendHearer(appendHearer(nil, hearer{1, 2}), hearer{3, 4}))
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		if eachWant(b, func(w wish) { again = appendWant(again, w) }) == nil && !slices.Equal(again, b) {
			t.Error("wants do not come back")
		}
		again = nil
		if eachWord(b, func(h uint64, w word) { again = appendWord(again, h, w) }) == nil && !slices.Equal(again, b) {
			t.Error("words do not come back")
		}
		again = nil
		if eachHearer(b, func(h hearer) { again = appendHearer(again, h) }) == nil && !slices.Equal(again, b) {
			t.Error("hearers do not come back")
		}
		handle, r, err := parseSigned(b, now)
		if err != nil {
			return
		}
		if r.at.After(now) || now.Sub(r.at) > maxAge || r.seq != recordSeq(r.raw) {
			t.Errorf("%+v", r)
		}
		if len(r.raw) <= maxSigned {
			h, s, err := parseSigned(appendSigned(nil, handle, &r, now)[headerLen:], now)
			if err != nil || h != handle || s.seq != r.seq || s.news != r.news || !s.at.Equal(r.at) || !slices.Equal(s.raw, r.raw) {
				t.Errorf("%+v came back as %+v, %v", r, s, err)
			}
		}
		if _, ok := verifyRecord(member.ID{}, member.MeshID{}, r.raw); ok {
			t.Error("nobody has signed it")
		}
	})
}

// What a node of a mesh of a thousand pays for signatures.
func BenchmarkSignedRecord(b *testing.B) {
	info := typical(b, 0)
	key := newKey(b)
	var node member.ID
	copy(node[:], key[32:])
	packed := encodeRecord(nil, &info, NewCoordinate(), time.Unix(1, 0), brief)
	raw := signRecord(key, member.MeshID{}, slices.Clone(packed))
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			packed = encodeRecord(packed[:0], &info, NewCoordinate(), time.Unix(1, 0), brief)
		}
	})
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			signRecord(key, member.MeshID{}, raw[:len(raw)-64:len(raw)-64])
		}
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if _, ok := verifyRecord(node, member.MeshID{}, raw); !ok {
				b.Fatal("refused")
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := decodeRecord(packed, info.ID, time.Unix(2, 0)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
