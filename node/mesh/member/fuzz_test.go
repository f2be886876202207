package member

import (
	"bytes"
	"testing"
	"time"
)

func FuzzCredential(f *testing.F) {
	h, m, id := newHolder(f)
	f.Add(h.issue(id, Serve, true, now).Bytes())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCredential(b, m.Key)
		if err == nil && !bytes.Equal(c.Bytes(), b) {
			t.Error("it reads other than it writes")
		}
	})
}

func FuzzRevocation(f *testing.F) {
	h, m, id := newHolder(f)
	f.Add(Revocation{Mesh: h.mesh, Node: id, At: now, Until: now.Add(time.Hour)}.sign(h.key).Bytes())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRevocation(b, m.Key)
		if err == nil && !bytes.Equal(r.Bytes(), b) {
			t.Error("it reads other than it writes")
		}
		var s Revoked
		s.Has(b)
	})
}

// The addresses of an advert are read before its signature is known to be good.
func FuzzAdvert(f *testing.F) {
	h, m, _ := newHolder(f)
	key, node := newID(f)
	c := h.issue(node, Serve, false, now)
	f.Add(NewAdvert(key, c, 1, addrs(f, "/ip4/192.0.2.1/udp/1/quic-v1", "/dns4/a.b/udp/1/quic-v1")).Bytes()[CredentialLen:], true)
	f.Add([]byte{8, 255}, false)
	f.Fuzz(func(t *testing.T, b []byte, genuine bool) {
		if genuine {
			b = append(c.Bytes(), b...)
		}
		a, err := ParseAdvert(b, m.Key)
		if err == nil && (len(a.Addrs) > MaxAddrs || !bytes.Equal(a.Bytes(), b)) {
			t.Error("it reads other than it writes")
		}
	})
}

func FuzzToken(f *testing.F) {
	h, _, id := newHolder(f)
	tok, err := h.Invite(id, addrs(f, "/ip4/192.0.2.1/udp/1/quic-v1"), Serve, 1, time.Hour, now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(tok.String())
	f.Add("omx1 oO iI lL")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseToken(s)
		if err != nil {
			return
		}
		b, err := ParseToken(a.String())
		if err != nil || b.String() != a.String() {
			t.Errorf("%q reads other than it writes: %v", s, err)
		}
	})
}
