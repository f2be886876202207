package mesh

import (
	"testing"
	"time"

	"omx/node/catalog"
	"omx/node/nodetest"
)

// Two nodes that dial each other end up with one connection that both use, and
// keep it.
func TestCrossingDials(t *testing.T) {
	for _, delayed := range []bool{true, false} {
		name := map[bool]string{true: "one waits", false: "at the same moment"}[delayed]
		t.Run(name, func(t *testing.T) {
			ka, kb := newKey(t), newKey(t)
			la, lb := freeUDP(t), freeUDP(t)
			ida, idb := idOf(t, ka), idOf(t, kb)
			a := startPeer(t, Config{Key: ka, Listen: []string{la}, Peers: []string{lb + "/p2p/" + idb.String()}})
			b := startPeer(t, Config{Key: kb, Listen: []string{lb}, Peers: []string{la + "/p2p/" + ida.String()}})
			if !delayed { // both dial now, whatever the keepers do
				for _, ask := range []struct {
					m  *Mesh
					id catalog.NodeID
				}{{a.Mesh, idb}, {b.Mesh, ida}} {
					ask.m.wg.Go(func() {
						if e, err := ask.m.pool.Get(ask.m.ctx, ask.id); err == nil {
							e.Release()
						}
					})
				}
			}
			deadline := time.Now().Add(20 * time.Second)
			for good := 0; good < 5; { // answers in a row, both ways, over half a second
				_, err1 := ask(t.Context(), a.Mesh, idb, "x")
				_, err2 := ask(t.Context(), b.Mesh, ida, "x")
				if good++; err1 != nil || err2 != nil {
					good = 0
				}
				if time.Now().After(deadline) {
					t.Fatalf("never stable: %v, %v", err1, err2)
				}
				if !sleep(t.Context(), 100*time.Millisecond) {
					t.Fatal("cancelled")
				}
			}
			// The surplus one lasts until nothing is open on it.
			nodetest.Eventually(t, "there is one connection", func() bool { return len(a.host.swarm.Conns()) == 1 })
			a.await(t, "b is up", func() bool { return a.up[idb] })
			b.await(t, "a is up", func() bool { return b.up[ida] })
		})
	}
}

// A request to a peer that is just dialling this node waits for that connection.
func TestRequestMeetsDial(t *testing.T) {
	ka, kb := newKey(t), newKey(t)
	listen := []string{freeUDP(t)}
	a := startPeer(t, Config{Key: ka, Listen: listen, Peers: []string{"/p2p/" + idOf(t, kb).String()}})
	b := startPeer(t, Config{Key: kb, Peers: []string{"/p2p/" + a.ID().String()}}) // neither dials by itself
	if dial(t, b.host, a) == nil {
		t.Fatal("not connected")
	}
	nodetest.Eventually(t, "the connection is there", func() bool { return len(a.host.swarm.Conns()) == 1 })
	asked := make(chan error, 1)
	go func() {
		e, err := a.pool.Get(t.Context(), b.ID())
		if err == nil {
			e.Release()
			_, err = ask(t.Context(), a.Mesh, b.ID(), "x")
		}
		asked <- err
	}()
	nodetest.Eventually(t, "it waits", func() bool {
		a.pool.mu.Lock()
		defer a.pool.mu.Unlock()
		return a.pool.calls[b.ID()] != nil
	})
	if e, err := b.pool.Get(t.Context(), a.ID()); err != nil { // only now it opens the control stream
		t.Fatal(err)
	} else {
		e.Release()
	}
	if err := <-asked; err != nil {
		t.Error(err)
	}
	if n := len(a.host.swarm.Conns()); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// More peers than the pool may keep is said at the start, not found out later.
func TestPoolTooSmallForPeers(t *testing.T) {
	peers := []string{"/p2p/" + idOf(t, newKey(t)).String(), "/p2p/" + idOf(t, newKey(t)).String()}
	if m, err := New(Config{Key: newKey(t), Peers: peers, Pool: PoolConfig{MaxConns: 1}}, nil, nil); err == nil {
		m.Close()
		t.Error("accepted")
	}
}
