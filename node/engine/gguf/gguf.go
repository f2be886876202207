package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// ErrNotModel says that a file is not a usable GGUF model.
var ErrNotModel = errors.New("not a usable GGUF model")

// Bounds of a header. Real files stay far below: the largest vocabularies have
// about 256 Ki tokens and as many merges.
const (
	maxPairs   = 4096
	maxTensors = 64 << 10
	maxKey     = 65535 // by the specification
	maxString  = 4 << 20
	maxItems   = 4 << 20
	maxDims    = 4
	maxHeader  = 256 << 20 // all of it
)

// Header is what is taken from a model file.
type Header struct {
	Version      uint32
	Architecture string
	Name         string // "" if the file names none
	Context      int    // tokens the model was made for; 0 if it does not say
	Tensors      int
	Bytes        int64 // of the file
}

// Check reads the header of a file and sees that its tensors lie within it.
func Check(path string) (Header, error) {
	f, err := os.Open(path)
	if err != nil {
		return Header{}, fmt.Errorf("open model: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Header{}, fmt.Errorf("open model: %w", err)
	}
	if !st.Mode().IsRegular() {
		return Header{}, fmt.Errorf("%w: %s is not a file", ErrNotModel, path)
	}
	h, err := Read(f, st.Size())
	if err != nil {
		return h, fmt.Errorf("%w: %s: %v", ErrNotModel, path, err)
	}
	return h, nil
}

// Read reads a header from a file of size bytes.
func Read(r io.Reader, size int64) (Header, error) {
	d := &decoder{r: bufio.NewReaderSize(io.LimitReader(r, min(size, maxHeader)), 64<<10)}
	h := Header{Bytes: size}
	if magic := d.u32(); d.err == nil && magic != 0x46554747 { // "GGUF"
		return h, errors.New("it does not begin with GGUF")
	}
	h.Version = d.u32()
	if d.err == nil && h.Version != 2 && h.Version != 3 {
		return h, fmt.Errorf("its version is %d, known are 2 and 3", h.Version)
	}
	tensors := d.count("tensors", maxTensors)
	pairs := d.count("metadata pairs", maxPairs)
	h.Tensors = tensors
	align := uint64(32)
	for i := 0; i < pairs && d.err == nil; i++ {
		d.pair(&h, &align)
	}
	if d.err == nil && h.Architecture == "" {
		return h, errors.New("it names no architecture")
	}
	if d.err == nil && tensors == 0 {
		return h, errors.New("it holds no tensors")
	}
	var last uint64
	for i := 0; i < tensors && d.err == nil; i++ {
		last = max(last, d.tensor())
	}
	if d.err != nil {
		if errors.Is(d.err, io.EOF) || errors.Is(d.err, io.ErrUnexpectedEOF) {
			return h, fmt.Errorf("it is cut off: its header goes beyond its %d bytes", size)
		}
		return h, d.err
	}
	data := (d.read + align - 1) / align * align
	if data > uint64(size) || last >= uint64(size)-data {
		return h, fmt.Errorf("it is cut off: its last tensor begins beyond its %d bytes", size)
	}
	return h, nil
}

// decoder reads values and remembers the first error.
type decoder struct {
	r    *bufio.Reader
	read uint64
	err  error
	buf  [8]byte
}

func (d *decoder) bytes(n int) []byte {
	if d.err != nil {
		return d.buf[:n]
	}
	if _, d.err = io.ReadFull(d.r, d.buf[:n]); d.err == nil {
		d.read += uint64(n)
	}
	return d.buf[:n]
}

func (d *decoder) u32() uint32 { return binary.LittleEndian.Uint32(d.bytes(4)) }
func (d *decoder) u64() uint64 { return binary.LittleEndian.Uint64(d.bytes(8)) }

func (d *decoder) count(what string, limit uint64) int {
	n := d.u64()
	if d.err == nil && n > limit {
		d.err = fmt.Errorf("it claims %d %s, at most %d are possible", n, what, limit)
	}
	if d.err != nil {
		return 0
	}
	return int(n)
}

func (d *decoder) skip(n uint64) {
	if d.err != nil {
		return
	}
	if n > maxHeader {
		d.err = fmt.Errorf("a value claims %d bytes", n)
		return
	}
	var done int
	done, d.err = d.r.Discard(int(n))
	d.read += uint64(done)
}

// text reads a string of at most limit bytes; memory is taken as it arrives.
func (d *decoder) text(what string, limit uint64) string {
	n := d.count("bytes of "+what, limit)
	if d.err != nil {
		return ""
	}
	var b []byte
	b, d.err = io.ReadAll(io.LimitReader(d.r, int64(n)))
	if d.err == nil && len(b) < n {
		d.err = io.ErrUnexpectedEOF
	}
	d.read += uint64(len(b))
	return string(b)
}

// Value types of the specification.
const (
	typeU32    = 4
	typeString = 8
	typeArray  = 9
	typeU64    = 10
)

// widths are the sizes of the fixed types, by number.
var widths = [...]uint64{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}

func (d *decoder) pair(h *Header, align *uint64) {
	key := d.text("a key", maxKey)
	kind := d.u32()
	switch {
	case d.err != nil:
	case kind == typeString && key == "general.architecture":
		h.Architecture = d.text(key, 64)
	case kind == typeString && key == "general.name":
		h.Name = d.text(key, 4096)
	case kind == typeU32 && key == "general.alignment":
		*align = uint64(d.u32())
		if *align == 0 || *align > 1<<20 || *align&(*align-1) != 0 {
			d.err = fmt.Errorf("its alignment is %d", *align)
		}
	case h.Architecture != "" && key == h.Architecture+".context_length" && (kind == typeU32 || kind == typeU64):
		n := uint64(0)
		if kind == typeU32 {
			n = uint64(d.u32())
		} else {
			n = d.u64()
		}
		h.Context = int(min(n, math.MaxInt32))
	default:
		d.value(kind, key)
	}
}

// value skips a value of any type; arrays do not nest.
func (d *decoder) value(kind uint32, key string) {
	switch {
	case kind == typeString:
		d.skip(uint64(d.count("bytes of "+key, maxString)))
	case kind == typeArray:
		item := d.u32()
		n := uint64(d.count("items of "+key, maxItems))
		if item == typeString {
			for ; n > 0 && d.err == nil; n-- {
				d.skip(uint64(d.count("bytes in "+key, maxString)))
			}
			return
		}
		d.skip(n * d.width(item))
	default:
		d.skip(d.width(kind))
	}
}

func (d *decoder) width(kind uint32) uint64 {
	if kind < uint32(len(widths)) && widths[kind] > 0 {
		return widths[kind]
	}
	if d.err == nil {
		d.err = fmt.Errorf("it has a value of unknown type %d", kind)
	}
	return 0
}

// tensor returns where a tensor begins, counted from the first.
func (d *decoder) tensor() uint64 {
	d.skip(uint64(d.count("bytes of a tensor's name", maxKey)))
	dims := d.u32()
	if d.err == nil && dims > maxDims {
		d.err = fmt.Errorf("a tensor has %d dimensions", dims)
	}
	if d.err != nil {
		return 0
	}
	d.skip(uint64(dims)*8 + 4)
	return d.u64()
}
