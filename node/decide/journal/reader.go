package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ErrEmpty says that a folder has no journal in it.
var ErrEmpty = errors.New("no decision was recorded there")

// Reader reads a file of a journal, or the files of a folder in order. What is
// damaged is passed over and told as a gap. Not safe for concurrent use.
type Reader struct {
	paths []string
	seqs  []uint64 // 0: not told by the name

	file *os.File
	left int64 // bytes of it
	seq  uint64
	head [fileHead]byte
	buf  []byte
	dec  decoder
	rec  Record

	pending []Record // to be told before the records of the block
	damaged error    // the first damage
	blocks  int      // that were readable
}

// Read opens a journal: one file, or a folder. ErrEmpty if there is none in the
// folder.
func Read(path string) (*Reader, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read decision journal: %w", err)
	}
	r := &Reader{}
	if !info.IsDir() {
		seq, _ := fileSeq(filepath.Base(path))
		r.paths, r.seqs = []string{path}, []uint64{seq}
		return r, nil
	}
	if r.seqs, err = files(path); err != nil {
		return nil, fmt.Errorf("read decision journal: %w", err)
	}
	if len(r.seqs) == 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrEmpty)
	}
	for _, seq := range r.seqs {
		r.paths = append(r.paths, filepath.Join(path, fileName(seq)))
	}
	return r, nil
}

// Next is the next record, valid until the next call; io.EOF after the last.
// Damage is no error but a record of TypeGap, unless no block at all can be read:
// then it is told in place of io.EOF.
func (r *Reader) Next() (*Record, error) {
	for {
		if len(r.pending) > 0 {
			r.rec = r.pending[0]
			r.pending = r.pending[1:]
			return &r.rec, nil
		}
		if len(r.dec.b) > 0 {
			err := r.dec.read(&r.rec)
			if err == nil {
				return &r.rec, nil
			}
			r.dec.b = nil
			r.damage(err)
			continue
		}
		if err := r.block(); err == io.EOF && r.blocks == 0 && r.damaged != nil {
			return nil, r.damaged
		} else if err != nil {
			return nil, err
		}
	}
}

// Damaged is the first damage that was met; nil if there was none.
func (r *Reader) Damaged() error { return r.damaged }

// Close closes the file that is open.
func (r *Reader) Close() error {
	r.paths, r.dec.b, r.pending = nil, nil, nil
	return r.closeFile()
}

func (r *Reader) closeFile() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}

func (r *Reader) tell(rec Record) { r.pending = append(r.pending, rec) }

func (r *Reader) damage(err error) {
	if !errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if r.file != nil {
		err = fmt.Errorf("%s: %w", r.file.Name(), err)
	}
	if r.damaged == nil {
		r.damaged = err
	}
	r.tell(Record{Type: TypeGap, Gap: Gap{Damaged: err}})
}

// block reads the next block, of the next file if this one is at its end.
func (r *Reader) block() error {
	if r.file == nil {
		return r.open()
	}
	if r.left == 0 {
		return r.closeFile()
	}
	var head [blockHead]byte
	if r.left < blockHead {
		return r.abandon("it ends within a block")
	}
	if _, err := io.ReadFull(r.file, head[:]); err != nil {
		return fmt.Errorf("read decision journal: %w", err)
	}
	le := binary.LittleEndian
	n := int64(le.Uint32(head[4:]))
	switch {
	case le.Uint32(head[:]) != blockMagic || n > maxBlock:
		return r.abandon("what should be a block is none")
	case n > r.left-blockHead:
		return r.abandon("it ends within a block")
	}
	if int64(cap(r.buf)) < blockHead+n {
		r.buf = make([]byte, blockHead+n)
	}
	b := r.buf[:blockHead+n]
	copy(b, head[:])
	if _, err := io.ReadFull(r.file, b[blockHead:]); err != nil {
		return fmt.Errorf("read decision journal: %w", err)
	}
	r.left -= int64(len(b))
	if le.Uint32(b[16:]) != blockSum(b) {
		r.damage(errors.New("the checksum of a block does not match"))
		return nil // the next may be whole
	}
	r.blocks++
	if lost := le.Uint32(b[12:]); lost > 0 {
		r.tell(Record{Type: TypeGap, Gap: Gap{Lost: uint64(lost)}})
	}
	r.dec.restart(b[blockHead:])
	return nil
}

// abandon gives up what is left of a file.
func (r *Reader) abandon(why string) error {
	r.damage(errors.New(why))
	return r.closeFile()
}

// open begins the next file; io.EOF if there is none.
func (r *Reader) open() error {
	if len(r.paths) == 0 {
		return io.EOF
	}
	path, seq := r.paths[0], r.seqs[0]
	r.paths, r.seqs = r.paths[1:], r.seqs[1:]
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read decision journal: %w", err)
	}
	r.file = f
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return errors.Join(fmt.Errorf("read decision journal: %s is no file", path), err, r.closeFile())
	}
	r.left = info.Size()
	if r.left < fileHead {
		return r.abandon("it ends within its head")
	}
	if _, err := io.ReadFull(f, r.head[:]); err != nil {
		return fmt.Errorf("read decision journal: %w", err)
	}
	r.left -= fileHead
	version, start, err := readFileHead(r.head[:])
	if err != nil {
		r.damage(err)
		return r.closeFile()
	}
	switch {
	case start:
		r.tell(Record{Type: TypeStart, Start: Start{Version: version}})
	case r.seq == 0 || seq != r.seq+1:
		r.tell(Record{Type: TypeGap}) // a file before it is not there
	}
	r.seq = seq
	return nil
}
