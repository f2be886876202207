package journal

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// A view is written as what differs from another: for every chunk of eight words
// in which something does, how many chunks before it are the same (a byte), a
// mask of the words that are not (a byte), and those words. Bytes n, 0 pass over
// n chunks; 0, 0 end it.

// putDiff writes the difference between ref and body, which are of one length, a
// multiple of 8, to the end of b, and makes ref the same as body. ok is false if
// there is no room; ref is then neither.
func putDiff(b, ref, body []byte) (_ []byte, ok bool) {
	ref = ref[:len(body)]
	skip := 0
	for off := 0; off < len(body); {
		if rest := body[off:]; len(rest) >= span && bytes.Equal(rest[:span], ref[off:off+span]) {
			off += span
			skip += span / chunk
			continue
		}
		end := min(off+span, len(body))
		for ; off < end; off += chunk {
			var mask byte
			if end-off >= chunk {
				mask = changed((*[chunk]byte)(ref[off:]), (*[chunk]byte)(body[off:]))
			} else {
				mask = changedTail(ref[off:end], body[off:end])
			}
			if mask == 0 {
				skip++
				continue
			}
			if cap(b)-len(b) < 2*(skip/maxSkip)+2+chunk {
				return b, false
			}
			for ; skip > maxSkip; skip -= maxSkip {
				b = append(b, maxSkip, 0)
			}
			b = append(b, byte(skip), mask)
			skip = 0
			for at := off; mask != 0; mask >>= 1 {
				if mask&1 != 0 {
					b = append(b, body[at:at+8]...)
					copy(ref[at:at+8], body[at:at+8])
				}
				at += 8
			}
		}
	}
	if cap(b)-len(b) < 2 {
		return b, false
	}
	return append(b, 0, 0), true
}

// changed is a mask of the words of a chunk that differ.
func changed(a, b *[chunk]byte) (mask byte) {
	if *a == *b {
		return 0
	}
	for i := range chunkWords {
		if binary.LittleEndian.Uint64(a[8*i:]) != binary.LittleEndian.Uint64(b[8*i:]) {
			mask |= 1 << i
		}
	}
	return mask
}

func changedTail(a, b []byte) (mask byte) {
	for i := 0; i < len(a); i += 8 {
		if binary.LittleEndian.Uint64(a[i:]) != binary.LittleEndian.Uint64(b[i:]) {
			mask |= 1 << (i / 8)
		}
	}
	return mask
}

// Words of a view's header by which its parts lie: after a change of one of
// these the view has to be checked anew.
const (
	shapeFirst = 0x0f // of the first chunk
	shapeLast  = 0xc0 // of the fourth
)

// applyDiff undoes putDiff: it changes body in place. It returns what follows in
// b, and whether the header says something else of the view's parts; ok is false
// if b does not fit body.
func applyDiff(b, body []byte) (rest []byte, reshaped, ok bool) {
	off := 0
	for {
		if len(b) < 2 {
			return b, reshaped, false
		}
		skip, mask := int(b[0]), b[1]
		b = b[2:]
		off += skip * chunk
		if mask == 0 {
			if skip == 0 {
				return b, reshaped, true
			}
			continue
		}
		switch off {
		case 0:
			reshaped = reshaped || mask&shapeFirst != 0
		case 3 * chunk:
			reshaped = reshaped || mask&shapeLast != 0
		}
		if len(body)-off < chunk || len(b) < chunk {
			if b, ok = applySlow(b, body, off, mask); !ok {
				return b, reshaped, false
			}
			off += chunk
			continue
		}
		// All eight words fit both: no check for each.
		to := (*[chunk]byte)(body[off:])
		from := (*[chunk]byte)(b)
		n := 0
		for ; mask != 0; mask &= mask - 1 {
			i := 8 * bits.TrailingZeros8(mask)
			binary.LittleEndian.PutUint64(to[i&56:], binary.LittleEndian.Uint64(from[n&56:]))
			n += 8
		}
		b = b[n:]
		off += chunk
	}
}

// applySlow is for the ends of body and b.
func applySlow(b, body []byte, off int, mask byte) ([]byte, bool) {
	for ; mask != 0; mask >>= 1 {
		if mask&1 != 0 {
			if off > len(body)-8 || len(b) < 8 {
				return b, false
			}
			copy(body[off:off+8], b)
			b = b[8:]
		}
		off += 8
	}
	return b, true
}
