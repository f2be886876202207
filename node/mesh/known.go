package mesh

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Two that become neighbours in a large mesh first say by number which adverts they
// have, and then tell only what the other has not: a thousand adverts are some 250 KiB,
// their numbers 16.
//
//	known: (mark 8 | seq 8)*
//
// A mark is the beginning of an identity.
const knownLen = 8 + 8

// appendKnown appends the numbers of all adverts that this node has.
func (s *members) appendKnown(b []byte) []byte {
	at := len(b)
	b = appendHeader(b, kindKnown, 0)
	all := s.allAdverts()
	for _, a := range all[:min(len(all), maxKnown)] {
		b = binary.BigEndian.AppendUint64(b, mark(a.Credential.Node))
		b = binary.BigEndian.AppendUint64(b, a.Seq)
	}
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-headerLen))
	return b
}

// heardKnown takes what a neighbour has.
func (s *members) heardKnown(from *session, b []byte) error {
	if len(b)%knownLen != 0 {
		return fmt.Errorf("%w: known adverts of %d bytes", ErrProtocol, len(b))
	}
	for ; len(b) > 0; b = b[knownLen:] {
		from.told.note(binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]))
	}
	o := s.m.overlay
	o.mu.Lock()
	o.list(from)
	from.side.knows = true
	o.mu.Unlock()
	from.poke()
	return nil
}

// list has a neighbour told once which adverts this node has. It needs the mutex.
func (o *overlay) list(s *session) {
	if x := &s.side; !x.listed {
		x.listed, x.lists = true, true
		s.hurry()
	}
}

// spreads says whether what is new in the mesh is told on a session: to neighbours,
// once they have said what they know.
func (o *overlay) spreads(s *session) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	x := &s.side
	return !o.large() || x.kept && (x.knows || time.Since(x.since) > knownTime)
}
