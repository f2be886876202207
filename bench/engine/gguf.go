package engine

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
)

// Types of values and tensors in a GGUF file.
const (
	ggufU32, ggufF32, ggufBool, ggufString, ggufArray = 4, 6, 7, 8, 9
	ggufI32                                           = 5

	tensorF32, tensorQ8 = 0, 8

	ggufAlign = 32
	q8Values  = 32           // of one block
	q8Block   = 2 + q8Values // its scale as a half, then its values
)

// ggufWriter collects a model's facts and tensors and writes them as one file.
type ggufWriter struct {
	pairs, infos []byte
	nPairs       uint64
	offset       uint64
	tensors      []ggufTensor
}

type ggufTensor struct {
	size uint64
	data func(w *bufio.Writer) // writes size bytes; w keeps the first error
}

func ggufText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// set adds a fact; a value of a type that is not written here is a mistake in
// this package.
func (g *ggufWriter) set(key string, value any) {
	le := binary.LittleEndian
	b := ggufText(g.pairs, key)
	list := func(kind uint32, n int) {
		b = le.AppendUint64(le.AppendUint32(le.AppendUint32(b, ggufArray), kind), uint64(n))
	}
	switch v := value.(type) {
	case uint32:
		b = le.AppendUint32(le.AppendUint32(b, ggufU32), v)
	case float32:
		b = le.AppendUint32(le.AppendUint32(b, ggufF32), math.Float32bits(v))
	case bool:
		b = append(le.AppendUint32(b, ggufBool), map[bool]byte{true: 1}[v])
	case string:
		b = ggufText(le.AppendUint32(b, ggufString), v)
	case []string:
		list(ggufString, len(v))
		for _, s := range v {
			b = ggufText(b, s)
		}
	case []int32:
		list(ggufI32, len(v))
		for _, n := range v {
			b = le.AppendUint32(b, uint32(n))
		}
	default:
		panic(fmt.Sprintf("gguf: %s has a value of type %T", key, value))
	}
	g.pairs = b
	g.nPairs++
}

// tensor adds a tensor; its first dimension is that of a row.
func (g *ggufWriter) tensor(name string, kind uint32, size uint64, data func(w *bufio.Writer), dims ...int) {
	le := binary.LittleEndian
	b := le.AppendUint32(ggufText(g.infos, name), uint32(len(dims)))
	for _, d := range dims {
		b = le.AppendUint64(b, uint64(d))
	}
	g.infos = le.AppendUint64(le.AppendUint32(b, kind), g.offset)
	g.offset += size + padding(size)
	g.tensors = append(g.tensors, ggufTensor{size, data})
}

func padding(n uint64) uint64 { return -n % ggufAlign }

// write makes the file.
func (g *ggufWriter) write(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	err = g.writeTo(f)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	return nil
}

func (g *ggufWriter) writeTo(f io.Writer) error {
	le := binary.LittleEndian
	head := le.AppendUint32([]byte("GGUF"), 3)
	head = le.AppendUint64(le.AppendUint64(head, uint64(len(g.tensors))), g.nPairs)
	head = append(append(head, g.pairs...), g.infos...)
	w := bufio.NewWriterSize(f, 1<<20)
	w.Write(head)
	w.Write(make([]byte, padding(uint64(len(head)))))
	for _, t := range g.tensors {
		t.data(w)
		w.Write(make([]byte, padding(t.size)))
	}
	return w.Flush() // returns the first error of all writes
}

// half is v in 16 bits: exact for what is not too small or large, but for its last
// digits, which are cut off.
func half(v float32) uint16 {
	bits := math.Float32bits(v)
	exponent := int(bits>>23&0xff) - 127 + 15
	if exponent <= 0 {
		return 0
	}
	return uint16(bits>>16&0x8000) | uint16(exponent)<<10 | uint16(bits>>13&0x3ff)
}
