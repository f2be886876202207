package gguf

import (
	"bytes"
	"math/bits"
	"strconv"
)

// tensors reads where the weights are, and sees that all of them are there.
func (d *decoder) tensors(h *Header, align int64) {
	var sizes [len(types)]int64
	var end, next int64 // of the tensor before; where the next one may begin
	untied := false
	for i := 0; i < h.Tensors && d.err == nil; i++ {
		n := d.count("bytes of a tensor's name", "", maxKey)
		if !d.has(uint64(n)) {
			return
		}
		d.name = append(d.name[:0], make([]byte, n)...)
		d.read(d.name)
		weights, size, kind := d.extent()
		begin := d.u64()
		switch {
		case d.err != nil:
			return
		// llama.cpp takes no gaps and no overlaps. So the sums below are of parts of
		// the file, and cannot overflow.
		case begin != uint64(next):
			d.fail("tensor %s begins at byte %d of the weights, not at %d where the one before it ends", plain(string(d.name)), begin, next)
			return
		case size > d.size-next:
			d.fail("it is cut off: tensor %s ends beyond its %d bytes", plain(string(d.name)), d.size)
			return
		}
		end = next + size
		next = (end + align - 1) / align * align
		h.Parameters += weights
		h.TensorBytes += size
		sizes[kind] += size
		untied = untied || bytes.HasPrefix(d.name, []byte("output."))
		d.place(h, size)
	}
	if d.err != nil {
		return
	}
	h.Tied = h.Embedding > 0 && !untied
	if data := (d.off + align - 1) / align * align; end > d.size-data {
		d.fail("it is cut off: its last tensor ends beyond its %d bytes", d.size)
	}
	for kind, size := range sizes {
		if size > sizes[d.commonest] {
			d.commonest = Type(kind)
		}
	}
}

// extent reads the form of a tensor: what it holds and how long it is.
func (d *decoder) extent() (weights, size int64, kind Type) {
	dims := d.u32()
	if d.err == nil && dims > maxDims {
		d.fail("a tensor has %d dimensions, at most %d are possible", dims, maxDims)
	}
	var row, all, over uint64 = 1, 1, 0
	for i := uint32(0); i < dims && d.err == nil; i++ {
		n := d.u64()
		if i == 0 {
			row = n
		}
		var high uint64
		high, all = bits.Mul64(all, n)
		over |= high
	}
	kind = Type(d.u32())
	per, width := kind.Block()
	switch {
	case d.err != nil:
	case per == 0:
		d.fail("tensor %s has the unknown %v; a newer version may know it", plain(string(d.name)), kind)
	case over != 0 || all > 1<<62/uint64(width):
		d.fail("tensor %s is larger than any file", plain(string(d.name)))
	case row%uint64(per) != 0:
		d.fail("tensor %s has rows of %d, not whole blocks of %d", plain(string(d.name)), row, per)
	default:
		return int64(all), int64(all) / per * width, kind
	}
	return 0, 0, 0
}

// place counts a tensor to the part of the model that it is of.
func (d *decoder) place(h *Header, size int64) {
	if rest, ok := bytes.CutPrefix(d.name, []byte("blk.")); ok {
		number, _, _ := bytes.Cut(rest, []byte("."))
		n, err := strconv.Atoi(string(number))
		if err != nil || n < 0 || n >= maxBlocks {
			d.fail("tensor %s is of no block that is possible, they are 0 to %d", plain(string(d.name)), maxBlocks-1)
			return
		}
		for len(h.Blocks) <= n {
			h.Blocks = append(h.Blocks, 0)
		}
		h.Blocks[n] += size
		return
	}
	for _, prefix := range [...]string{"token_embd.", "per_layer_token_embd.", "token_types.", "position_embd."} {
		if bytes.HasPrefix(d.name, []byte(prefix)) {
			h.Embedding += size
			return
		}
	}
	h.Output += size
}
