package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Digest is the SHA-256 of a file. The zero value is "not known". Made only by
// ParseDigest, or by hashing what is stored.
type Digest struct{ sum [sha256.Size]byte }

const digestPrefix = "sha256:"

// ParseDigest accepts "sha256:" and 64 hexadecimal digits, or the digits alone, in
// either case. All zeros is refused: it would read as "not known". The error is
// ErrBadName.
func ParseDigest(s string) (d Digest, err error) {
	digits := strings.TrimPrefix(s, digestPrefix)
	if len(digits) != hex.EncodedLen(sha256.Size) {
		return d, fmt.Errorf("digest %.80q %w: write sha256: and 64 hexadecimal digits", s, ErrBadName)
	}
	if _, err := hex.Decode(d.sum[:], []byte(digits)); err != nil || d.IsZero() {
		return Digest{}, fmt.Errorf("digest %.80q %w: write sha256: and 64 hexadecimal digits", s, ErrBadName)
	}
	return d, nil
}

// Hex is the digest in 64 lower-case digits.
func (d Digest) Hex() string { return hex.EncodeToString(d.sum[:]) }

// String is "sha256:" and Hex.
func (d Digest) String() string { return digestPrefix + d.Hex() }

// IsZero tells whether the digest is not known.
func (d Digest) IsZero() bool { return d == Digest{} }

// Compare orders digests by their bytes.
func (d Digest) Compare(o Digest) int { return bytes.Compare(d.sum[:], o.sum[:]) }

// MarshalText makes a digest a JSON string.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is ParseDigest.
func (d *Digest) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDigest(string(b))
	return err
}
