package member

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"slices"

	ma "github.com/multiformats/go-multiaddr"
)

// Advert is what a member says of where it is reached. It is signed by the node
// itself, so that others can hand it on and nobody can send a third one astray,
// and brings the node's credential, so that nobody can fill a table with nodes
// that are no members.
type Advert struct {
	Credential *Credential
	Seq        uint64 // microseconds since 1970; the highest one counts
	Addrs      []ma.Multiaddr
	raw        []byte
}

const (
	advertLabel = "omx-advert-1\x00"
	minAdvert   = CredentialLen + 8 + 1 + ed25519.SignatureSize
	// MaxAdvert is the longest one.
	MaxAdvert = minAdvert + MaxAddrs*(1+maxAddrBytes)
)

// NewAdvert makes the node's own; addresses beyond MaxAddrs are left out.
func NewAdvert(key ed25519.PrivateKey, c *Credential, seq uint64, addrs []ma.Multiaddr) *Advert {
	a := &Advert{Credential: c, Seq: seq}
	a.raw = binary.BigEndian.AppendUint64(c.Bytes(), seq)
	a.raw, a.Addrs = appendAddrs(a.raw, addrs)
	a.raw = append(a.raw, signed(key, advertLabel, a.raw)...)
	return a
}

// Bytes is the advert as it travels; not to be changed.
func (a *Advert) Bytes() []byte { return a.raw }

// Peek is of whom and how new an advert is, before it is checked.
func Peek(b []byte) (node ID, seq uint64, err error) {
	if len(b) < minAdvert || len(b) > MaxAdvert {
		return ID{}, 0, fmt.Errorf("advert %w", ErrForm)
	}
	return ID(b[1+16:]), binary.BigEndian.Uint64(b[CredentialLen:]), nil
}

// ParseAdvert reads an advert and checks both signatures. Its credential may have
// expired: it only says that the node was a member.
func ParseAdvert(b []byte, pub ed25519.PublicKey) (*Advert, error) {
	_, seq, err := Peek(b)
	if err != nil {
		return nil, err
	}
	b = bytes.Clone(b)
	a := &Advert{Seq: seq, raw: b}
	if a.Credential, err = ParseCredential(b[:CredentialLen], pub); err != nil {
		return nil, fmt.Errorf("advert: %w", err)
	}
	addrs, left, err := parseAddrs(b[CredentialLen+8:])
	if err != nil || len(left) != ed25519.SignatureSize {
		return nil, fmt.Errorf("advert %w", ErrForm)
	}
	if a.Addrs = addrs; !verified(a.Credential.Node[:], advertLabel, b) {
		return nil, fmt.Errorf("advert is not signed by its node: %w", ErrForged)
	}
	return a, nil
}

// News says whether an advert with that number takes the place of an earlier one:
// it must be later, and not from the future.
func News(seq, known uint64, nowMicros int64) bool {
	return seq > known && seq <= uint64(nowMicros+clockSkew.Microseconds())
}

// appendAddrs writes as many addresses as are allowed, and returns these.
func appendAddrs(b []byte, addrs []ma.Multiaddr) ([]byte, []ma.Multiaddr) {
	addrs = slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool { return len(a.Bytes()) == 0 || len(a.Bytes()) > maxAddrBytes })
	addrs = addrs[:min(len(addrs), MaxAddrs)]
	b = append(b, byte(len(addrs)))
	for _, a := range addrs {
		b = append(b, byte(len(a.Bytes())))
		b = append(b, a.Bytes()...)
	}
	return b, addrs
}

func parseAddrs(b []byte) (addrs []ma.Multiaddr, left []byte, err error) {
	if len(b) < 1 || b[0] > MaxAddrs {
		return nil, nil, ErrForm
	}
	n := int(b[0])
	b = b[1:]
	for range n {
		if len(b) < 1 || len(b) < 1+int(b[0]) {
			return nil, nil, ErrForm
		}
		a, err := ma.NewMultiaddrBytes(b[1 : 1+int(b[0])])
		if err != nil {
			return nil, nil, ErrForm
		}
		addrs = append(addrs, a)
		b = b[1+int(b[0]):]
	}
	return addrs, b, nil
}
