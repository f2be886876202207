package mesh

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"omx/node/mesh/member"
)

// A request carries a ticket: the asking node's signature under the tenant that it asks
// for, the node that it asks, the connection, and how long this holds. To sign and to
// check one takes three times as long as a small request, so a ticket is good for many
// requests, which are numbered, and each number counts once. A request begins with
//
//	serial 8 | use 4 | length 1 | proof
//	proof: tenant 8 | lasts 4, in ms | signature 64
//
// and the proof is there until the first answer has come. Serials go up; no clock is
// compared with another machine's.
const (
	useLen   = 8 + 4 + 1
	proofLen = 8 + 4 + ed25519.SignatureSize

	maxTicketed = useLen + proofLen + MaxRequest

	ticketLabel  = "omx-ticket-1\x00"
	bindingLabel = "EXPORTER-omx-ticket-1"
	bindingLen   = 32
)

// Reasons for which a request was refused.
const (
	ticketUnreadable = "ticket_unreadable"
	ticketUnknown    = "ticket_unknown" // its proof was never shown
	ticketForged     = "ticket_forged"
	ticketExpired    = "ticket_expired"
	ticketReplayed   = "ticket_replayed"
)

// ticketScope is what the tickets of one connection have in common.
type ticketScope struct {
	mesh    member.MeshID
	binding [bindingLen]byte // secret of the connection's two ends
}

var errNoBinding = errors.New("the connection is not encrypted end to end")

// scope is that of a connection whose handshake is complete. Errors: errNoBinding.
func (l *link) scope(mesh member.MeshID) (*ticketScope, error) {
	var q *quic.Conn
	if !l.conn.As(&q) {
		return nil, errNoBinding
	}
	tls := q.ConnectionState().TLS
	secret, err := tls.ExportKeyingMaterial(bindingLabel, nil, bindingLen)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoBinding, err)
	}
	return &ticketScope{mesh: mesh, binding: [bindingLen]byte(secret)}, nil
}

// text is what is signed.
func (c *ticketScope) text(target member.ID, serial uint64, tenantLasts []byte) []byte {
	b := make([]byte, 0, len(ticketLabel)+len(c.mesh)+len(c.binding)+len(target)+8+len(tenantLasts))
	b = append(append(append(append(b, ticketLabel...), c.mesh[:]...), c.binding[:]...), target[:]...)
	return append(binary.BigEndian.AppendUint64(b, serial), tenantLasts...)
}

// ticket is one as the asking end has it.
type ticket struct {
	serial uint64
	until  time.Time
	proof  [proofLen]byte
	shown  atomic.Bool // the peer has it
	void   atomic.Bool // the peer does not take it
	uses   uint32      // begun; under the issuer's mutex
}

// use is one request's.
type use struct {
	ticket *ticket
	number uint32
}

// append writes what a request begins with.
func (u use) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, u.ticket.serial)
	b = binary.BigEndian.AppendUint32(b, u.number)
	if u.ticket.shown.Load() {
		return append(b, 0)
	}
	return append(append(b, proofLen), u.ticket.proof[:]...)
}

// issuer makes tickets for what this node asks on one connection.
type issuer struct {
	mu     sync.Mutex
	scope  *ticketScope
	serial uint64             // of the last one
	by     map[uint64]*ticket // by tenant
}

// use is the next one of a tenant's ticket.
func (i *issuer) use(m *Mesh, l *link, tenant uint64, now time.Time) (use, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	t := i.by[tenant]
	if t == nil || i.spent(t, now) {
		var err error
		if i.scope == nil {
			if i.scope, err = l.scope(m.overlay.mesh); err != nil {
				return use{}, err
			}
			i.by = map[uint64]*ticket{}
		}
		if len(i.by) >= ticketWindow {
			maps.DeleteFunc(i.by, func(_ uint64, t *ticket) bool { return i.spent(t, now) })
		}
		i.serial++
		t = &ticket{serial: i.serial, until: now.Add(ticketTime)}
		p := binary.BigEndian.AppendUint64(t.proof[:0], tenant)
		p = binary.BigEndian.AppendUint32(p, uint32(ticketTime.Milliseconds()))
		copy(t.proof[len(p):], ed25519.Sign(m.cfg.Key, i.scope.text(l.peer.key, t.serial, p)))
		i.by[tenant] = t
	}
	t.uses++
	return use{ticket: t, number: t.uses - 1}, nil
}

// spent says whether a ticket should not be used again. The other end remembers twice
// as many as this one uses.
func (i *issuer) spent(t *ticket, now time.Time) bool {
	return t.uses == ticketUses || !now.Before(t.until) || i.serial-t.serial >= ticketWindow/2 || t.void.Load()
}

// stub is a ticket as the serving end remembers it.
type stub struct {
	serial uint64
	tenant uint64
	until  time.Time
	used   [ticketUses / 64]uint64
}

// checker looks at the tickets of what a peer asks on one connection.
type checker struct {
	mu    sync.Mutex
	scope *ticketScope
	stubs map[uint64]*stub // by serial, modulo ticketWindow
}

// check takes the ticket in front of a request off, and says for which tenant it is; or
// why it does not count.
func (c *checker) check(m *Mesh, l *link, b []byte, now time.Time) (tenant uint64, request []byte, reason string) {
	if len(b) < useLen || len(b) < useLen+int(b[useLen-1]) {
		return 0, nil, ticketUnreadable
	}
	serial, number, n := binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), int(b[useLen-1])
	proof, request := b[useLen:useLen+n], b[useLen+n:]
	if n != 0 && n != proofLen || number >= ticketUses || serial == 0 {
		return 0, nil, ticketUnreadable
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stubs[serial%ticketWindow]
	switch {
	case s != nil && s.serial > serial:
		return 0, nil, ticketExpired
	case s != nil && s.serial == serial: // it has been shown
	case n == 0:
		return 0, nil, ticketUnknown
	default:
		if s = c.verify(m, l, serial, proof, now); s == nil {
			return 0, nil, ticketForged
		}
		c.stubs[serial%ticketWindow] = s
	}
	word, bit := &s.used[number/64], uint64(1)<<(number%64)
	switch {
	case !now.Before(s.until):
		return 0, nil, ticketExpired
	case *word&bit != 0:
		return 0, nil, ticketReplayed
	}
	*word |= bit
	return s.tenant, request, ""
}

// verify is a new ticket's stub, nil if the peer has not signed it for this node and
// this connection.
func (c *checker) verify(m *Mesh, l *link, serial uint64, proof []byte, now time.Time) *stub {
	if c.scope == nil {
		scope, err := l.scope(m.overlay.mesh)
		if err != nil {
			return nil
		}
		c.scope, c.stubs = scope, map[uint64]*stub{}
	}
	lasts := time.Duration(binary.BigEndian.Uint32(proof[8:])) * time.Millisecond
	signed, signature := proof[:proofLen-ed25519.SignatureSize], proof[proofLen-ed25519.SignatureSize:]
	if lasts > ticketTime || !ed25519.Verify(l.peer.key[:], c.scope.text(m.key, serial, signed), signature) {
		return nil
	}
	return &stub{serial: serial, tenant: binary.BigEndian.Uint64(proof), until: now.Add(lasts + requestTimeout)}
}
