package mesh

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/quic-go/quic-go"

	"omx/node/mesh/member"
)

// members is who belongs to the mesh and how this node shows that it does. A mesh
// without a key, in which nodes list one another, has none.
type members struct {
	m       *Mesh
	dir     string
	key     ed25519.PublicKey // the mesh's
	holder  *member.Holder    // nil where the mesh's key is not held
	self    member.ID
	limiter limiter

	visitors atomic.Int32
	own      atomic.Pointer[member.Credential]
	version  atomic.Uint64 // goes up when there is something to tell the others

	mu      sync.Mutex
	visits  map[peer.ID]func() // gives up the place that a visitor takes
	revoked member.Revoked
	advert  *member.Advert // this node's own
	kick    chan struct{}  // has one entry when a renewal is due
	nudge   chan struct{}  // has one entry when somebody who can renew is there
}

// openMembers reads a mesh's folder; nil if the node is in no mesh.
func openMembers(m *Mesh, dir string, key ed25519.PrivateKey) (*members, error) {
	ship, err := member.Load(dir)
	if err != nil || ship == nil {
		return nil, err
	}
	s := &members{m: m, dir: dir, key: ship.Key, self: member.ID(key.Public().(ed25519.PublicKey)), kick: make(chan struct{}, 1), nudge: make(chan struct{}, 1), visits: map[peer.ID]func(){}}
	if ship.Credential.Node != s.self {
		return nil, fmt.Errorf("read membership: %w: the folder %s was copied from there, or this node has a new identity; delete it and join again", member.ErrOtherNode, dir)
	}
	if s.holder, err = member.OpenHolder(dir, ship, m.cfg.CredentialLife); err != nil {
		return nil, err
	}
	now := m.cfg.Now()
	if c := ship.Credential; s.holder != nil && (!c.Holder || c.Due(now)) {
		ship.Credential = s.holder.Own(s.self, c.Role, now)
		if err := ship.Save(dir); err != nil {
			return nil, err
		}
	}
	s.own.Store(ship.Credential)
	s.version.Store(1)
	return s, nil
}

// recall takes in what was known at the last run.
func (s *members) recall() {
	now := s.m.cfg.Now()
	adverts, gone, err := member.LoadKnown(s.dir, &member.Membership{Key: s.key}, now)
	if err != nil {
		s.m.log.Warn("members known from before are learned again", "why", err)
	}
	for _, r := range gone {
		s.takeRevocation(r)
	}
	for _, a := range adverts {
		if now.Sub(a.Credential.Expires) < forgetAfter {
			s.takeAdvert(a)
		}
	}
}

// remember writes down what is known, for the next start.
func (s *members) remember() {
	var adverts []*member.Advert
	for _, p := range s.m.peers.all() {
		p.mu.Lock()
		if p.advert != nil {
			adverts = append(adverts, p.advert)
		}
		p.mu.Unlock()
	}
	s.mu.Lock()
	gone := s.revoked.All()
	s.mu.Unlock()
	if err := member.SaveKnown(s.dir, adverts, gone); err != nil {
		s.m.log.Warn("members are not written down; they will be learned again after a restart", "why", err)
	}
}

// admits says whether a peer is a member now.
func (s *members) admits(p *listed) bool {
	if p == nil {
		return false
	}
	c := p.cred.Load()
	return c != nil && s.m.cfg.Now().Before(c.Expires)
}

// learn takes a credential that a node shows on its own connection.
func (s *members) learn(raw []byte, from peer.ID) (*listed, error) {
	node, err := member.FromPeer(from)
	if err != nil {
		return nil, err
	}
	c, err := member.ParseCredential(raw, s.key)
	if err == nil {
		s.mu.Lock()
		if s.revoked.Covers(c) {
			err = fmt.Errorf("credential %w", member.ErrRevoked)
		}
		s.mu.Unlock()
	}
	if err == nil {
		err = c.Check(node, s.m.cfg.Now())
	}
	if err != nil {
		return nil, err
	}
	p, fresh := s.m.peers.add(from, node, member.MaxMembers)
	if p == nil {
		return nil, member.ErrFull
	}
	for old := p.cred.Load(); old == nil || old.Issued.Before(c.Issued); old = p.cred.Load() {
		if p.cred.CompareAndSwap(old, c) {
			break
		}
	}
	s.mu.Lock()
	gone, leave := s.revoked.Covers(c), s.visits[from]
	s.mu.Unlock()
	if gone { // just now
		s.expel(p)
		return nil, fmt.Errorf("credential %w", member.ErrRevoked)
	}
	if leave != nil {
		leave()
	}
	if c.Holder {
		select {
		case s.nudge <- struct{}{}:
		default:
		}
	}
	if fresh {
		s.m.keep(p)
	}
	return p, nil
}

