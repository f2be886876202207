package mesh

import (
	"encoding/binary"
	"math"
)

// Parts of a packed payload: numbers of variable length (uvarint), floats of four
// bytes, and texts with their length in front.

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendFloat(b []byte, v float32) []byte {
	return binary.BigEndian.AppendUint32(b, math.Float32bits(v))
}

// unpacker takes a packed payload apart. After the first part that is not there or
// over its limit, all others are zero.
type unpacker struct {
	b   []byte
	bad bool
}

// bytes are the next n, part of the payload.
func (u *unpacker) bytes(n int) []byte {
	if u.bad || n > len(u.b) {
		u.bad, u.b = true, nil
		return nil
	}
	b := u.b[:n:n]
	u.b = u.b[n:]
	return b
}

func (u *unpacker) byte() byte {
	if b := u.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// number is of variable length, and at most so large.
func (u *unpacker) number(most uint64) uint64 {
	v, n := binary.Uvarint(u.b)
	if u.bad || n <= 0 || v > most {
		u.bad, u.b = true, nil
		return 0
	}
	u.b = u.b[n:]
	return v
}

func (u *unpacker) uint32() uint32 { return uint32(u.number(math.MaxUint32)) }

func (u *unpacker) float() float32 {
	if b := u.bytes(4); b != nil {
		return math.Float32frombits(binary.BigEndian.Uint32(b))
	}
	return 0
}

// text is at most so long.
func (u *unpacker) text(most int) string {
	return string(u.bytes(int(u.number(uint64(most)))))
}
