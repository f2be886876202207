package mesh

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"omx/node/catalog"
)

// ticketed is what a request of a tenant begins with, on the connection in use.
func ticketed(t testing.TB, from, to *testPeer, tenant uint64) []byte {
	t.Helper()
	l := from.pool.find(to.ID()).Conn()
	u, err := l.issuer.use(from.Mesh, l, tenant, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return u.append(nil)
}

// tells has a peer answer with the tenant that it is asked for.
func tells(p *testPeer) {
	p.handle(func(_ context.Context, s *ServerStream) {
		_ = s.Token(binary.BigEndian.AppendUint64(nil, s.Tenant()), 1)
		s.Done(nil)
	})
}

// as asks for a tenant.
func as(ctx context.Context, from *testPeer, to catalog.NodeID, tenant uint64) (got uint64, err error) {
	s, err := from.Open(ctx, to, tenant, []byte("x"))
	if err != nil {
		return 0, err
	}
	defer s.Close()
	for {
		tok, err := s.Next()
		if errors.Is(err, ErrDone) {
			return got, nil
		}
		if err != nil {
			return 0, err
		}
		got = binary.BigEndian.Uint64(tok.Text)
	}
}

// Requests of many tenants, at once and one after the other, more than a ticket is
// good for and of more tenants than are remembered, are each served for their own.
func TestTicketOfEachTenant(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	tells(b)
	errs := make(chan error, 8)
	for w := range cap(errs) {
		go func() {
			for i := range uint64(2 * ticketWindow) {
				tenant := i * uint64(w%4) // a quarter is of one
				got, err := as(t.Context(), a, b.ID(), tenant)
				if err == nil && got != tenant {
					err = errors.New("served for another")
				}
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	i := &a.pool.find(b.ID()).Conn().issuer
	i.mu.Lock()
	t0, last := i.by[0], i.serial
	i.mu.Unlock()
	for range 2 * ticketUses {
		ticketed(t, a, b, 0)
	}
	if got, err := as(t.Context(), a, b.ID(), 0); err != nil || got != 0 {
		t.Errorf("after many: %d, %v", got, err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.by[0] == t0 || i.serial > last+3 {
		t.Errorf("%d tickets for %d requests", i.serial-last, 2*ticketUses)
	}
	if len(i.by) > ticketWindow || len(b.Refusals()) > 0 {
		t.Errorf("%d tickets are kept, refused %v", len(i.by), b.Refusals())
	}
}

// Whatever a ticket is not, the request is refused with a reason that is counted, and
// the connection serves on.
func TestTicketsThatDoNotCount(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	tells(b)
	la := a.pool.find(b.ID()).Conn()
	b.await(t, "a is up", func() bool { return b.up[a.ID()] })
	lb := b.pool.find(a.ID()).Conn()
	scope, err := la.scope(a.overlay.mesh)
	if err != nil {
		t.Fatal(err)
	}
	// proof is one as the asking end might make it.
	proof := func(key ed25519.PrivateKey, c *ticketScope, target *testPeer, serial uint64, lasts time.Duration) []byte {
		b := binary.BigEndian.AppendUint64(nil, serial)
		b = append(binary.BigEndian.AppendUint32(b, 0), proofLen)
		p := binary.BigEndian.AppendUint64(nil, 9)
		p = binary.BigEndian.AppendUint32(p, uint32(lasts.Milliseconds()))
		return append(append(b, p...), ed25519.Sign(key, c.text(target.key, serial, p))...)
	}
	change := func(b []byte, at int) []byte {
		b = slices.Clone(b)
		b[at] ^= 1
		return b
	}
	good := proof(a.cfg.Key, scope, b, 2*ticketWindow, time.Second)
	otherMesh, otherBinding := *scope, *scope
	otherMesh.mesh[0]++
	otherBinding.binding[0]++
	now := time.Now()
	next := uint64(2*ticketWindow + 1)
	for _, c := range []struct {
		name   string
		ticket []byte
		at     time.Time
		want   string
	}{
		{"nothing", nil, now, ticketUnreadable},
		{"cut short", good[:useLen+10], now, ticketUnreadable},
		{"of no serial", make([]byte, useLen), now, ticketUnreadable},
		{"beyond its uses", append(binary.BigEndian.AppendUint32(slices.Clone(good[:8]), ticketUses), 0), now, ticketUnreadable},
		{"never shown", append(slices.Clone(good[:useLen-1]), 0), now, ticketUnknown},
		{"of another tenant", change(good, useLen), now, ticketForged},
		{"for longer", change(good, useLen+8), now, ticketForged},
		{"signed by another", proof(b.cfg.Key, scope, b, next, time.Second), now, ticketForged},
		{"for another node", proof(a.cfg.Key, scope, a, next, time.Second), now, ticketForged},
		{"of another mesh", proof(a.cfg.Key, &otherMesh, b, next, time.Second), now, ticketForged},
		{"of another connection", proof(a.cfg.Key, &otherBinding, b, next, time.Second), now, ticketForged},
		{"good for too long", proof(a.cfg.Key, scope, b, next, ticketTime+time.Millisecond), now, ticketForged},
		{"good", good, now, ""},
		{"used before", good, now, ticketReplayed},
		{"used before, not shown again", append(slices.Clone(good[:useLen-1]), 0), now, ticketReplayed},
		{"one more use", append(change(good[:useLen-1], useLen-2), 0), now, ""},
		{"too late", append(change(good[:useLen-1], useLen-3), 0), now.Add(time.Second + requestTimeout), ticketExpired},
		{"older than what is remembered", proof(a.cfg.Key, scope, b, ticketWindow, time.Second), now, ticketExpired},
	} {
		tenant, request, got := lb.checker.check(b.Mesh, lb, append(slices.Clone(c.ticket), 'x'), c.at)
		if got != c.want || got == "" && (tenant != 9 || string(request) != "x") {
			t.Errorf("%s: %q for %d, refused %q, want %q", c.name, request, tenant, got, c.want)
		}
	}

	s, err := a.host.swarm.NewStream(t.Context(), b.peer)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Reset()
	frame := appendFrame([]byte{tagRequest, version}, kindRequest, append(slices.Clone(good), 'x'))
	r := newFrameReader(s)
	for range 2 {
		if _, err := s.Write(frame); err != nil {
			t.Fatal(err)
		}
		k, payload, err := r.next()
		if k != kindRefused || err != nil {
			t.Fatal(k, err)
		}
		if e, err := parseRefused(payload); err != nil || e.Code != CodeTicket {
			t.Errorf("%v, %v", e, err)
		}
		frame = frame[prefaceLen:]
	}
	if n := b.Refusals()[ticketReplayed]; n != 2 {
		t.Errorf("%d replays are counted", n)
	}
	// A ticket that was refused is not used again.
	la.issuer.mu.Lock()
	la.issuer.serial = ticketWindow - 1
	la.issuer.mu.Unlock()
	var refused *RefusedError
	if _, err := as(t.Context(), a, b.ID(), 7); !errors.As(err, &refused) || refused.Code != CodeTicket {
		t.Errorf("an old one: %v", err)
	}
	if got, err := as(t.Context(), a, b.ID(), 7); err != nil || got != 7 {
		t.Errorf("a new one: %d, %v", got, err)
	}
}

// A ticket is made anew before the other end takes it for old.
func TestTicketInTime(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	l := a.pool.find(b.ID()).Conn()
	now := time.Now()
	first, err1 := l.issuer.use(a.Mesh, l, 1, now)
	same, err2 := l.issuer.use(a.Mesh, l, 1, now.Add(ticketTime-1))
	later, err3 := l.issuer.use(a.Mesh, l, 1, now.Add(ticketTime))
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if first.ticket != same.ticket || same.number != 1 || later.ticket == first.ticket {
		t.Error("not while it lasts")
	}
}

// One more use of a ticket costs nothing on the heap, here and there.
func TestTicketUseAllocates(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	b.await(t, "a is up", func() bool { return b.up[a.ID()] })
	l, r := a.pool.find(b.ID()).Conn(), b.pool.find(a.ID()).Conn()
	now := time.Now()
	buf := ticketed(t, a, b, 1)
	if _, _, reason := r.checker.check(b.Mesh, r, buf, now); reason != "" {
		t.Fatal(reason)
	}
	if n := testing.AllocsPerRun(1000, func() {
		u, err := l.issuer.use(a.Mesh, l, 1, now)
		buf = u.append(buf[:0])
		if _, _, reason := r.checker.check(b.Mesh, r, buf, now); err != nil || reason != "" {
			t.Error(err, reason)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzTicket(f *testing.F) {
	a, b := pair(f, 3*time.Second)
	b.await(f, "a is up", func() bool { return b.up[a.ID()] })
	l := b.pool.find(a.ID()).Conn()
	good := append(ticketed(f, a, b, 5), 'x')
	f.Add(good)
	f.Add(good[:useLen])
	f.Fuzz(func(t *testing.T, in []byte) {
		tenant, _, reason := l.checker.check(b.Mesh, l, in, time.Now())
		if reason == "" && tenant != 5 {
			t.Errorf("served for %d", tenant)
		}
	})
}

func BenchmarkTicket(b *testing.B) {
	from, to := pair(b, 3*time.Second)
	to.await(b, "it is up", func() bool { return to.up[from.ID()] })
	l, r := from.pool.find(to.ID()).Conn(), to.pool.find(from.ID()).Conn()
	for _, c := range []struct {
		name string
		uses int
	}{{"use", ticketUses}, {"anew", 1}} {
		b.Run(c.name, func(b *testing.B) {
			buf := make([]byte, 0, 256)
			now := time.Now()
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				tenant := uint64(n / c.uses)
				u, err := l.issuer.use(from.Mesh, l, tenant, now)
				if err != nil {
					b.Fatal(err)
				}
				buf = u.append(buf[:0])
				if got, _, reason := r.checker.check(to.Mesh, r, buf, now); got != tenant || reason != "" {
					b.Fatal(got, reason)
				}
				u.ticket.shown.Store(true)
			}
		})
	}
}
