package catalog

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
)

// MaxPrefixes is how many blocks of prompts a placement may tell of: of 4 KiB of text
// in each of 16 slots.
const MaxPrefixes = 256

// Prefixes is what a node's slots remember of prompts, so that whoever has one that
// begins alike can send it there: the hashes of their blocks, each of all the text up
// to the block's end, in order. They are made with the tenant's key, so nobody learns
// from them what another tenant asks.
type Prefixes []uint32

// NewPrefixes keeps at most MaxPrefixes of the hashes, the first ones. It takes the
// slice.
func NewPrefixes(hashes []uint32) Prefixes {
	hashes = hashes[:min(len(hashes), MaxPrefixes)]
	slices.Sort(hashes)
	return slices.Compact(hashes)
}

// Match is how many of a prompt's blocks, from its beginning, are there.
func (p Prefixes) Match(blocks []uint32) (n int) {
	if len(p) == 0 {
		return 0
	}
	for n < len(blocks) {
		if _, found := slices.BinarySearch(p, blocks[n]); !found {
			break
		}
		n++
	}
	return n
}

// MarshalText writes four bytes for each, in base 64.
func (p Prefixes) MarshalText() ([]byte, error) {
	raw := make([]byte, 0, 4*len(p))
	for _, h := range p {
		raw = binary.LittleEndian.AppendUint32(raw, h)
	}
	return base64.RawStdEncoding.AppendEncode(nil, raw), nil
}

// UnmarshalText is of at most MaxPrefixes, in order.
func (p *Prefixes) UnmarshalText(text []byte) error {
	if len(text) > base64.RawStdEncoding.EncodedLen(4*MaxPrefixes) {
		return fmt.Errorf("prefixes: %d bytes are too many", len(text))
	}
	raw, err := base64.RawStdEncoding.AppendDecode(nil, text)
	if err != nil || len(raw)%4 != 0 {
		return fmt.Errorf("prefixes: they cannot be read")
	}
	*p = make(Prefixes, 0, len(raw)/4)
	for i := 0; i < len(raw); i += 4 {
		h := binary.LittleEndian.Uint32(raw[i:])
		if n := len(*p); n > 0 && h <= (*p)[n-1] {
			return fmt.Errorf("prefixes: they are out of order")
		}
		*p = append(*p, h)
	}
	return nil
}
