package mesh

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"omx/node/mesh/member"
)

var (
	// ErrLeft is why a peer is down that has said that it leaves.
	ErrLeft      = errors.New("it has left")
	errNotMember = errors.New("the peer shows no valid credential")
)

// control takes what a peer says on its control stream beside its record.
func (m *Mesh) control(s *session, k kind, payload []byte) error {
	switch {
	case k == kindLeaving:
		return ErrLeft
	case m.members == nil:
	case k == kindCredential:
		_, err := m.members.learn(payload, s.peer.peer)
		if errors.Is(err, member.ErrExpired) && m.members.holder != nil {
			return nil // it will ask for the next one on this connection
		}
		if err != nil {
			m.refused.count(reasonOf(err))
			return fmt.Errorf("%w: %w", errNotMember, err)
		}
		s.poke()
		return nil
	case !m.members.admits(s.peer):
		return errNotMember
	case k == kindRevoked:
		return m.members.heardRevoked(payload)
	case k == kindAdverts:
		return m.members.heardAdverts(s, payload)
	}
	return fmt.Errorf("%w: frame kind %d on a control stream", ErrProtocol, k)
}

// admitted says whether a peer's records count, and whether it gets this node's.
func (m *Mesh) admitted(p *listed) bool { return m.members == nil || m.members.admits(p) }

// toTell appends what a session says next.
func (m *Mesh) toTell(b []byte, s *session) []byte {
	admitted := m.admitted(s.peer)
	if m.members != nil {
		var more bool
		if b, more = m.members.appendNews(b, &s.told, admitted && m.overlay.spreads(s)); more {
			time.AfterFunc(tellPause, s.poke)
		}
	}
	if !admitted {
		return b // until it has shown a credential
	}
	if m.cfg.Relay && !s.offered {
		s.offered = true
		b = append(b, s.offer()...)
	}
	b = m.overlay.appendTurns(b, s)
	at := len(b)
	b = m.appendRecord(appendHeader(b, kindRecord, 0), whole)
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-headerLen))
	return m.overlay.say(b, s, true)
}

// heardRevoked takes revocations; each is checked, and spreads if it is new.
func (s *members) heardRevoked(b []byte) error {
	if len(b)%member.RevocationLen != 0 {
		return fmt.Errorf("%w: revocations of %d bytes", ErrProtocol, len(b))
	}
	fresh := false
	for ; len(b) > 0; b = b[member.RevocationLen:] {
		raw := b[:member.RevocationLen]
		s.mu.Lock()
		known := s.revoked.Has(raw)
		s.mu.Unlock()
		if known {
			continue
		}
		r, err := member.ParseRevocation(raw, s.key)
		if err != nil {
			s.m.refused.count(reasonOf(err))
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		fresh = s.takeRevocation(r) || fresh
	}
	if fresh {
		s.tell()
		s.remember()
	}
	return nil
}

// takeRevocation ends a membership here; false if that was known.
func (s *members) takeRevocation(r *member.Revocation) bool {
	s.mu.Lock()
	fresh := s.revoked.Add(r, s.m.cfg.Now())
	s.mu.Unlock()
	if !fresh {
		return false
	}
	if s.holder != nil {
		if err := s.holder.Heed(r); err != nil {
			s.m.log.Error("a revoked node is still listed as a member; revoke it here, too", "why", err)
		}
	}
	if r.Node == s.self && !s.own.Load().Issued.After(r.At) {
		s.m.log.Error("this node was removed from the mesh; it can join again with a new token")
		return true
	}
	id, err := r.Node.Peer()
	if err != nil {
		return true
	}
	if p := s.m.peers.get(id); p != nil && !issuedAfter(p, r) {
		s.expel(p)
	}
	return true
}

func issuedAfter(p *listed, r *member.Revocation) bool {
	c := p.cred.Load()
	return c != nil && c.Issued.After(r.At)
}

// heardAdverts takes what members say of where they are. They need not be
// connected to this node: that is how it finds them.
func (s *members) heardAdverts(from *session, b []byte) error {
	list, err := splitList(b)
	if err != nil {
		return err
	}
	fresh := false
	for _, raw := range list {
		node, seq, err := member.Peek(raw)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		from.told.note(mark(node), seq)
		if node == s.self || !s.news(node, seq) {
			continue
		}
		a, err := member.ParseAdvert(raw, s.key)
		if err != nil {
			s.m.refused.count(reasonOf(err))
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		fresh = s.takeAdvert(a) || fresh
	}
	if fresh {
		s.tell()
	}
	return nil
}

func (s *members) news(node member.ID, seq uint64) bool {
	known := uint64(0)
	if id, err := node.Peer(); err == nil {
		if p := s.m.peers.get(id); p != nil {
			p.mu.Lock()
			if p.advert != nil {
				known = p.advert.Seq
			}
			p.mu.Unlock()
		}
	}
	return member.News(seq, known, s.m.cfg.Now().UnixMicro())
}

// takeAdvert makes a member known; false if it is revoked, or there is no room.
func (s *members) takeAdvert(a *member.Advert) bool {
	s.mu.Lock()
	gone := s.revoked.Covers(a.Credential)
	s.mu.Unlock()
	id, err := a.Credential.Node.Peer()
	if gone || err != nil || a.Credential.Node == s.self {
		return false
	}
	p, fresh := s.m.peers.add(id, a.Credential.Node, member.MaxMembers)
	if p == nil {
		s.m.refused.count(full)
		return false
	}
	p.mu.Lock()
	if p.advert != nil && p.advert.Seq >= a.Seq {
		p.mu.Unlock()
		return false
	}
	p.advert = a
	p.mu.Unlock()
	s.m.pool.forgive(p.id)
	p.retry()
	if fresh {
		s.m.keep(p)
	}
	return true
}

// advertise says where this node is, if that is new.
func (s *members) advertise() {
	addrs := s.m.reachable()
	s.mu.Lock()
	old := s.advert
	same := old != nil && len(old.Addrs) == len(addrs)
	for i := range addrs {
		same = same && old.Addrs[i].Equal(addrs[i])
	}
	if same {
		s.mu.Unlock()
		return
	}
	seq := uint64(s.m.cfg.Now().UnixMicro())
	if old != nil {
		seq = max(seq, old.Seq+1)
	}
	s.advert = member.NewAdvert(s.m.cfg.Key, s.own.Load(), seq, addrs)
	s.mu.Unlock()
	s.tell()
}

// splitList takes a list apart whose entries have two bytes of length in front.
func splitList(b []byte) (list [][]byte, err error) {
	for len(b) > 0 {
		if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
			return nil, fmt.Errorf("%w: list is cut short", ErrProtocol)
		}
		n := 2 + int(binary.BigEndian.Uint16(b))
		list = append(list, b[2:n])
		b = b[n:]
	}
	return list, nil
}

func appendEntry(b, entry []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(entry))), entry...)
}
