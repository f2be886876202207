package mesh

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/quic-go/quic-go"

	"omx/node/mesh/member"
)

// On a stream with the tag 'M' a node asks for membership: one request, one
// answer. It is all that somebody who is no member may do.
//
//	join:    version 1 | invitation 8 | proof 32 | name
//	renew:   version 1 | credential | name
//	granted: mesh key 32 | credential | list of adverts
//	denied:  reason 1 | message
const memberVersion = 1

// denials are the reasons as they travel. The numbers are never reused.
var denials = map[byte]error{
	1: member.ErrNoInvite, 2: member.ErrUsedUp, 3: member.ErrNotMember, 4: member.ErrRevoked,
	5: member.ErrFull, 6: errTooOften, 7: member.ErrNotHolder, 8: ErrProtocol, 9: errGranting,
}

var (
	errTooOften = errors.New("too many attempts have failed; wait a minute")
	errGranting = errors.New("the other node cannot write the new member down; see its log")
)

// receive serves a stream of somebody who is not admitted.
func (s *members) receive(stream network.Stream) {
	if len(stream.Conn().GetStreams()) > 2 { // one that it opens, and one that this node does
		_ = stream.Reset()
		return
	}
	r := newFrameReader(stream)
	_ = stream.SetReadDeadline(time.Now().Add(visitTime))
	tag, ver, err := r.preface()
	if err != nil || ver != version {
		_ = stream.Reset()
		return
	}
	switch tag {
	case tagMember:
		s.grant(stream, r)
	case tagControl:
		k, payload, err := r.next()
		if err != nil || k != kindCredential {
			s.m.refused.count(unreadable)
			_ = stream.Conn().Close()
			return
		}
		p, err := s.learn(payload, stream.Conn().RemotePeer())
		if err != nil {
			s.m.refused.count(reasonOf(err))
			_ = stream.Conn().Close()
			return
		}
		_ = s.m.newSession(p, stream, false).run(r) // the observer has been told
	default:
		_ = stream.Reset()
	}
}

// grant answers one request for membership.
func (s *members) grant(stream network.Stream, r *frameReader) {
	defer stream.Close()
	_ = stream.SetDeadline(time.Now().Add(visitTime))
	k, payload, err := r.next()
	if err != nil {
		_ = stream.Reset()
		return
	}
	answer, err := s.decide(stream.Conn(), k, payload)
	if err != nil {
		s.m.refused.count(joinDenied)
		_, _ = stream.Write(appendFrame(nil, kindDenied, encodeDenial(err)))
		return
	}
	_, _ = stream.Write(appendFrame(nil, kindGranted, answer))
}

func (s *members) decide(conn network.Conn, k kind, payload []byte) ([]byte, error) {
	if s.holder == nil {
		return nil, member.ErrNotHolder
	}
	from, err := member.FromPeer(conn.RemotePeer())
	if err != nil {
		return nil, err
	}
	var c *member.Credential
	switch k {
	case kindJoin:
		c, err = s.join(conn, from, payload)
	case kindRenew:
		c, err = s.renewal(from, payload)
	default:
		err = fmt.Errorf("%w: frame kind %d in place of a request", ErrProtocol, k)
	}
	if err != nil {
		return nil, err
	}
	if _, err := s.learn(c.Bytes(), conn.RemotePeer()); err != nil {
		return nil, err
	}
	s.m.pokeAll() // a session may have waited for this
	return encodeGrant(s.key, c, s.allAdverts()), nil
}

func (s *members) join(conn network.Conn, from member.ID, payload []byte) (*member.Credential, error) {
	id, proof, name, err := parseJoin(payload)
	if err != nil {
		return nil, err
	}
	channel, source, err := channelOf(conn)
	if err != nil {
		return nil, err
	}
	now := s.m.cfg.Now()
	if !s.limiter.allows(source, now) {
		s.m.refused.count(joinLimited)
		return nil, errTooOften
	}
	c, err := s.holder.Join(from, s.self, id, proof, channel, name, s.notBefore(from, now))
	switch {
	case errors.Is(err, member.ErrNoInvite):
		s.limiter.failed(source)
	case err == nil:
		s.m.log.Info("a node has joined the mesh", "node", conn.RemotePeer(), "name", name)
	case !errors.Is(err, member.ErrUsedUp) && !errors.Is(err, member.ErrFull):
		s.m.log.Error("a node could not join", "why", err)
		err = errGranting
	}
	return c, err
}

// notBefore is now, or the moment after a node's revocation: that voids what was
// issued before.
func (s *members) notBefore(node member.ID, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.revoked.Of(node); r != nil && !now.After(r.At) {
		return r.At.Add(time.Millisecond)
	}
	return now
}

