package mesh

import (
	"encoding/binary"
	"fmt"
	"io"

	"omx/node/mesh/member"
)

// A stream begins with a tag and the version. On a request stream one request
// follows another, each after the answer to the one before.
const (
	tagControl = 'C'
	tagRequest = 'R'
	tagMember  = 'M'
	tagLane    = 'L' // bytes follow, whose meaning is not the mesh's
	version    = 8

	prefaceLen = 2
	headerLen  = 5
)

// kind names what a frame carries. The numbers are part of the wire format.
type kind uint8

const (
	kindRecord     kind = 1
	kindPing       kind = 2
	kindAsk        kind = 3
	kindVerdict    kind = 4
	kindCredential kind = 8
	kindRevoked    kind = 9
	kindAdverts    kind = 10
	kindLeaving    kind = 11
	kindRelay      kind = 12
	kindPunch      kind = 13

	kindRequest  kind = 16
	kindAccepted kind = 17
	kindRefused  kind = 18
	kindToken    kind = 19
	kindDone     kind = 20
	kindFailed   kind = 21
	kindExtra    kind = 22

	kindJoin    kind = 32
	kindRenew   kind = 33
	kindGranted kind = 34
	kindDenied  kind = 35

	kindKeep   kind = 40
	kindWant   kind = 41
	kindHears  kind = 42
	kindSigned kind = 43
	kindKnown  kind = 44

	kindHearers kind = 45
)

// limit is the longest payload of a kind; ok is false for an unknown kind.
func (k kind) limit() (n int, ok bool) {
	switch k {
	case kindRequest:
		return maxTicketed, true
	case kindDone:
		return MaxTrailer, true
	case kindCredential:
		return member.CredentialLen, true
	case kindJoin, kindRenew:
		return maxMemberRequest, true
	case kindDenied:
		return maxMessage + 1, true
	case kindLeaving:
		return 0, true
	case kindRelay:
		return maxAddrBytes, true
	case kindPunch:
		return 1 + maxAddrs*(2+maxAddrBytes), true
	case kindKeep:
		return 1, true
	case kindWant:
		return maxEntries * wantLen, true
	case kindHears:
		return maxEntries * hearsLen, true
	case kindHearers:
		return maxEntries * hearerLen, true
	case kindKnown:
		return maxKnown * knownLen, true
	case kindSigned:
		return signedHead + maxSigned, true
	case kindRevoked, kindAdverts, kindGranted:
		return MaxFrame, true
	case kindRecord, kindPing, kindAsk, kindVerdict, kindAccepted, kindRefused, kindToken, kindFailed, kindExtra:
		return MaxFrame, true
	}
	return 0, false
}

func appendHeader(b []byte, k kind, n int) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return append(b, byte(k))
}

func appendFrame(b []byte, k kind, payload []byte) []byte {
	return append(appendHeader(b, k, len(payload)), payload...)
}

// frameReader splits a stream into frames. It allocates only to grow its
// buffer, and never by more than has already arrived: a peer that announces
// 4 MiB and sends nothing costs the first buffer.
type frameReader struct {
	r        io.Reader
	buf      []byte
	pos, end int
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: r, buf: make([]byte, readBuffer)}
}

// preface reads the two bytes a stream starts with.
func (f *frameReader) preface() (tag, ver byte, err error) {
	if err := f.fill(prefaceLen); err != nil {
		return 0, 0, err
	}
	tag, ver = f.buf[f.pos], f.buf[f.pos+1]
	f.pos += prefaceLen
	return tag, ver, nil
}

// next returns one frame. The payload is valid until the following call. An end
// of stream between frames is io.EOF, within one io.ErrUnexpectedEOF.
func (f *frameReader) next() (kind, []byte, error) {
	if err := f.fill(headerLen); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(f.buf[f.pos:])
	k := kind(f.buf[f.pos+4])
	limit, ok := k.limit()
	if !ok {
		return 0, nil, fmt.Errorf("%w: unknown frame kind %d", ErrProtocol, k)
	}
	if n > uint32(limit) {
		return 0, nil, fmt.Errorf("%w: frame of %d bytes, limit %d", ErrProtocol, n, limit)
	}
	if err := f.fill(headerLen + int(n)); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	body := f.buf[f.pos+headerLen : f.pos+headerLen+int(n) : f.pos+headerLen+int(n)]
	f.pos += headerLen + int(n)
	return k, body, nil
}

// whole says that the next frame, whose header is there, needs no more reading.
func (f *frameReader) whole() bool {
	return f.end-f.pos >= headerLen && uint64(f.end-f.pos) >= headerLen+uint64(binary.BigEndian.Uint32(f.buf[f.pos:]))
}

// idle says that nothing is left over from the frames that were read.
func (f *frameReader) idle() bool { return f.pos == f.end }

// rest is what has been read and not used.
func (f *frameReader) rest() []byte { return f.buf[f.pos:f.end] }

// began takes the first byte of the next frame, which somebody else has read.
func (f *frameReader) began(first byte) {
	if cap(f.buf) > keepBuffer {
		f.buf = make([]byte, readBuffer)
	}
	f.buf[0], f.pos, f.end = first, 0, 1
}

// fill reads until n unread bytes are buffered.
func (f *frameReader) fill(n int) error {
	if f.pos == f.end {
		f.pos, f.end = 0, 0
	}
	for empty := 0; f.end-f.pos < n; {
		if f.end == len(f.buf) {
			f.makeRoom(n)
		}
		m, err := f.r.Read(f.buf[f.end:])
		f.end += m
		switch {
		case f.end-f.pos >= n:
			return nil
		case err == io.EOF && f.end > f.pos:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case m > 0:
			empty = 0
		default:
			if empty++; empty > maxEmptyRun {
				return io.ErrNoProgress
			}
		}
	}
	return nil
}

// makeRoom moves what is unread to the front, or else doubles the buffer.
func (f *frameReader) makeRoom(n int) {
	to := f.buf
	if f.pos == 0 {
		to = make([]byte, min(2*len(f.buf), max(n, readBuffer)))
	}
	f.end = copy(to, f.buf[f.pos:f.end])
	f.pos, f.buf = 0, to
}
