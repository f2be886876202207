package mesh

import (
	"encoding/binary"
	"maps"
	"sync"
	"time"

	"omx/node/mesh/member"
)

// told is what the two ends of a session have told each other of the mesh, so
// that each thing is said once.
type told struct {
	version uint64              // of members, when all was said
	last    time.Time           // when adverts were told
	cred    *member.Credential  // this node's
	revoked map[member.ID]int64 // by moment
	mu      sync.Mutex          // of what follows: both directions write it
	adverts map[uint64]uint64   // by whose they are (mark): their numbers
}

// mark is short for an identity, where nothing is decided by it.
func mark(node member.ID) uint64 { return binary.BigEndian.Uint64(node[:]) }

// note remembers that the peer knows an advert.
func (t *told) note(node, seq uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.adverts == nil {
		t.adverts = map[uint64]uint64{}
	}
	if t.adverts[node] >= seq || len(t.adverts) > member.MaxMembers+maxUnproven {
		return false
	}
	t.adverts[node] = seq
	return true
}

// news appends frames with what the peer has not been told yet: this node's
// credential always comes first. What does not fit into one write is left for the
// next; more says that there is some.
func (s *members) appendNews(b []byte, t *told, admitted bool) (frames []byte, more bool) {
	version := s.version.Load()
	if own := s.own.Load(); t.cred != own {
		t.cred = own
		b = appendFrame(b, kindCredential, own.Bytes())
	}
	if !admitted || t.version == version {
		return b, false
	}
	if t.revoked == nil {
		t.revoked = map[member.ID]int64{}
	}
	var body []byte
	for _, r := range s.allRevoked() {
		if at := r.At.UnixMilli(); t.revoked[r.Node] < at {
			if len(body)+member.RevocationLen > MaxFrame {
				more = true
				break
			}
			t.revoked[r.Node] = at
			body = append(body, r.Bytes()...)
		}
	}
	if len(body) > 0 {
		b = appendFrame(b, kindRevoked, body)
	}
	if time.Since(t.last) < tellPause {
		return b, true
	}
	body = nil
	for _, a := range s.allAdverts() {
		if len(body)+2+len(a.Bytes()) > MaxFrame {
			more = true
			break
		}
		if t.note(mark(a.Credential.Node), a.Seq) {
			body = appendEntry(body, a.Bytes())
		}
	}
	if len(body) > 0 {
		b = appendFrame(b, kindAdverts, body)
		t.last = time.Now()
	}
	if !more {
		t.version = version
	}
	return b, more
}

func (s *members) allRevoked() []*member.Revocation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revoked.All()
}

// allAdverts lists this node's own, and those of others.
func (s *members) allAdverts() (list []*member.Advert) {
	s.mu.Lock()
	if s.advert != nil {
		list = append(list, s.advert)
	}
	s.mu.Unlock()
	for _, p := range s.m.peers.all() {
		p.mu.Lock()
		if p.advert != nil {
			list = append(list, p.advert)
		}
		p.mu.Unlock()
	}
	return list
}

// limiter bounds how often proofs may be wrong.
type limiter struct {
	mu    sync.Mutex
	began time.Time
	total int
	by    map[string]int
}

// allows says whether somebody at that address may try.
func (l *limiter) allows(source string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if since := now.Sub(l.began); since >= failWindow || since < 0 {
		l.began, l.total, l.by = now, 0, map[string]int{}
	}
	return l.total < maxFailures && l.by[source] < maxSourceFails
}

// failed counts a wrong proof.
func (l *limiter) failed(source string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.by) >= maxSources {
		maps.DeleteFunc(l.by, func(string, int) bool { return true })
	}
	l.total++
	l.by[source]++
}