func (s *members) renewal(from member.ID, payload []byte) (*member.Credential, error) {
	raw, name, err := parseRenew(payload)
	if err != nil {
		return nil, err
	}
	old, err := member.ParseCredential(raw, s.key)
	if err != nil {
		return nil, err
	}
	if old.Node != from {
		return nil, member.ErrOtherNode
	}
	s.mu.Lock()
	gone := s.revoked.Covers(old)
	s.mu.Unlock()
	if gone {
		return nil, member.ErrRevoked
	}
	return s.holder.Renew(old, name, s.m.cfg.Now())
}

// channelOf is a secret of both ends of a connection, and where the other is.
func channelOf(conn network.Conn) (channel []byte, source string, err error) {
	var q *quic.Conn
	if !conn.As(&q) {
		return nil, "", errors.New("join: not a QUIC connection")
	}
	state := q.ConnectionState().TLS
	if channel, err = state.ExportKeyingMaterial("EXPORTER-omx-join-1", nil, 32); err != nil {
		return nil, "", fmt.Errorf("join: %w", err)
	}
	return channel, sourceOf(q.RemoteAddr()), nil
}

// sourceOf is an address as attempts are counted by: who has one IPv6 address has
// its /64.
func sourceOf(a net.Addr) string {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return a.String()
	}
	ip, bits := ap.Addr().Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = 64
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return ip.String()
	}
	return prefix.String()
}

func encodeJoin(id member.InviteID, proof [member.ProofLen]byte, name string) []byte {
	b := append([]byte{memberVersion}, id[:]...)
	b = append(b, proof[:]...)
	return append(b, cutName(name)...)
}

func parseJoin(b []byte) (id member.InviteID, proof [member.ProofLen]byte, name string, err error) {
	head := 1 + len(id) + len(proof)
	if len(b) < head || b[0] != memberVersion || len(b) > head+member.MaxName {
		return id, proof, "", fmt.Errorf("%w: join request", ErrProtocol)
	}
	copy(id[:], b[1:])
	copy(proof[:], b[1+len(id):])
	return id, proof, cutName(string(b[head:])), nil
}

func encodeRenew(c *member.Credential, name string) []byte {
	return append(append([]byte{memberVersion}, c.Bytes()...), cutName(name)...)
}

func parseRenew(b []byte) (raw []byte, name string, err error) {
	const head = 1 + member.CredentialLen
	if len(b) < head || b[0] != memberVersion || len(b) > head+member.MaxName {
		return nil, "", fmt.Errorf("%w: renewal", ErrProtocol)
	}
	return b[1:head], cutName(string(b[head:])), nil
}

// encodeGrant leaves out adverts that do not fit: they come later.
func encodeGrant(key ed25519.PublicKey, c *member.Credential, adverts []*member.Advert) []byte {
	b := append(append([]byte(nil), key...), c.Bytes()...)
	for _, a := range adverts {
		if len(b)+2+len(a.Bytes()) <= MaxFrame {
			b = appendEntry(b, a.Bytes())
		}
	}
	return b
}

// parseGrant checks what was granted to node: by the mesh of that name.
func parseGrant(b []byte, mesh member.MeshID, node member.ID, now time.Time) (*member.Membership, []*member.Advert, error) {
	const head = ed25519.PublicKeySize + member.CredentialLen
	if len(b) < head {
		return nil, nil, fmt.Errorf("%w: grant", ErrProtocol)
	}
	m := &member.Membership{Key: ed25519.PublicKey(append([]byte(nil), b[:ed25519.PublicKeySize]...))}
	if m.Mesh() != mesh {
		return nil, nil, fmt.Errorf("the other node %w", member.ErrOtherMesh)
	}
	var err error
	if m.Credential, err = member.ParseCredential(b[ed25519.PublicKeySize:head], m.Key); err != nil {
		return nil, nil, err
	}
	if err = m.Credential.Check(node, now); err != nil {
		return nil, nil, err
	}
	list, err := splitList(b[head:])
	if err != nil {
		return nil, nil, err
	}
	var adverts []*member.Advert
	for _, raw := range list {
		a, err := member.ParseAdvert(raw, m.Key)
		if err != nil {
			return nil, nil, err
		}
		adverts = append(adverts, a)
	}
	return m, adverts, nil
}

func encodeDenial(err error) []byte {
	code := byte(8)
	for c, e := range denials {
		if errors.Is(err, e) {
			code = c
		}
	}
	return append([]byte{code}, clip(err.Error())...)
}

// DeniedError is another node's answer that it makes nobody a member; Is finds
// the reason, one of those in package member.
type DeniedError struct {
	Reason  error
	Message string
}

func (e *DeniedError) Error() string {
	if e.Message == "" {
		return "the other node refuses: " + e.Reason.Error()
	}
	return "the other node refuses: " + e.Message
}

// Unwrap is the reason.
func (e *DeniedError) Unwrap() error { return e.Reason }

func parseDenial(b []byte) error {
	if len(b) < 1 || denials[b[0]] == nil {
		return fmt.Errorf("%w: denial", ErrProtocol)
	}
	return &DeniedError{Reason: denials[b[0]], Message: clip(string(b[1:]))}
}

func cutName(s string) string { return clip(s[:min(len(s), member.MaxName)]) }
