package mesh

import (
	"crypto/ed25519"
	"sync"
	"time"

	"omx/node/catalog"
	"omx/node/mesh/member"
)

// signedRecord is a node's record with its signature, as it goes through others.
type signedRecord struct {
	seq  uint64
	raw  []byte    // not to be changed
	at   time.Time // when it was true
	news bool      // its facts are not those of the one before
}

const (
	signedLabel = "omx-record-1\x00"
	minSigned   = 8 + ed25519.SignatureSize
)

// signRecord appends the signature to a packed record.
func signRecord(key ed25519.PrivateKey, mesh member.MeshID, record []byte) []byte {
	return append(record, ed25519.Sign(key, signedText(mesh, record))...)
}

// verifyRecord returns the record in front of a signature; false if it is not node's.
func verifyRecord(node member.ID, mesh member.MeshID, raw []byte) (record []byte, ok bool) {
	n := len(raw) - ed25519.SignatureSize
	return raw[:n], ed25519.Verify(node[:], signedText(mesh, raw[:n]), raw[n:])
}

func signedText(mesh member.MeshID, record []byte) []byte {
	b := make([]byte, 0, len(signedLabel)+len(mesh)+len(record))
	return append(append(append(b, signedLabel...), mesh[:]...), record...)
}

// signer has this node's signed record, one for all who pass it on.
type signer struct {
	mu   sync.Mutex
	last *signedRecord
	info catalog.NodeInfo // what was signed
}

// signed is this node's record, signed anew if its facts have changed or it is old, or
// if somebody waits for one after a number. There may be none such yet.
func (m *Mesh) signed(after uint64) *signedRecord {
	s := &m.overlay.signer
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	m.mu.Lock()
	info := m.record
	m.mu.Unlock()
	news := true
	if s.last != nil {
		age := now.Sub(s.last.at)
		news = age >= signEvery && !sameFacts(&s.info, &info)
		if info.Seq <= s.last.seq || !news && age < signBeat && s.last.seq > after {
			return s.last
		}
	}
	s.info = info
	raw := signRecord(m.cfg.Key, m.overlay.mesh, m.appendRecord(nil, brief))
	s.last = &signedRecord{seq: recordSeq(raw), raw: raw, at: now, news: news}
	return s.last
}
