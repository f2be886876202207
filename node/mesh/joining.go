package mesh

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"

	"omx/node/mesh/member"
)

// JoinConfig is what a node joins with.
type JoinConfig struct {
	Key   ed25519.PrivateKey // the node's identity
	Name  string             // what people call it
	Token *member.Token
	Dir   string // the mesh's folder in the node's data
	// ListenUDP and Now are as in Config.
	ListenUDP func(network string, laddr *net.UDPAddr) (net.PacketConn, error)
	Now       func() time.Time
}

// Join makes a node a member of the mesh it has a token of, and stores that. It
// connects from a port of its own, so nothing need run on the node; where the
// other side is busy with others that join, it tries again until ctx ends.
func Join(ctx context.Context, cfg JoinConfig) (*member.Membership, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := member.Absent(cfg.Dir); err != nil {
		return nil, err
	}
	key, pid, _, err := identify(cfg.Key)
	if err != nil {
		return nil, err
	}
	to, err := cfg.Token.Node.Peer()
	if err != nil {
		return nil, err
	}
	if to == pid {
		return nil, errors.New("the token is this node's own; use it on another machine")
	}
	if len(cfg.Token.Addrs) == 0 {
		return nil, errors.New("the token has no address; ask for one made with: omx mesh invite --addr ADDRESS")
	}
	h, err := newHost(key, pid, onlyPeer(to), nil, &Config{ListenUDP: cfg.ListenUDP})
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	ship, adverts, err := cfg.join(ctx, h, to)
	if err = errors.Join(err, h.close()); err != nil {
		return nil, err
	}
	// What is known of others may be lost; the membership may not.
	return ship, errors.Join(member.SaveKnown(cfg.Dir, adverts, nil), ship.Save(cfg.Dir))
}

func (cfg *JoinConfig) join(ctx context.Context, h *host, to peer.ID) (*member.Membership, []*member.Advert, error) {
	h.swarm.Peerstore().AddAddrs(to, cfg.Token.Addrs, peerstore.PermanentAddrTTL)
	self := member.ID(cfg.Key.Public().(ed25519.PublicKey))
	for cut := 0; ; {
		ship, adverts, err := cfg.try(ctx, h, to, self)
		switch {
		case err == nil:
			return ship, adverts, nil
		case errors.Is(err, errHungUp):
			// It has no room for one more visitor, or no token open.
			if cut++; cut == maxHangUps {
				return nil, nil, fmt.Errorf("the node at %s hangs up; the token is no longer good, or another node is there; ask for a new one", cfg.Token.Addrs[0])
			}
		case !errors.Is(err, ErrUnreachable):
			return nil, nil, err
		}
		if wait := 100*time.Millisecond + rand.N(400*time.Millisecond); !sleep(ctx, wait) {
			return nil, nil, fmt.Errorf("nobody answers at %s; is the node that invites running, and reached from here by UDP?", cfg.Token.Addrs[0])
		}
	}
}

func (cfg *JoinConfig) try(ctx context.Context, h *host, to peer.ID, self member.ID) (*member.Membership, []*member.Advert, error) {
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer cancel()
	h.swarm.Backoff().Clear(to)
	conn, err := h.swarm.DialPeer(ctx, to)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer conn.Close()
	channel, _, err := channelOf(conn)
	if err != nil {
		return nil, nil, err
	}
	id, proof := cfg.Token.Prove(self, channel)
	return request(ctx, conn, kindJoin, encodeJoin(id, proof, cfg.Name), cfg.Token.Mesh, self, cfg.Now)
}

// onlyPeer lets a host talk with one peer.
type onlyPeer peer.ID

func (o onlyPeer) InterceptPeerDial(p peer.ID) bool                                { return p == peer.ID(o) }
func (o onlyPeer) InterceptAddrDial(peer.ID, ma.Multiaddr) bool                    { return true }
func (o onlyPeer) InterceptAccept(network.ConnMultiaddrs) bool                     { return true }
func (o onlyPeer) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
func (o onlyPeer) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return p == peer.ID(o)
}