// greet decides in the handshake: the credential is in the certificate.
func (s *members) greet(dir network.Direction, id peer.ID, c network.ConnMultiaddrs) bool {
	conn, ok := c.(interface{ As(any) bool })
	var q *quic.Conn
	if !ok || !conn.As(&q) {
		s.m.refused.count(unreadable)
		return false
	}
	known := s.admits(s.m.peers.get(id))
	raw := credentialIn(q.ConnectionState().TLS.PeerCertificates)
	if raw == nil {
		if known {
			return true
		}
		if dir == network.DirInbound && s.holder != nil && s.holder.Inviting(s.m.cfg.Now()) {
			return s.visit(id, q)
		}
		s.m.refused.count(noCredential)
		return false
	}
	_, err := s.learn(raw, id)
	switch {
	case err == nil, errors.Is(err, member.ErrExpired) && known:
		return true
	case errors.Is(err, member.ErrExpired):
		// It was a member when it made its certificate, and may have a newer credential
		// to show.
		if dir == network.DirOutbound {
			return true // this node has dialled it; its session shows more
		}
		return s.visit(id, q)
	}
	s.m.refused.count(reasonOf(err))
	return false
}

// visit lets somebody in who is no member, or cannot show it in the handshake:
// for a few seconds and one stream, to join, to renew, or to show a credential.
func (s *members) visit(id peer.ID, q *quic.Conn) bool {
	if s.visitors.Add(1) > maxVisitors {
		s.visitors.Add(-1)
		s.m.refused.count(joinBusy)
		return false
	}
	leave := sync.OnceFunc(func() {
		s.visitors.Add(-1)
		s.mu.Lock()
		delete(s.visits, id)
		s.mu.Unlock()
	})
	s.mu.Lock()
	s.visits[id] = leave
	s.mu.Unlock()
	timer := time.AfterFunc(visitTime, func() {
		if leave(); !s.admits(s.m.peers.get(id)) {
			_ = q.CloseWithError(quic.ApplicationErrorCode(network.ConnGated), "visit is over")
		}
	})
	context.AfterFunc(q.Context(), func() {
		timer.Stop()
		leave()
	})
	return true
}

// expel ends a peer's connections and forgets it.
func (s *members) expel(p *listed) {
	p.cred.Store(nil)
	s.m.peers.remove(p)
	for _, c := range s.m.host.swarm.ConnsToPeer(p.peer) {
		_ = c.Close()
	}
}

// tick is called every second.
func (s *members) tick() {
	now := s.m.cfg.Now()
	for _, p := range s.m.peers.all() {
		if s.m.inUse(p) && !s.admits(p) {
			s.m.refused.count(expired)
			s.m.Drop(p.id)
		}
	}
	s.mu.Lock()
	s.revoked.Forget(now)
	s.mu.Unlock()
	s.advertise()
	if s.own.Load().Due(now) {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
}

// credentialID marks the credential in a certificate: an OID under 2.25, where
// everybody may choose a number.
var credentialID = asn1.ObjectIdentifier{2, 25, 1203049741}

func credentialIn(certs []*x509.Certificate) []byte {
	for _, c := range certs {
		for _, e := range c.Extensions {
			if e.Id.Equal(credentialID) {
				return e.Value
			}
		}
	}
	return nil
}

// tell has every session say what is new.
func (s *members) tell() {
	s.version.Add(1)
	s.m.pokeAll()
}

// found takes a word from the network of where a node is. It is not proven that
// it is a member; the dial shows.
func (s *members) found(id peer.ID, addrs []ma.Multiaddr) {
	node, err := member.FromPeer(id)
	if err != nil || id == s.m.peer {
		return
	}
	p := s.m.peers.get(id)
	if p == nil {
		s.mu.Lock()
		gone := s.revoked.Of(node) != nil
		s.mu.Unlock()
		if gone || s.unproven() >= maxUnproven {
			return
		}
	}
	p, fresh := s.m.peers.add(id, node, member.MaxMembers)
	if p == nil {
		return
	}
	p.reachedAt(addrs...)
	if fresh {
		s.m.keep(p)
	}
}

// unproven counts peers of which there is a word only.
func (s *members) unproven() (n int) {
	for _, p := range s.m.peers.all() {
		p.mu.Lock()
		if p.cred.Load() == nil && p.advert == nil {
			n++
		}
		p.mu.Unlock()
	}
	return n
}
