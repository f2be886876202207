package mesh

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"omx/node/catalog"
	"omx/node/mesh/udp"
)

// Config of a Mesh. The zero value of a field means its default.
type Config struct {
	// KeyFile holds the identity; it is made if it is not there. Or Key itself.
	KeyFile string
	Key     ed25519.PrivateKey
	// Listen are UDP multiaddrs; default /ip4/127.0.0.1/udp/0/quic-v1.
	Listen []string
	// Peers are the only nodes that may talk with this one, at most 4096:
	// ADDR/p2p/ID to dial it, /p2p/ID for one that dials us. In a mesh with a key
	// they are addresses of members, at most 64, also HOST:PORT or without /p2p/ID,
	// and everybody with a credential may talk.
	Peers []string
	// Dir is the folder with the membership of a mesh; if there is none in it, and
	// with "", nodes list one another.
	Dir string
	// Announce are addresses of this node that others should know beside those of
	// its interfaces, as where a router forwards a port.
	Announce []string
	// ServeLane serves the lanes that peers open, each on a goroutine of its own,
	// until it returns; nil: none are taken. A lane is for bytes of any meaning.
	ServeLane func(from catalog.NodeID, c net.Conn)
	// Relay has this node pass packets on between members that cannot reach one
	// another, at most 8 MiB a second for all together.
	Relay bool
	// MDNS has members on the local network find one another.
	MDNS bool
	// CredentialLife is how long the credentials live that this node issues, if it
	// holds the mesh's key; default 24 hours.
	CredentialLife time.Duration
	// Silence is how long a peer may say nothing before it counts as gone;
	// default 3 s. Records go out three times as often.
	Silence time.Duration
	// MaxRequests bounds requests that peers have open here, all together;
	// default 1024, and 200 of one peer.
	MaxRequests int
	// KeepStreams is how many idle request streams are kept per peer for the next
	// requests; default 16, -1 none.
	KeepStreams int
	// Pool bounds the connections; MaxConns defaults to 100 or the number of
	// peers, whichever is more, and may not be less than that number.
	Pool PoolConfig
	// ListenUDP opens the sockets; default udp.Listen. For networks that are
	// simulated or made to fail.
	ListenUDP func(network string, laddr *net.UDPAddr) (net.PacketConn, error)
	// SourceIP is the address that is dialled from; default: as the system's routes
	// say, of which such networks are none.
	SourceIP net.IP
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Log gets what an operator should know; default discards.
	Log *slog.Logger
}

// listenUDP is what opens the sockets. ListenUDP stays nil where it is not set: only
// then are they the kernel's, of which there is advice to give.
func (c *Config) listenUDP() func(network string, laddr *net.UDPAddr) (net.PacketConn, error) {
	if c.ListenUDP != nil {
		return c.ListenUDP
	}
	return udp.Listen
}

func (c *Config) setDefaults() {
	if len(c.Listen) == 0 {
		c.Listen = []string{"/ip4/127.0.0.1/udp/0/quic-v1"}
	}
	def(&c.Silence, 3*time.Second)
	def(&c.MaxRequests, 1024)
	def(&c.KeepStreams, defaultKeep)
	def(&c.Pool.MaxConns, max(defaultMaxConns, len(c.Peers)))
	c.Pool.setDefaults()
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// parsePeers reads the list of peers; one may be named with several addresses.
func parsePeers(list []string, self peer.ID) (map[peer.ID]*listed, error) {
	peers := map[peer.ID]*listed{}
	for _, s := range list {
		addr, err := ma.NewMultiaddr(s)
		if err != nil {
			return nil, fmt.Errorf("peer %q: %w; write /ip4/HOST/udp/PORT/quic-v1/p2p/ID, or /p2p/ID for a peer that dials this node", s, err)
		}
		dial, id := peer.SplitAddr(addr)
		if id == "" {
			return nil, fmt.Errorf("peer %q has no identity; append /p2p/ID, where ID is what omx id prints there", s)
		}
		if id == self {
			return nil, fmt.Errorf("peer %q is this node itself; leave it out", s)
		}
		p := peers[id]
		if p == nil {
			if p, err = newListed(id); err != nil {
				return nil, fmt.Errorf("peer %q: %w", s, err)
			}
			peers[id] = p
		}
		if dial != nil && len(p.addrs) < maxAddrs {
			p.addrs = append(p.addrs, dial)
		}
		if len(peers) > maxPeers {
			return nil, fmt.Errorf("more than %d peers are listed", maxPeers)
		}
	}
	return peers, nil
}
