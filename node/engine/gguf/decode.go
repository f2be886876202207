package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder reads values and remembers the first error.
type decoder struct {
	file *io.SectionReader
	r    *bufio.Reader
	off  int64 // of the next byte
	end  int64 // of what may be read
	size int64 // of the file
	err  error

	texts     int // strings seen in arrays
	buf       [8]byte
	name      []byte // of a tensor, reused
	commonest Type   // of the weights
}

func newDecoder(r io.ReaderAt, size int64) *decoder {
	size = min(max(size, 0), 1<<62) // sums do not overflow
	end := min(size, maxHeader)
	file := io.NewSectionReader(r, 0, end)
	return &decoder{file: file, r: bufio.NewReaderSize(file, 32<<10), end: end, size: size}
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

// seek goes on at an offset that has been read before.
func (d *decoder) seek(off int64) {
	_, _ = d.file.Seek(off, io.SeekStart) // of a section: it cannot fail
	d.r.Reset(d.file)
	d.off = off
}

// has reports whether n more bytes are there, and fails if not: nothing is
// allocated for what the file cannot hold.
func (d *decoder) has(n uint64) bool {
	switch {
	case d.err != nil:
		return false
	case n <= uint64(d.end-d.off):
		return true
	case d.end < d.size:
		d.fail("its header is longer than %d bytes", d.end)
	default:
		d.fail("it is cut off: its header goes beyond its %d bytes", d.size)
	}
	return false
}

// read fills b.
func (d *decoder) read(b []byte) {
	if !d.has(uint64(len(b))) {
		clear(b)
		return
	}
	n, err := io.ReadFull(d.r, b)
	d.off += int64(n)
	d.ended(err)
}

func (d *decoder) ended(err error) {
	switch {
	case err == nil:
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF): // shorter than was said
		d.fail("it is cut off: its header goes beyond its %d bytes", d.off)
	default:
		d.fail("it cannot be read: %w", err)
	}
}

func (d *decoder) u32() uint32 {
	d.read(d.buf[:4])
	return binary.LittleEndian.Uint32(d.buf[:4])
}

func (d *decoder) u64() uint64 {
	d.read(d.buf[:8])
	return binary.LittleEndian.Uint64(d.buf[:8])
}

// count reads how many there are of something, which may be of a key.
func (d *decoder) count(what, key string, limit uint64) int {
	n := d.u64()
	if d.err == nil && n > limit {
		if key != "" {
			what += " of " + plain(key)
		}
		d.fail("it claims %d %s, at most %d are possible", n, what, limit)
	}
	if d.err != nil {
		return 0
	}
	return int(n)
}

func (d *decoder) skip(n uint64) {
	if !d.has(n) {
		return
	}
	done, err := d.r.Discard(int(n))
	d.off += int64(done)
	d.ended(err)
}

// text reads n bytes as a string.
func (d *decoder) text(n int) string {
	if !d.has(uint64(n)) {
		return ""
	}
	var b strings.Builder
	b.Grow(n)
	done, err := io.CopyN(&b, d.r, int64(n))
	d.off += done
	d.ended(err)
	return b.String()
}

// skipTexts passes over n strings. Vocabularies are most of a header, so what is
// in the buffer is passed over in one go.
func (d *decoder) skipTexts(n int) {
	for n > 0 && d.err == nil {
		b, _ := d.r.Peek(d.r.Buffered())
		used := 0
		for ; n > 0 && len(b)-used >= 8; n-- {
			size := binary.LittleEndian.Uint64(b[used:])
			if size > uint64(len(b)-used-8) {
				break
			}
			used += 8 + int(size)
		}
		d.skip(uint64(used))
		if n > 0 {
			d.skip(uint64(d.count("bytes in a text", "", maxHeader)))
			n--
		}
	}
}

// plain is a name from a file as it may stand in a message: one short line.
func plain(name string) string {
	const most = 64
	cut := len(name) > most
	if cut {
		name = name[:most]
	}
	if quoted := strconv.QuoteToASCII(name); !utf8.ValidString(name) || quoted[1:len(quoted)-1] != name {
		name = quoted
	}
	if cut {
		name += "…"
	}
	return name
}
