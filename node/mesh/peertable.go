package mesh

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"omx/node/catalog"
	"omx/node/mesh/member"
)

// listed is a peer that may talk with this node: one that the configuration
// names, or a member of the mesh.
type listed struct {
	id     catalog.NodeID
	handle uint64 // of id
	peer   peer.ID
	key    member.ID     // of id
	node   member.ID     // the same; zero where the mesh has no key
	far    far           // what others say of it; under overlay.mu
	up     bool          // has spoken in its present session; under Mesh.mu
	wake   chan struct{} // has one entry when a dial may do better than the last one
	gone   chan struct{} // closed when it is no peer any more

	came    chan struct{} // has one entry after a session has come up
	freed   chan struct{} // likewise, has ended
	events  sync.Mutex    // held while the observer is told of it, so that events come in order
	serving atomic.Int32  // requests it has open here
	lanes   atomic.Int32  // likewise

	// cred is the best credential it has shown, nil if none that counts.
	cred atomic.Pointer[member.Credential]

	mu     sync.Mutex
	addrs  []ma.Multiaddr // where the configuration, or a word on the network, says it is
	static bool           // the configuration names it
	seen   ma.Multiaddr   // where its last connection came from or went to
	advert *member.Advert // what it says itself
}

func newListed(p peer.ID) (*listed, error) {
	id, err := catalog.ParseNodeID(p.String())
	if err != nil {
		return nil, err
	}
	key, err := member.FromPeer(p)
	if err != nil {
		return nil, err
	}
	return &listed{id: id, handle: id.Handle(), peer: p, key: key, wake: make(chan struct{}, 1), gone: make(chan struct{}), came: make(chan struct{}, 1), freed: make(chan struct{}, 1)}, nil
}

// dialAddrs are where to dial it: what the operator says first, then what worked,
// then what it says itself, and last the ways through relays.
func (p *listed) dialAddrs() []ma.Multiaddr {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := slices.Clone(p.addrs)
	if p.seen != nil {
		list = append(list, p.seen)
	}
	if p.advert != nil {
		list = append(list, p.advert.Addrs...)
	}
	var direct, circuits []ma.Multiaddr
	for _, a := range list {
		to, most := &direct, maxAddrs-maxRelays
		if isCircuit(a) {
			to, most = &circuits, maxRelays
		}
		if len(*to) < most && !slices.ContainsFunc(*to, a.Equal) {
			*to = append(*to, a)
		}
	}
	return append(direct, circuits...)
}

// reachedAt adds an address from the configuration or the network, the newest
// first.
func (p *listed) reachedAt(addrs ...ma.Multiaddr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range addrs {
		if !slices.ContainsFunc(p.addrs, a.Equal) {
			p.addrs = append([]ma.Multiaddr{a}, p.addrs...)
			p.retry()
		}
	}
	p.addrs = p.addrs[:min(len(p.addrs), maxAddrs)]
}

// retry has it dialled at once.
func (p *listed) retry() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// peerTable is everybody who may talk with this node.
type peerTable struct {
	mu       sync.RWMutex
	byPeer   map[peer.ID]*listed
	byNode   map[catalog.NodeID]*listed
	byHandle map[uint64]*listed
}

func newPeerTable(peers map[peer.ID]*listed) *peerTable {
	t := &peerTable{byPeer: peers, byNode: map[catalog.NodeID]*listed{}, byHandle: map[uint64]*listed{}}
	for _, p := range peers {
		t.byNode[p.id], t.byHandle[p.handle] = p, p
	}
	return t
}

func (t *peerTable) get(p peer.ID) *listed {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byPeer[p]
}

func (t *peerTable) node(id catalog.NodeID) *listed {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byNode[id]
}

// handle is the peer whose id has that handle.
func (t *peerTable) handle(h uint64) *listed {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byHandle[h]
}

func (t *peerTable) count() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.byPeer)
}

func (t *peerTable) all() []*listed {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]*listed, 0, len(t.byPeer))
	for _, p := range t.byPeer {
		list = append(list, p)
	}
	return list
}

// add returns the peer, and whether it is new; nil if there is no room for it.
func (t *peerTable) add(id peer.ID, node member.ID, most int) (p *listed, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.byPeer[id]; p != nil || len(t.byPeer) >= most {
		return p, false
	}
	p, err := newListed(id)
	if err != nil {
		return nil, false
	}
	p.node = node
	t.byPeer[id], t.byNode[p.id], t.byHandle[p.handle] = p, p, p
	return p, true
}

// remove ends a peer; false if it was none.
func (t *peerTable) remove(p *listed) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byPeer[p.peer] != p {
		return false
	}
	delete(t.byPeer, p.peer)
	delete(t.byNode, p.id)
	delete(t.byHandle, p.handle)
	close(p.gone)
	return true
}
