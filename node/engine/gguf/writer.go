package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
)

// Writer makes model files: small ones for tests and measurements. The zero Writer
// is one of an empty file.
type Writer struct {
	pairs, infos []byte
	count        uint64 // of pairs
	offset       uint64
	tensors      []written
}

type written struct {
	size uint64
	data func(w *bufio.Writer)
}

// writerAlign is where tensors begin, unless a file says otherwise.
const writerAlign = 32

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// Set adds a fact: a uint32, float32, bool, string, []string or []int32. Another
// type is a mistake of the caller's, and panics.
func (g *Writer) Set(key string, value any) {
	le := binary.LittleEndian
	b := appendText(g.pairs, key)
	list := func(kind uint32, n int) {
		b = le.AppendUint64(le.AppendUint32(le.AppendUint32(b, typeArray), kind), uint64(n))
	}
	switch v := value.(type) {
	case uint32:
		b = le.AppendUint32(le.AppendUint32(b, typeU32), v)
	case float32:
		b = le.AppendUint32(le.AppendUint32(b, typeF32), math.Float32bits(v))
	case bool:
		b = append(le.AppendUint32(b, typeBool), map[bool]byte{true: 1}[v])
	case string:
		b = appendText(le.AppendUint32(b, typeString), v)
	case []string:
		list(typeString, len(v))
		for _, s := range v {
			b = appendText(b, s)
		}
	case []int32:
		list(typeI32, len(v))
		for _, n := range v {
			b = le.AppendUint32(b, uint32(n))
		}
	default:
		panic(fmt.Sprintf("gguf: %s has a value of type %T", key, value))
	}
	g.pairs = b
	g.count++
}

// Tensor adds a tensor; its first dimension is that of a row. data writes its bytes,
// as many as its type and dimensions say; the writer keeps the first error.
func (g *Writer) Tensor(name string, kind Type, data func(w *bufio.Writer), dims ...int) {
	le := binary.LittleEndian
	weights, size := kind.Block()
	for _, d := range dims {
		size *= int64(d)
	}
	b := le.AppendUint32(appendText(g.infos, name), uint32(len(dims)))
	for _, d := range dims {
		b = le.AppendUint64(b, uint64(d))
	}
	g.infos = le.AppendUint64(le.AppendUint32(b, uint32(kind)), g.offset)
	t := written{uint64(size / weights), data}
	g.offset += t.size + padding(t.size)
	g.tensors = append(g.tensors, t)
}

func padding(n uint64) uint64 { return -n % writerAlign }

// Write makes the file.
func (g *Writer) Write(path string) error {
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

func (g *Writer) writeTo(f io.Writer) error {
	le := binary.LittleEndian
	head := le.AppendUint32([]byte("GGUF"), 3)
	head = le.AppendUint64(le.AppendUint64(head, uint64(len(g.tensors))), g.count)
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

// Floats writes numbers of type F32.
func Floats(values ...float32) func(w *bufio.Writer) {
	return func(w *bufio.Writer) {
		for _, v := range values {
			_ = binary.Write(w, binary.LittleEndian, v) // kept by w
		}
	}
}
