package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
)

// fingerprint hashes all that happens in a run, in order.
type fingerprint struct {
	hash hash.Hash
	buf  []byte
}

const printBuffer = 32 << 10

func newFingerprint() *fingerprint {
	return &fingerprint{hash: sha256.New(), buf: make([]byte, 0, printBuffer)}
}

func (p *fingerprint) number(v uint64) {
	if len(p.buf)+8 > printBuffer {
		p.hash.Write(p.buf)
		p.buf = p.buf[:0]
	}
	p.buf = binary.LittleEndian.AppendUint64(p.buf, v)
}

func (p *fingerprint) event(e *event) {
	p.number(uint64(e.at))
	p.number(uint64(e.kind)<<56 | uint64(uint32(e.node)))
	p.number(uint64(uint32(e.req)))
}

func workloadPrint(requests []request) string {
	p := newFingerprint()
	for _, q := range requests {
		p.number(uint64(q.at))
		p.number(uint64(uint32(q.entry))<<32 | uint64(uint32(q.model)))
		p.number(uint64(uint32(q.prompt))<<32 | uint64(uint32(q.output)))
	}
	return p.String()
}

// String ends the fingerprint: 32 hexadecimal digits.
func (p *fingerprint) String() string {
	p.hash.Write(p.buf)
	p.buf = p.buf[:0]
	return hex.EncodeToString(p.hash.Sum(nil)[:16])
}
