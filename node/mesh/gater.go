package mesh

import (
	"errors"
	"maps"
	"sync"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"omx/node/mesh/member"
)

// Reasons for which a connection, or what came on it, was refused.
const (
	notListed    = "not_listed"
	noCredential = "no_credential"
	unreadable   = "unreadable"
	forged       = "forged"
	otherMesh    = "other_mesh"
	otherNode    = "other_node"
	notYet       = "not_yet"
	expired      = "expired"
	revoked      = "revoked"
	full         = "full"
	joinBusy     = "join_busy"
	joinLimited  = "join_limited"
	joinDenied   = "join_denied"

	recordForged = "record_forged" // passed on by a member, and not as its node has signed it
	recordStale  = "record_stale"  // passed on again
	recordFlood  = "record_flood"  // more than may be checked
)

// reasonOf names what is wrong with somebody's standing.
func reasonOf(err error) string {
	for _, r := range []struct {
		err  error
		name string
	}{{member.ErrForged, forged}, {member.ErrOtherMesh, otherMesh}, {member.ErrOtherNode, otherNode},
		{member.ErrNotYet, notYet}, {member.ErrExpired, expired}, {member.ErrRevoked, revoked}, {member.ErrFull, full}} {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	return unreadable
}

// refusals counts: a stranger can knock as often as it likes, so nothing is
// logged of it.
type refusals struct {
	mu sync.Mutex
	by map[string]uint64
}

func (r *refusals) count(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[string]uint64{}
	}
	r.by[reason]++
}

// Refusals is how often somebody was not let in, by reason.
func (m *Mesh) Refusals() map[string]uint64 {
	m.refused.mu.Lock()
	defer m.refused.mu.Unlock()
	return maps.Clone(m.refused.by)
}

// Refused is how often somebody was not let in, for any reason.
func (m *Mesh) Refused() (n uint64) {
	for _, v := range m.Refusals() {
		n += v
	}
	return n
}

// gater lets listed peers or members through, in both directions, and nobody
// else but visitors, see members.visit.
type gater struct{ m *Mesh }

func (g *gater) allowed(p peer.ID) bool {
	if g.m.peers.get(p) != nil {
		return true
	}
	g.m.refused.count(notListed)
	return false
}

func (g *gater) InterceptPeerDial(p peer.ID) bool                                { return g.allowed(p) }
func (g *gater) InterceptAddrDial(peer.ID, ma.Multiaddr) bool                    { return true }
func (g *gater) InterceptAccept(network.ConnMultiaddrs) bool                     { return true }
func (g *gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
func (g *gater) InterceptSecured(dir network.Direction, p peer.ID, c network.ConnMultiaddrs) bool {
	if g.m.members != nil {
		return g.m.members.greet(dir, p, c)
	}
	return g.allowed(p)
}
