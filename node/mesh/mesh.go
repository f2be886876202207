package mesh

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"

	"golang.org/x/time/rate"

	"omx/node/catalog"
	"omx/node/mesh/member"
)

// Observer is told what happens to peers. The calls about one peer come one
// after the other, PeerUp first; they must not block and not call Close. A peer need
// not be connected: see Through.
type Observer interface {
	PeerUp(id catalog.NodeID)
	PeerDown(id catalog.NodeID, reason error)
	// PeerRecord: rtt is the round trip as measured, or estimated from coordinates of
	// one that is not connected; 0 if neither is known.
	PeerRecord(info catalog.NodeInfo, rtt time.Duration)
	// PeerSuspect: a request is open at the peer and nothing at all comes from it. It
	// is heard again with its next record, or goes down.
	PeerSuspect(id catalog.NodeID)
}

// Handler serves requests of peers. ctx ends when the peer no longer wants the
// answer.
type Handler interface {
	Serve(ctx context.Context, from catalog.NodeID, s *ServerStream)
}

// Mesh is this node's connections to its peers.
type Mesh struct {
	cfg      Config
	log      *slog.Logger
	id       catalog.NodeID
	handle   uint64 // of id
	peer     peer.ID
	key      member.ID
	host     *host
	peers    *peerTable
	members  *members // nil: nodes list one another
	refused  refusals
	static   []staticPeer   // members that the configuration names
	announce []ma.Multiaddr // addresses that the configuration names
	pool     *Pool[*link]
	observe  Observer
	handler  Handler
	watcher  *watcher
	overlay  *overlay

	mu       sync.Mutex
	sessions map[peer.ID]*session // the one in use per peer
	record   catalog.NodeInfo
	coord    Coordinate
	started  bool
	leaving  bool
	closing  bool

	relay      relay
	circuitsMu sync.Mutex
	circuits   *circuits // nil while no relay is known

	ended    chan struct{} // has one entry after a session has ended
	draining atomic.Bool
	requests chan struct{}              // one entry per request peers have open
	lanes    chan struct{}              // one entry per lane peers have open
	served   map[*ServerStream]struct{} // streams that peers ask on; under mu
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	once     sync.Once
}

// Identity is the node id of a key file, which is made if it is not there.
func Identity(keyFile string) (catalog.NodeID, error) {
	key, err := LoadKey(keyFile)
	if err != nil {
		return catalog.NodeID{}, err
	}
	return KeyID(key)
}

// KeyID is the node id of a key.
func KeyID(key ed25519.PrivateKey) (catalog.NodeID, error) {
	_, _, id, err := identify(key)
	return id, err
}

// New makes a Mesh that is not reachable before Start. The caller must Close it.
func New(cfg Config, observe Observer, handler Handler) (*Mesh, error) {
	cfg.setDefaults()
	if cfg.Key == nil {
		key, err := LoadKey(cfg.KeyFile)
		if err != nil {
			return nil, err
		}
		cfg.Key = key
	}
	key, pid, id, err := identify(cfg.Key)
	if err != nil {
		return nil, err
	}
	m := &Mesh{cfg: cfg, log: cfg.Log, id: id, handle: id.Handle(), peer: pid, key: member.ID(cfg.Key.Public().(ed25519.PublicKey)), observe: observe, handler: handler,
		sessions: map[peer.ID]*session{}, coord: NewCoordinate(), ended: make(chan struct{}, 1),
		record: catalog.NodeInfo{ID: id}, requests: make(chan struct{}, cfg.MaxRequests), lanes: make(chan struct{}, maxLanes), served: map[*ServerStream]struct{}{}}
	if m.members, err = openMembers(m, cfg.Dir, cfg.Key); err != nil {
		return nil, err
	}
	if m.members != nil {
		m.peers = newPeerTable(map[peer.ID]*listed{})
		m.static, err = parseStatic(cfg.Peers, pid)
	} else {
		var peers map[peer.ID]*listed
		if peers, err = parsePeers(cfg.Peers, pid); err == nil && len(peers) > cfg.Pool.MaxConns {
			err = fmt.Errorf("%d peers are listed, but the pool keeps only %d connections; raise the limit or list fewer", len(peers), cfg.Pool.MaxConns)
		}
		m.peers = newPeerTable(peers)
	}
	if err != nil {
		return nil, err
	}
	if m.announce, err = parseAnnounce(cfg.Announce); err != nil {
		return nil, err
	}
	if m.host, err = newHost(key, pid, &gater{m}, m.certified(), &m.cfg); err != nil {
		return nil, fmt.Errorf("create mesh host: %w", err)
	}
	m.relay.allow = rate.NewLimiter(passRate, passBurst)
	m.pool = NewPool(cfg.Pool, m.connect)
	m.watcher, m.overlay = newWatcher(m), newOverlay(m)
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m, nil
}

// certified is the credential for a certificate of this node, nil for none.
func (m *Mesh) certified() []byte {
	if m.members == nil {
		return nil
	}
	return m.members.own.Load().Bytes()
}

// Start listens and keeps connected to every peer it has an address of.
func (m *Mesh) Start(context.Context) error {
	m.host.swarm.SetStreamHandler(m.accept)
	if err := m.host.listen(m.cfg.Listen); err != nil {
		return err
	}
	if got, want := ReceiveBuffer(); got > 0 && got < want && m.cfg.ListenUDP == nil {
		m.log.Warn("the kernel keeps few packets for a socket, see: omx doctor", "bytes", got, "wanted", want)
	}
	m.mu.Lock()
	m.started = true
	m.mu.Unlock()
	if m.members != nil {
		m.discover()
	}
	for _, p := range m.peers.all() {
		if len(p.addrs) > 0 && m.members == nil {
			m.host.swarm.Peerstore().AddAddrs(p.peer, p.addrs, peerstore.PermanentAddrTTL)
			m.keep(p)
		}
	}
	m.wg.Go(m.tick)
	m.wg.Go(func() { m.watcher.run(m.ctx) })
	if m.members != nil {
		m.wg.Go(func() { m.overlay.run(m.ctx) })
	}
	return nil
}

