package gguf

import (
	"encoding/binary"
	"math"
	"strings"
	"unicode"
)

// Value types of the specification.
const (
	typeU8 uint32 = iota
	typeI8
	typeU16
	typeI16
	typeU32
	typeI32
	typeF32
	typeBool
	typeString
	typeArray
	typeU64
	typeI64
	typeF64
)

// widths are the sizes of the fixed types, by number.
var widths = [...]uint64{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}

// value is where the value of a key begins.
type value struct {
	off  int64
	kind uint32
}

// meta finds values by key. They are read when all keys are known: which ones
// matter depends on the architecture, which texts on the numbers of the tokens.
type meta struct {
	d    *decoder
	at   map[string]value
	arch string
}

func (m *meta) index(pairs int) {
	d := m.d
	for ; pairs > 0 && d.err == nil; pairs-- {
		key := d.text(d.count("bytes of a key", "", maxKey))
		v := value{kind: d.u32(), off: d.off}
		if _, twice := m.at[key]; twice && d.err == nil {
			d.fail("it has the key %s twice", plain(key))
		}
		m.skip(v.kind, key)
		if d.err == nil {
			m.at[key] = v
		}
	}
}

// skip passes over a value of any type; arrays do not nest.
func (m *meta) skip(kind uint32, key string) {
	d := m.d
	switch kind {
	case typeString:
		d.skip(uint64(d.count("bytes", key, maxHeader)))
	case typeArray:
		item := d.u32()
		n := d.count("items", key, maxHeader)
		if item != typeString {
			d.skip(uint64(n) * d.width(item))
			return
		}
		if d.texts += n; d.texts > maxTexts {
			d.fail("it claims %d texts, at most %d are possible", d.texts, maxTexts)
		}
		d.skipTexts(n)
	default:
		d.skip(d.width(kind))
	}
}

func (d *decoder) width(kind uint32) uint64 {
	if kind < uint32(len(widths)) && widths[kind] > 0 {
		return widths[kind]
	}
	d.fail("it has a value of unknown type %d", kind)
	return 0
}

// find goes to the value of a key. A key that begins with a dot is the
// architecture's own.
func (m *meta) find(key string) (kind uint32, full string, ok bool) {
	if key[0] == '.' {
		key = m.arch + key
	}
	v, ok := m.at[key]
	if !ok || m.d.err != nil {
		return 0, key, false
	}
	m.d.seek(v.off)
	return v.kind, key, true
}

// integer reads a number of any integer type.
func (d *decoder) integer(kind uint32, key string) int64 {
	switch kind {
	case typeU8, typeI8, typeU16, typeI16, typeU32, typeI32, typeU64, typeI64, typeBool:
	default:
		d.fail("its %s is not a whole number", plain(key))
		return 0
	}
	clear(d.buf[:])
	d.read(d.buf[:widths[kind]])
	n := binary.LittleEndian.Uint64(d.buf[:])
	switch kind {
	case typeI8:
		return int64(int8(n))
	case typeI16:
		return int64(int16(n))
	case typeI32:
		return int64(int32(n))
	case typeU64:
		return int64(min(n, math.MaxInt64))
	}
	return int64(n)
}

// number reads one figure between 0 and limit; other if the file has none. Where
// there is one for each layer, the largest counts.
func (m *meta) number(key string, other, limit int) int {
	all := m.numbers(key, limit)
	if all == nil {
		return other
	}
	return PerLayer(all).Max()
}

// numbers reads one figure, or one for each layer; nil if the file has none.
func (m *meta) numbers(key string, limit int) []int {
	kind, key, ok := m.find(key)
	if !ok {
		return nil
	}
	n := 1
	if kind == typeArray {
		kind = m.d.u32()
		n = m.d.count("items", key, maxBlocks)
	}
	all := make([]int, n)
	for i := range all {
		v := m.d.integer(kind, key)
		if v < 0 || v > int64(limit) {
			m.d.fail("its %s is %d, possible is 0 to %d", plain(key), v, limit)
		}
		if m.d.err != nil {
			return nil
		}
		all[i] = int(v)
	}
	return all
}

// flag returns nil if the file does not say.
func (m *meta) flag(key string) *bool {
	kind, key, ok := m.find(key)
	if !ok {
		return nil
	}
	b := m.d.integer(kind, key) != 0
	return &b
}

func (m *meta) float(key string) float32 {
	kind, key, ok := m.find(key)
	switch {
	case !ok:
		return 0
	case kind == typeF32:
		return math.Float32frombits(m.d.u32())
	case kind == typeF64:
		return float32(math.Float64frombits(m.d.u64()))
	}
	return float32(m.d.integer(kind, key))
}

// text reads a string; one that is longer than limit is left out.
func (m *meta) text(key string, limit int) string {
	kind, key, ok := m.find(key)
	if !ok {
		return ""
	}
	if kind != typeString {
		m.d.fail("its %s is not a text", plain(key))
		return ""
	}
	if n := m.d.count("bytes", key, maxHeader); n <= limit {
		return m.d.text(n)
	}
	return ""
}

// label reads a text for people: it may be shown on a terminal. No model is refused
// for what it is called.
func (m *meta) label(key string) string {
	if kind, _, _ := m.find(key); kind != typeString {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, m.text(key, maxLabel))
}

// tokens returns what two tokens of the vocabulary read as, and its size. The
// vocabulary itself is not kept.
func (m *meta) tokens(first, second int) (a, b string, n int) {
	const key = "tokenizer.ggml.tokens"
	kind, _, ok := m.find(key)
	if !ok {
		return "", "", 0
	}
	d := m.d
	if kind != typeArray || d.u32() != typeString {
		d.fail("its %s are not texts", key)
		return "", "", 0
	}
	n = d.count("items", key, maxTexts)
	if first > second {
		b, a = d.token(0, second, n), d.token(second+1, first, n)
		return a, b, n
	}
	a, b = d.token(0, first, n), d.token(first+1, second, n)
	if first == second {
		b = a
	}
	return a, b, n
}

// token reads one token of n when at of them have been passed.
func (d *decoder) token(at, i, n int) string {
	if i < at || i >= n {
		return ""
	}
	d.skipTexts(i - at)
	size := d.count("bytes of a token", "", maxHeader)
	if size > maxToken {
		d.skip(uint64(size))
		return ""
	}
	return d.text(size)
}
