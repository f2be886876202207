package abi

import "encoding/binary"

// The extension is a sequence of items: u16 tag, u16 length, the bytes, zeros up
// to the next multiple of 4.

const itemHead = 4

// ItemSize is how much room an item of n bytes takes.
func ItemSize(n int) int { return (itemHead + n + 3) &^ 3 }

// PutItem writes an item to the start of b, which must hold ItemSize of it, and
// returns what is left of b. Longer values than 65535 bytes are cut off.
func PutItem(b []byte, t Tag, value string) []byte {
	value = value[:min(len(value), 1<<16-1)]
	size := ItemSize(len(value))
	binary.LittleEndian.PutUint16(b, uint16(t))
	binary.LittleEndian.PutUint16(b[2:], uint16(len(value)))
	clear(b[itemHead+copy(b[itemHead:size], value) : size])
	return b[size:]
}

// Items calls f for each item of an extension until it is at its end or not well
// formed.
func Items(b []byte, f func(t Tag, value []byte)) {
	for len(b) >= itemHead {
		n := int(binary.LittleEndian.Uint16(b[2:]))
		if ItemSize(n) > len(b) {
			return
		}
		f(Tag(binary.LittleEndian.Uint16(b)), b[itemHead:itemHead+n])
		b = b[ItemSize(n):]
	}
}
