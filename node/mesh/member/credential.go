package member

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"time"
)

// Role is what a member does.
type Role uint8

const (
	Serve   Role = iota // answers requests and passes them on
	Gateway             // passes requests on and answers none
	Observe             // sees what there is, asks nothing and answers nothing
)

var roleNames = [...]string{"serve", "gateway", "observe"}

func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	for r, name := range roleNames {
		if s == name {
			return Role(r), nil
		}
	}
	return 0, fmt.Errorf("role %.40q is not known; choose serve, gateway or observe", s)
}

// Credential says that a node belongs to a mesh. It is valid where its signature
// is; whoever has the bytes can check it.
type Credential struct {
	Mesh    MeshID
	Node    ID
	Role    Role
	Holder  bool // has the mesh's key, so can renew credentials
	Issued  time.Time
	Expires time.Time
	raw     [CredentialLen]byte
}

// CredentialLen is the length of every credential.
const (
	CredentialLen   = 1 + 16 + 32 + 1 + 1 + 8 + 8 + ed25519.SignatureSize
	credentialLabel = "omx-credential-1\x00"
	flagHolder      = 1
)

// sign makes the credential's bytes; its moments are cut to milliseconds.
func (c Credential) sign(key ed25519.PrivateKey) *Credential {
	c.Issued, c.Expires = time.UnixMilli(c.Issued.UnixMilli()), time.UnixMilli(c.Expires.UnixMilli())
	b := append(c.raw[:0], 1)
	b = append(b, c.Mesh[:]...)
	b = append(b, c.Node[:]...)
	b = append(b, byte(c.Role), 0)
	if c.Holder {
		b[len(b)-1] = flagHolder
	}
	b = binary.BigEndian.AppendUint64(b, uint64(c.Issued.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Expires.UnixMilli()))
	copy(c.raw[len(b):], signed(key, credentialLabel, b))
	return &c
}

// Bytes is the credential as it travels.
func (c *Credential) Bytes() []byte { return bytes.Clone(c.raw[:]) }

// ParseCredential reads a credential and checks that the mesh's key signed it.
// Whether it is valid now is asked of Check.
func ParseCredential(b []byte, pub ed25519.PublicKey) (*Credential, error) {
	if len(b) != CredentialLen || b[0] != 1 {
		return nil, fmt.Errorf("credential %w", ErrForm)
	}
	c := &Credential{raw: [CredentialLen]byte(b)}
	r := reader{b: b[1:]}
	c.Mesh, c.Node = MeshID(r.next(16)), ID(r.next(32))
	role, flags := r.next(1)[0], r.next(1)[0]
	c.Role, c.Holder = Role(role), flags&flagHolder != 0
	c.Issued, c.Expires = r.moment(), r.moment()
	switch {
	case c.Mesh != MeshOf(pub):
		return nil, fmt.Errorf("credential %w", ErrOtherMesh)
	case !verified(pub, credentialLabel, b):
		return nil, fmt.Errorf("credential %w", ErrForged)
	case int(role) >= len(roleNames) || flags&^flagHolder != 0 || !c.Expires.After(c.Issued):
		return nil, fmt.Errorf("credential %w", ErrForm)
	}
	return c, nil
}

// Check says whether the credential lets that node in now.
func (c *Credential) Check(node ID, now time.Time) error {
	switch {
	case c.Node != node:
		return fmt.Errorf("credential %w", ErrOtherNode)
	case now.Before(c.Issued.Add(-clockSkew)):
		return fmt.Errorf("credential %w", ErrNotYet)
	case !now.Before(c.Expires):
		return fmt.Errorf("credential %w", ErrExpired)
	}
	return nil
}

// Due says whether half of the credential's time is over.
func (c *Credential) Due(now time.Time) bool {
	return !now.Before(c.Issued.Add(c.Expires.Sub(c.Issued) / 2))
}

// reader takes a format of known length apart.
type reader struct{ b []byte }

func (r *reader) next(n int) []byte {
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) moment() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(r.next(8))))
}

func signed(key ed25519.PrivateKey, label string, b []byte) []byte {
	return ed25519.Sign(key, append([]byte(label), b...))
}

// verified checks the signature at the end of b.
func verified(pub ed25519.PublicKey, label string, b []byte) bool {
	n := len(b) - ed25519.SignatureSize
	return n >= 0 && len(pub) == ed25519.PublicKeySize && ed25519.Verify(pub, append([]byte(label), b[:n]...), b[n:])
}
