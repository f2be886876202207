package virtual

import (
	"context"
	"crypto/ed25519"
	"testing"
	"time"

	"omx/node/catalog"
	"omx/node/mesh"
	"omx/node/nodetest"
	"omx/testnet/virtual/vnet"
)

// bare is a node's mesh without the node: it answers each request with a token.
type bare struct{}

func (bare) PeerUp(catalog.NodeID)                      {}
func (bare) PeerDown(catalog.NodeID, error)             {}
func (bare) PeerSuspect(catalog.NodeID)                 {}
func (bare) PeerRecord(catalog.NodeInfo, time.Duration) {}
func (bare) Serve(_ context.Context, _ catalog.NodeID, s *mesh.ServerStream) {
	_ = s.Token(s.Request(), 1) // the asking side sees what is wrong
	s.Done(nil)
}

// What the network and the mesh cost without a node on top: a ring of hosts, each of
// which asks the next one once.
func TestBareHosts(t *testing.T) {
	sizes := []int{50}
	if soak {
		sizes = append(sizes, 200, 1000)
	}
	for _, n := range sizes {
		empty, began := residentKB(t), time.Now()
		var full int
		nodetest.Bubble(t, func(t *testing.T) {
			nw := vnet.New(vnet.Config{Path: func(int, int) vnet.Path { return vnet.Path{Delay: 25 * time.Millisecond} }})
			keys, ids := make([]ed25519.PrivateKey, n), make([]catalog.NodeID, n)
			for i := range n {
				keys[i] = keyOf(1, i)
				var err error
				if ids[i], err = mesh.KeyID(keys[i]); err != nil {
					t.Fatal(err)
				}
			}
			f := &Fleet{Net: nw}
			var hosts []*mesh.Mesh
			for i := range n {
				next, before := (i+1)%n, (i+n-1)%n
				m, err := mesh.New(mesh.Config{Key: keys[i], Listen: []string{address(i)}, ListenUDP: f.listener(i), SourceIP: vnet.IP(i),
					Peers: []string{address(next) + "/p2p/" + ids[next].String(), "/p2p/" + ids[before].String()}}, bare{}, bare{})
				if err != nil {
					t.Fatal(err)
				}
				if err := m.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				hosts = append(hosts, m)
			}
			time.Sleep(time.Second)
			asked := make(chan error, n)
			for i, m := range hosts {
				go func() {
					s, err := m.Open(t.Context(), ids[(i+1)%n], 0, make([]byte, 1000))
					if err == nil {
						_, err = s.Next()
						s.Close()
					}
					asked <- err
				}()
			}
			for range n {
				if err := <-asked; err != nil {
					t.Error(err)
				}
			}
			full = residentKB(t)
			for _, m := range hosts {
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			}
			nw.Close()
			time.Sleep(leaveTime)
		})
		t.Logf("%d bare hosts in a ring: %v of wall time, %d KB each", n, time.Since(began).Round(time.Millisecond), (full-empty)/n)
	}
}
