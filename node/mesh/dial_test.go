package mesh

import (
	"context"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"
)

// dial connects a bare host to a peer, whatever that makes of it.
func dial(t testing.TB, h *host, to *testPeer) network.Conn {
	t.Helper()
	for _, s := range to.Addrs() {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := peer.SplitAddr(a)
		h.swarm.Peerstore().AddAddr(to.peer, at, peerstore.PermanentAddrTTL)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := h.swarm.DialPeer(ctx, to.peer)
	if err != nil {
		return nil
	}
	return conn
}
