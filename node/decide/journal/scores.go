package journal

import (
	"encoding/binary"

	"omx/policies/abi"
)

// Scores are written as their distance from the lowest, in as few bytes each as
// hold the largest distance; all bits set stand for abi.Never:
//
//	u8 bytes each (0 to 4) | u32 lowest | distances

const scoresHead = 5

// putScores writes scores to the end of b; ok is false if there is no room.
func putScores(b []byte, scores []uint32) (_ []byte, ok bool) {
	low, high, never := abi.Never, uint32(0), false
	for _, s := range scores {
		if s == abi.Never {
			never = true
			continue
		}
		low, high = min(low, s), max(high, s)
	}
	width := 0 // all are the lowest
	if low != abi.Never && (never || high != low) {
		// The largest value of a width means Never.
		for width = 1; width < 4 && high-low >= 1<<(8*width)-1; width++ {
		}
	}
	need := scoresHead + width*len(scores)
	if cap(b)-len(b) < need {
		return b, false
	}
	b = append(b, byte(width))
	b = binary.LittleEndian.AppendUint32(b, low)
	at := len(b)
	b = b[:at+width*len(scores)]
	to := b[at:]
	switch width {
	case 1:
		for i, s := range scores {
			to[i] = byte(distance(s, low))
		}
	case 2:
		for i, s := range scores {
			binary.LittleEndian.PutUint16(to[2*i:], uint16(distance(s, low)))
		}
	case 3:
		for i, s := range scores {
			d := distance(s, low)
			binary.LittleEndian.PutUint16(to[3*i:], uint16(d))
			to[3*i+2] = byte(d >> 16)
		}
	case 4:
		for i, s := range scores {
			binary.LittleEndian.PutUint32(to[4*i:], distance(s, low))
		}
	}
	return b, true
}

func distance(s, low uint32) uint32 {
	if s == abi.Never {
		return abi.Never // cut to the width, all bits remain set
	}
	return s - low
}

// readScores fills scores from b and returns what follows; ok is false if b is
// too short.
func readScores(b []byte, scores []uint32) (rest []byte, ok bool) {
	if len(b) < scoresHead {
		return b, false
	}
	width, low := int(b[0]), binary.LittleEndian.Uint32(b[1:])
	b = b[scoresHead:]
	if width > 4 || len(b) < width*len(scores) || len(scores) == 0 {
		return b, false
	}
	from := b[:width*len(scores)]
	never := uint32(1)<<(8*width) - 1
	switch width {
	case 0:
		for i := range scores {
			scores[i] = low
		}
	case 1:
		for i := range scores {
			scores[i] = restore(uint32(from[i]), low, never)
		}
	case 2:
		for i := range scores {
			scores[i] = restore(uint32(binary.LittleEndian.Uint16(from[2*i:])), low, never)
		}
	case 3:
		last := len(scores) - 1
		for i := range last { // a byte too many is read, and cut off
			scores[i] = restore(binary.LittleEndian.Uint32(from[3*i:])&never, low, never)
		}
		d := from[3*last:]
		scores[last] = restore(uint32(d[0])|uint32(d[1])<<8|uint32(d[2])<<16, low, never)
	case 4:
		for i := range scores {
			scores[i] = restore(binary.LittleEndian.Uint32(from[4*i:]), low, abi.Never)
		}
	}
	return b[len(from):], true
}

func restore(d, low, never uint32) uint32 {
	if d == never {
		return abi.Never
	}
	return low + d
}
