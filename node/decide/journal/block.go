package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Heads: of a file
//
//	u32 magic | u16 format | u16 flags | 64 bytes of version | u32 crc32c of all that
//
// and of a block
//
//	u32 magic | u32 bytes of records | u32 records | u32 lost before | u32 crc32c of all that and of the records
const (
	fileMagic  = 0x4a584d4f // "OMXJ"
	blockMagic = 0x42584d4f // "OMXB"
	format     = 1

	fileHead  = 8 + maxVersion + 4
	blockHead = 20

	startFlag = 1 // the first file of a run
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged says that a journal is not as it was written.
var ErrDamaged = errors.New("journal is damaged")

func putFileHead(b []byte, version string, start bool) {
	le := binary.LittleEndian
	le.PutUint32(b, fileMagic)
	le.PutUint16(b[4:], format)
	flags := uint16(0)
	if start {
		flags |= startFlag
	}
	le.PutUint16(b[6:], flags)
	clear(b[8 : fileHead-4])
	copy(b[8:fileHead-4], version)
	le.PutUint32(b[fileHead-4:], crc32.Checksum(b[:fileHead-4], castagnoli))
}

func readFileHead(b []byte) (version string, start bool, err error) {
	le := binary.LittleEndian
	switch {
	case len(b) < fileHead || le.Uint32(b) != fileMagic:
		return "", false, fmt.Errorf("%w: it does not begin as a journal does", ErrDamaged)
	case le.Uint32(b[fileHead-4:]) != crc32.Checksum(b[:fileHead-4], castagnoli):
		return "", false, fmt.Errorf("%w: the checksum of its head does not match", ErrDamaged)
	case le.Uint16(b[4:]) != format:
		return "", false, fmt.Errorf("it is of format %d, this version reads %d: use the omx that wrote it", le.Uint16(b[4:]), format)
	}
	return strings.TrimRight(string(b[8:fileHead-4]), "\x00"), le.Uint16(b[6:])&startFlag != 0, nil
}

// putBlockHead fills in the head of block b, which holds its records.
func putBlockHead(b []byte, records, lost uint64) {
	le := binary.LittleEndian
	le.PutUint32(b, blockMagic)
	le.PutUint32(b[4:], uint32(len(b)-blockHead))
	le.PutUint32(b[8:], uint32(records))
	le.PutUint32(b[12:], uint32(min(lost, 1<<32-1)))
	le.PutUint32(b[16:], blockSum(b))
}

func blockSum(b []byte) uint32 {
	sum := crc32.Checksum(b[:16], castagnoli)
	return crc32.Update(sum, castagnoli, b[blockHead:])
}

const (
	filePrefix = "decisions-"
	fileSuffix = ".log"
)

func fileName(seq uint64) string { return fmt.Sprintf("%s%010d%s", filePrefix, seq, fileSuffix) }

// files are the numbers of a folder's files in order; other files are left alone.
func files(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []uint64
	for _, e := range entries {
		if seq, ok := fileSeq(e.Name()); ok && e.Type().IsRegular() {
			list = append(list, seq)
		}
	}
	slices.Sort(list)
	return list, nil
}

func fileSeq(name string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, filePrefix)
	if !ok {
		return 0, false
	}
	digits, ok = strings.CutSuffix(digits, fileSuffix)
	seq, err := strconv.ParseUint(digits, 10, 63)
	return seq, ok && err == nil && fileName(seq) == name
}