// Close tells the peers that this node leaves, ends every stream and connection
// and waits for what served them. It may be called more than once.
func (m *Mesh) Close() (err error) {
	m.once.Do(func() { err = m.shutDown() })
	return err
}

func (m *Mesh) shutDown() error {
	m.sayLeaving()
	m.mu.Lock()
	m.closing = true
	m.mu.Unlock()
	m.cancel()
	m.pool.Close()
	err := m.host.close()
	if c := m.circuitsNow(); c != nil {
		err = errors.Join(err, c.close())
	}
	m.wg.Wait()
	if m.members != nil {
		m.members.remember()
	}
	return err
}

// ID is this node's identity.
func (m *Mesh) ID() catalog.NodeID { return m.id }

// Addrs are the addresses other nodes reach this one at, with its identity.
func (m *Mesh) Addrs() []string {
	var out []string
	for _, a := range m.listening() {
		if len(out) < catalog.MaxAddrs {
			out = append(out, a.String()+"/p2p/"+m.peer.String())
		}
	}
	return out
}

// listening are the addresses that the sockets have, on each interface.
func (m *Mesh) listening() []ma.Multiaddr {
	list, err := m.host.swarm.InterfaceListenAddresses()
	if err != nil {
		list = m.host.swarm.ListenAddresses()
	}
	return slices.DeleteFunc(slices.Clone(list), isCircuit)
}

// Count is the number of live peers; Has tells of one. Neither allocates.
func (m *Mesh) Count() int                 { return m.pool.Count() }
func (m *Mesh) Has(id catalog.NodeID) bool { return m.pool.Has(id) }

// Drop closes the connection to a peer, with what is open on it; false if there
// was none. Whichever of the two has the other's address dials again.
func (m *Mesh) Drop(id catalog.NodeID) bool { return m.pool.Remove(id) }

// Coord is this node's network coordinate.
func (m *Mesh) Coord() catalog.Coord {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.coord.Coord
}

// SetRecord is what peers are told of this node from now on: at once if its
// facts changed, else with the next heartbeat. It keeps no more of info than a
// copy of its placements. Errors: a record of another node, or over a limit.
func (m *Mesh) SetRecord(info catalog.NodeInfo) error {
	if err := info.Validate(); err != nil {
		return err
	}
	if info.ID != m.id {
		return errors.New("set record: it is of another node")
	}
	if info.Placements = slices.Clone(info.Placements); m.Role() != member.Serve {
		info.Placements = nil
	}
	if err := checkRecordSize(&info); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := !sameFacts(&m.record, &info)
	m.record = info
	if changed {
		for _, s := range m.sessions {
			s.poke()
		}
	}
	return nil
}

// appendRecord appends this node's record as it is now.
func (m *Mesh) appendRecord(b []byte, f form) []byte {
	m.mu.Lock()
	info, coord := m.record, m.coord // placements are replaced whole
	m.mu.Unlock()
	return encodeRecord(b, &info, coord, m.cfg.Now(), f)
}

// tick keeps the pool's clock.
func (m *Mesh) tick() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			m.pool.Tick(m.cfg.Now())
			m.expireStreams(time.Now())
			m.endIdle(time.Now())
			if m.members != nil {
				m.members.tick()
			}
		case <-m.ctx.Done():
			return
		}
	}
}

// expireStreams closes request streams that nobody needs any more.
func (m *Mesh) expireStreams(now time.Time) {
	for _, s := range m.all() {
		s.link.kept.expire(now)
	}
}

// all are the sessions in use.
func (m *Mesh) all() []*session {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.AppendSeq(make([]*session, 0, len(m.sessions)), maps.Values(m.sessions))
}

// accept gets every stream that a peer opens, on a goroutine of its own.
func (m *Mesh) accept(s network.Stream) {
	m.mu.Lock()
	if m.closing {
		m.mu.Unlock()
		_ = s.Reset()
		return
	}
	m.wg.Add(1)
	m.mu.Unlock()
	defer m.wg.Done()

	p := m.peers.get(s.Conn().RemotePeer())
	if m.members != nil && !m.members.admits(p) {
		m.members.receive(s)
		return
	}
	if p == nil {
		_ = s.Reset()
		return
	}
	r := newFrameReader(s)
	_ = s.SetReadDeadline(time.Now().Add(prefaceTimeout))
	tag, ver, err := r.preface()
	if err == nil && ver != version {
		err = fmt.Errorf("%w: version %d, this node speaks %d", ErrProtocol, ver, version)
	}
	switch {
	case err != nil:
		_ = s.Reset()
		if errors.Is(err, ErrProtocol) {
			m.log.Warn("refused a stream", "peer", p.id, "why", err)
		}
	case tag == tagControl:
		_ = m.newSession(p, s, false).run(r) // the observer has been told
	case tag == tagRequest:
		m.serveStream(p, s, r)
	case tag == tagLane:
		m.serveLane(p, s, r.rest())
	case tag == tagMember && m.members != nil:
		m.members.grant(s, r)
	default:
		_ = s.Reset()
	}
}
