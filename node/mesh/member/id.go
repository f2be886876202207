package member

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"omx/node/catalog"
)

// ID is a node's Ed25519 public key, which is its identity.
type ID [ed25519.PublicKeySize]byte

// MeshID names a mesh: the first 16 bytes of SHA-256 of its public key.
type MeshID [16]byte

var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// String is 26 letters and digits.
func (m MeshID) String() string { return crockford.EncodeToString(m[:]) }

// Short is enough to tell meshes apart in a listing.
func (m MeshID) Short() string { return m.String()[:8] }

// MeshOf is the name of the mesh with that public key.
func MeshOf(pub ed25519.PublicKey) MeshID {
	sum := sha256.Sum256(append([]byte("omx-mesh-1\x00"), pub...))
	return MeshID(sum[:16])
}

// FromPeer is the identity behind a libp2p name; only Ed25519 keys are members.
func FromPeer(p peer.ID) (ID, error) {
	pub, err := p.ExtractPublicKey()
	if err != nil {
		return ID{}, fmt.Errorf("node identity: %w", err)
	}
	raw, err := pub.Raw()
	if err != nil || pub.Type() != crypto.Ed25519 || len(raw) != ed25519.PublicKeySize {
		return ID{}, errors.New("node identity is not an Ed25519 key")
	}
	return ID(raw), nil
}

// MarshalText is the key in hexadecimal.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads it.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(id)) {
		return fmt.Errorf("node key of %d digits", len(b))
	}
	_, err := hex.Decode(id[:], b)
	return err
}

// Peer is the libp2p name.
func (id ID) Peer() (peer.ID, error) {
	pub, err := crypto.UnmarshalEd25519PublicKey(id[:])
	if err != nil {
		return "", fmt.Errorf("node identity: %w", err)
	}
	return peer.IDFromPublicKey(pub)
}

// Node is the name that the catalog uses.
func (id ID) Node() (catalog.NodeID, error) {
	p, err := id.Peer()
	if err != nil {
		return catalog.NodeID{}, err
	}
	return catalog.ParseNodeID(p.String())
}

// ParseNode is the identity behind a name of the catalog.
func ParseNode(n catalog.NodeID) (ID, error) {
	p, err := peer.Decode(n.String())
	if err != nil {
		return ID{}, fmt.Errorf("node identity: %w", err)
	}
	return FromPeer(p)
}
