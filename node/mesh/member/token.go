package member

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
)

// Token is what an operator carries to a machine that is to join. Whoever has it
// can join while it is good, so it goes by hand or a safe channel. What is left
// on the inviting side cannot be turned back into it, though it is as good.
type Token struct {
	Mesh   MeshID
	Node   ID // who invites
	Secret [secretLen]byte
	Addrs  []ma.Multiaddr
}

const (
	secretLen   = 12 // 96 bits, guessed a few times a minute at most
	tokenPrefix = "omx1"
	sumLen      = 4
)

var errToken = errors.New("is no invitation, or has a typing mistake; copy it whole, from omx1 to its end")

// String is the token's text.
func (t *Token) String() string {
	b := append([]byte{1}, t.Mesh[:]...)
	b = append(b, t.Node[:]...)
	b = append(b, t.Secret[:]...)
	b, _ = appendAddrs(b, t.Addrs)
	return tokenPrefix + crockford.EncodeToString(append(b, sum(b)...))
}

// ParseToken reads a token as people write it: capitals, spaces and dashes do not
// matter, nor do O for 0 and I or L for 1.
func ParseToken(s string) (*Token, error) {
	if len(s) > maxTokenText {
		return nil, fmt.Errorf("token %w", errToken)
	}
	s = strings.Map(func(c rune) rune {
		switch c {
		case ' ', '-', '\t', '\r', '\n':
			return -1
		}
		return c
	}, strings.ToLower(s))
	text, ok := strings.CutPrefix(s, tokenPrefix)
	if !ok {
		return nil, fmt.Errorf("token %w", errToken)
	}
	b, err := crockford.DecodeString(strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(text))
	if err != nil || len(b) < 1+16+32+secretLen+1+sumLen {
		return nil, fmt.Errorf("token %w", errToken)
	}
	b, check := b[:len(b)-sumLen], b[len(b)-sumLen:]
	if !bytes.Equal(check, sum(b)) {
		return nil, fmt.Errorf("token %w", errToken)
	}
	if b[0] != 1 {
		return nil, fmt.Errorf("token is of version %d, this program knows 1; update it", b[0])
	}
	r := reader{b: b[1:]}
	t := &Token{Mesh: MeshID(r.next(16)), Node: ID(r.next(32)), Secret: [secretLen]byte(r.next(secretLen))}
	addrs, left, err := parseAddrs(r.b)
	if err != nil || len(left) != 0 {
		return nil, fmt.Errorf("token %w", errToken)
	}
	t.Addrs = addrs
	return t, nil
}

func sum(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:sumLen]
}

// InviteID names an invitation without telling its secret.
type InviteID [8]byte

// ProofLen is the length of a proof.
const ProofLen = sha256.Size

// proofKey is what both sides can compute proofs with.
func (t *Token) proofKey() [sha256.Size]byte {
	return sha256.Sum256(append([]byte("omx-join-key-1\x00"), t.Secret[:]...))
}

// Prove shows that the token is known, for one connection only: channel is secret
// to both its ends and different for every connection, so a proof that is
// recorded, or handed on to somebody else, proves nothing.
func (t *Token) Prove(joiner ID, channel []byte) (InviteID, [ProofLen]byte) {
	key := t.proofKey()
	return inviteID(key), prove(key, joiner, t.Node, channel)
}

func inviteID(key [sha256.Size]byte) InviteID {
	h := sha256.Sum256(append([]byte("omx-invite-1\x00"), key[:]...))
	return InviteID(h[:8])
}

func prove(key [sha256.Size]byte, joiner, inviter ID, channel []byte) [ProofLen]byte {
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte("omx-join-1\x00"))
	h.Write(joiner[:])
	h.Write(inviter[:])
	h.Write(channel)
	return [ProofLen]byte(h.Sum(nil))
}
