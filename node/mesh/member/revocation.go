package member

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"time"
)

// Revocation says that a node's credentials issued up to At are void. Each is
// signed by itself, so that lists of two holders of the key add up, whoever hands
// them on and in what order. After Until it is forgotten: by then no credential
// that it voids is valid.
type Revocation struct {
	Mesh      MeshID
	Node      ID
	At, Until time.Time
	raw       [RevocationLen]byte
}

// RevocationLen is the length of every revocation.
const (
	RevocationLen   = 1 + 16 + 32 + 8 + 8 + ed25519.SignatureSize
	revocationLabel = "omx-revocation-1\x00"
)

func (r Revocation) sign(key ed25519.PrivateKey) *Revocation {
	r.At, r.Until = time.UnixMilli(r.At.UnixMilli()), time.UnixMilli(r.Until.UnixMilli())
	b := append(r.raw[:0], 1)
	b = append(b, r.Mesh[:]...)
	b = append(b, r.Node[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Until.UnixMilli()))
	copy(r.raw[len(b):], signed(key, revocationLabel, b))
	return &r
}

// Bytes is the revocation as it travels.
func (r *Revocation) Bytes() []byte { return bytes.Clone(r.raw[:]) }

// ParseRevocation reads a revocation and checks that the mesh's key signed it.
func ParseRevocation(b []byte, pub ed25519.PublicKey) (*Revocation, error) {
	if len(b) != RevocationLen || b[0] != 1 {
		return nil, fmt.Errorf("revocation %w", ErrForm)
	}
	v := &Revocation{raw: [RevocationLen]byte(b)}
	r := reader{b: b[1:]}
	v.Mesh, v.Node = MeshID(r.next(16)), ID(r.next(32))
	v.At, v.Until = r.moment(), r.moment()
	switch {
	case v.Mesh != MeshOf(pub):
		return nil, fmt.Errorf("revocation %w", ErrOtherMesh)
	case !verified(pub, revocationLabel, b):
		return nil, fmt.Errorf("revocation %w", ErrForged)
	}
	return v, nil
}

// Revoked is a set of revocations, one a node, the latest. It is not safe for
// concurrent use.
type Revoked struct{ by map[ID]*Revocation }

// Add takes a revocation in; false if it says nothing new. A full set keeps what
// it has: the holder of the key refuses to revoke before it comes to that.
func (s *Revoked) Add(r *Revocation, now time.Time) bool {
	if old := s.by[r.Node]; old != nil && !r.At.After(old.At) || !now.Before(r.Until) {
		return false
	}
	if s.by == nil {
		s.by = map[ID]*Revocation{}
	}
	if s.by[r.Node] == nil && len(s.by) >= maxRevocations {
		s.Forget(now)
		if len(s.by) >= maxRevocations {
			return false
		}
	}
	s.by[r.Node] = r
	return true
}

// Covers says whether a credential is void.
func (s *Revoked) Covers(c *Credential) bool {
	r := s.by[c.Node]
	return r != nil && !c.Issued.After(r.At)
}

// Has says whether exactly these bytes are known, which spares checking them.
func (s *Revoked) Has(raw []byte) bool {
	if len(raw) != RevocationLen {
		return false
	}
	r := s.by[ID(raw[1+16:])]
	return r != nil && bytes.Equal(r.raw[:], raw)
}

// Of is a node's revocation, nil if there is none.
func (s *Revoked) Of(node ID) *Revocation { return s.by[node] }

// All lists what is known.
func (s *Revoked) All() []*Revocation {
	list := make([]*Revocation, 0, len(s.by))
	for _, r := range s.by {
		list = append(list, r)
	}
	return list
}

// Forget drops what voids nothing any more.
func (s *Revoked) Forget(now time.Time) {
	for id, r := range s.by {
		if !now.Before(r.Until) {
			delete(s.by, id)
		}
	}
}
