package sign

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	keyWord = "omx-key-1"
	pubWord = "omx-pub-1"
	sigWord = "omx-sig-1"

	// domain keeps a signature from meaning anything but a policy.
	domain = "omx policy signature 1\n"
)

// Bounds on the text files.
const (
	maxText = 64 << 10 // bytes
	maxKeys = 64       // of a trust file, and signatures of one module
	maxName = 64       // bytes of a signer's name
)

// idBytes is enough to tell keys apart; whether one is trusted is decided by all
// of it.
const idBytes = 8

// Key signs.
type Key struct{ private ed25519.PrivateKey }

// Public is what verifies.
type Public struct{ key ed25519.PublicKey }

// NewKey makes a key from 32 random bytes.
func NewKey(random io.Reader) (Key, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return Key{}, fmt.Errorf("make key: %w", err)
	}
	return Key{ed25519.NewKeyFromSeed(seed)}, nil
}

// Marshal is the key's file.
func (k Key) Marshal() []byte {
	return fmt.Appendf(nil, "# keep this file secret; public key: %s\n%s %s\n", k.Public(), keyWord, base64.StdEncoding.EncodeToString(k.private.Seed()))
}

// ParseKey reads a key's file.
func ParseKey(text []byte) (Key, error) {
	lines, err := lines(text)
	if err != nil {
		return Key{}, fmt.Errorf("read key: %w", err)
	}
	if len(lines) != 1 || len(lines[0].words) != 2 || lines[0].words[0] != keyWord {
		return Key{}, fmt.Errorf("read key: want one line %s BASE64; make a key with: omx policy keygen", keyWord)
	}
	seed, err := decode(lines[0].words[1], ed25519.SeedSize)
	if err != nil {
		return Key{}, fmt.Errorf("read key: line %d: %w", lines[0].number, err)
	}
	return Key{ed25519.NewKeyFromSeed(seed)}, nil
}

// Public is the key's public half.
func (k Key) Public() Public { return Public{k.private.Public().(ed25519.PublicKey)} }

func (p Public) String() string { return pubWord + " " + base64.StdEncoding.EncodeToString(p.key) }

// ID names the key, in 16 hexadecimal digits.
func (p Public) ID() string {
	sum := sha256.Sum256(p.key)
	return hex.EncodeToString(sum[:idBytes])
}

// line is one that says something.
type line struct {
	number int
	words  []string
}

// lines splits a text file; empty ones and comments are left out.
func lines(text []byte) (list []line, err error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%d bytes, at most %d are possible", len(text), maxText)
	}
	n := 0
	for l := range strings.Lines(string(text)) {
		n++
		if l = strings.TrimSpace(l); l == "" || l[0] == '#' {
			continue
		}
		list = append(list, line{n, strings.Fields(l)})
	}
	return list, nil
}

func decode(text string, size int) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != size {
		return nil, errors.New("it is cut off or mistyped: copy it again")
	}
	return b, nil
}
