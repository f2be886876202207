package mesh

import (
	"encoding/binary"
	"fmt"
	"time"
)

// What neighbours say to one another of others. A member is named by its handle.
//
//	keep:    1 if the sender would keep the session, 0 if it is for requests only
//	want:    (op 1 | handle 8 | seq 8)*
//	hears:   (word 1 | handle 8)*
//	signed:  handle 8 | news 1 | age in ms 4 | record | signature 64
//	hearers: (by 8 | of 8)*
//
// Who wants handle 0 wants to be told whom the other hears, at once and whenever it
// changes; who wants the other's own handle, its record with a signature; who wants
// one that the other hears, that one's record as it is signed, if newer than seq. Who
// seeks a member is told by whom it is heard, if the other knows.
const (
	wantLen    = 1 + 8 + 8
	hearsLen   = 1 + 8
	signedHead = 8 + 1 + 4

	opNoMore = 0
	opWant   = 1
	opNeed   = 2 // nobody else has it for the sender
	opSeek   = 3

	flagNews = 1 // its facts are new
)

// word is what a node says of another, which it knows by a session of its own only.
type word byte

const (
	wordLost    word = 0
	wordHeard   word = 1
	wordSuspect word = 2
	wordLeft    word = 3
	wordParted  word = 4 // it is there, but no longer a neighbour
)

type wish struct {
	op     byte
	handle uint64
	seq    uint64
}

func appendWant(b []byte, w wish) []byte {
	b = append(b, w.op)
	b = binary.BigEndian.AppendUint64(b, w.handle)
	return binary.BigEndian.AppendUint64(b, w.seq)
}

// eachWant reads the wants of a frame.
func eachWant(b []byte, f func(wish)) error {
	if len(b)%wantLen != 0 {
		return fmt.Errorf("%w: wants of %d bytes", ErrProtocol, len(b))
	}
	for ; len(b) > 0; b = b[wantLen:] {
		w := wish{b[0], binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])}
		if w.op > opSeek {
			return fmt.Errorf("%w: want of kind %d", ErrProtocol, w.op)
		}
		f(w)
	}
	return nil
}

func appendWord(b []byte, handle uint64, w word) []byte {
	return binary.BigEndian.AppendUint64(append(b, byte(w)), handle)
}

// eachWord reads the words of a frame.
func eachWord(b []byte, f func(handle uint64, w word)) error {
	if len(b)%hearsLen != 0 {
		return fmt.Errorf("%w: words of %d bytes", ErrProtocol, len(b))
	}
	for ; len(b) > 0; b = b[hearsLen:] {
		w := word(b[0])
		if w > wordParted {
			return fmt.Errorf("%w: word %d of a member", ErrProtocol, w)
		}
		f(binary.BigEndian.Uint64(b[1:]), w)
	}
	return nil
}

// appendSigned appends a whole frame with a record as it is at now.
func appendSigned(b []byte, handle uint64, r *signedRecord, now time.Time) []byte {
	b = appendHeader(b, kindSigned, signedHead+len(r.raw))
	b = binary.BigEndian.AppendUint64(b, handle)
	news := byte(0)
	if r.news {
		news = flagNews
	}
	b = append(b, news)
	b = binary.BigEndian.AppendUint32(b, uint32(min(max(now.Sub(r.at), 0), maxAge).Milliseconds()))
	return append(b, r.raw...)
}

// parseSigned reads a record that came at now. It is part of the payload, and not
// checked.
func parseSigned(p []byte, now time.Time) (handle uint64, r signedRecord, err error) {
	if len(p) < signedHead+minSigned {
		return 0, r, fmt.Errorf("%w: signed record of %d bytes", ErrProtocol, len(p))
	}
	age := min(time.Duration(binary.BigEndian.Uint32(p[9:]))*time.Millisecond, maxAge)
	r = signedRecord{seq: recordSeq(p[signedHead:]), raw: p[signedHead:], at: now.Add(-age), news: p[8]&flagNews != 0}
	return binary.BigEndian.Uint64(p), r, nil
}
