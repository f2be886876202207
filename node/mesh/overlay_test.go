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

// A member's record is taken from nobody but who was asked, only once, and only as the
// member has signed it.
func TestPassedOnRecords(t *testing.T) {
	peers := crowd(t, 10, 8)
	at, of := hidden(t, peers)
	// send has a neighbour pass on a record that the test makes; false if it is none.
	send := func(from *testPeer, key ed25519.PrivateKey, seq uint64) bool {
		from.Mesh.mu.Lock()
		s := from.sessions[at.peer]
		from.Mesh.mu.Unlock()
		info := catalog.NodeInfo{ID: of.ID(), Name: "sent by the test", Seq: seq}
		raw := signRecord(key, at.overlay.mesh, encodeRecord(nil, &info, NewCoordinate(), time.Now(), brief))
		return s != nil && s.control(appendSigned(nil, of.ID().Handle(), &signedRecord{raw: raw, at: time.Now()}, time.Now()))
	}
	asked := func() *testPeer { // who is, of the sought one's record
		at.overlay.mu.Lock()
		defer at.overlay.mu.Unlock()
		via := at.peers.get(of.peer).far.via
		for _, p := range peers {
			if via != nil && p.peer == via.peer.peer {
				return p
			}
		}
		return nil
	}
	seen := func() catalog.NodeInfo {
		at.mu.Lock()
		defer at.mu.Unlock()
		return at.records[of.ID()]
	}
	nodetest.Eventually(t, "an old record is refused", func() bool {
		p := asked()
		return p != nil && send(p, of.cfg.Key, 1) && at.Refusals()[recordStale] > 0
	})
	nodetest.Eventually(t, "a record that another has signed is refused", func() bool {
		p := asked()
		return p != nil && send(p, p.cfg.Key, 1<<40) && at.Refusals()[recordForged] > 0
	})
	for _, p := range peers {
		if p != at && p != of && p != asked() {
			send(p, of.cfg.Key, 1<<41)
		}
	}
	before := seen().Seq
	nodetest.Eventually(t, "records go on to come", func() bool { return seen().Seq > before+20 })
	if got := seen(); got.Name == "sent by the test" {
		t.Errorf("taken from one that was not asked: %+v", got)
	}
	nodetest.Eventually(t, "its own signature counts", func() bool {
		if p := asked(); p != nil {
			send(p, of.cfg.Key, 1<<42)
		}
		return seen().Name == "sent by the test"
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
	e := at.pool.find(of.ID())
	if e == nil || e.state.Load()&pinned != 0 {
		t.Error("the connection is kept for good")
	}
	nodetest.Eventually(t, "it has gone, or there was room for it", func() bool {
		at.pool.Sweep(time.Now().Add(time.Minute)) // it is idle
		e := at.pool.find(of.ID())
		return e == nil && at.Through(of.ID()) || e != nil && e.state.Load()&pinned != 0
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
