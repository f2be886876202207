package member

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

func newID(t testing.TB) (ed25519.PrivateKey, ID) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, ID(pub)
}

// now is what the tests' clock says.
var now = time.UnixMilli(1_800_000_000_000)

// newHolder is a mesh of one node.
func newHolder(t testing.TB) (*Holder, *Membership, ID) {
	t.Helper()
	_, id := newID(t)
	dir := filepath.Join(t.TempDir(), "mesh")
	m, err := Init(dir, id, "first", now)
	if err != nil {
		t.Fatal(err)
	}
	h, err := OpenHolder(dir, m, 0)
	if err != nil || h == nil {
		t.Fatalf("open holder: %v", err)
	}
	return h, m, id
}

func addrs(t testing.TB, list ...string) (all []ma.Multiaddr) {
	for _, s := range list {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

func TestCredential(t *testing.T) {
	h, m, _ := newHolder(t)
	_, other, _ := newHolder(t)
	_, node := newID(t)
	_, stranger := newID(t)
	c := h.issue(node, Observe, true, now)
	got, err := ParseCredential(c.Bytes(), m.Key)
	if err != nil || *got != *c || got.Role != Observe || !got.Holder || !got.Expires.Equal(now.Add(DefaultLife)) {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := ParseCredential(c.Bytes(), other.Key); !errors.Is(err, ErrOtherMesh) {
		t.Errorf("another mesh: %v", err)
	}
	for _, k := range []struct {
		who  ID
		when time.Time
		want error
	}{
		{node, now, nil}, {node, now.Add(-clockSkew), nil}, {node, now.Add(DefaultLife - 1), nil},
		{stranger, now, ErrOtherNode}, {node, now.Add(-clockSkew - 1), ErrNotYet}, {node, now.Add(DefaultLife), ErrExpired},
	} {
		if err := got.Check(k.who, k.when); !errors.Is(err, k.want) || (err == nil) != (k.want == nil) {
			t.Errorf("at %v: %v, want %v", k.when.Sub(now), err, k.want)
		}
	}
	if got.Due(now.Add(DefaultLife/2-1)) || !got.Due(now.Add(DefaultLife/2)) {
		t.Error("not due at half of its time")
	}
	// Every bit counts.
	for i := range c.raw {
		b := c.Bytes()
		b[i] ^= 0x10
		if _, err := ParseCredential(b, m.Key); err == nil {
			t.Fatalf("byte %d was changed and nobody saw it", i)
		}
	}
	// A signature over one kind of statement is none over another.
	r := Revocation{Mesh: h.mesh, Node: node, At: now, Until: now.Add(time.Hour)}.sign(h.key)
	if verified(m.Key, credentialLabel, r.raw[:]) {
		t.Error("a revocation's signature passes for a credential's")
	}
}

func TestRevoked(t *testing.T) {
	h, m, _ := newHolder(t)
	_, node := newID(t)
	before, after := h.issue(node, Serve, false, now), h.issue(node, Serve, false, now.Add(2*time.Second))
	r, err := h.Revoke(node, now.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseRevocation(r.Bytes(), m.Key)
	if err != nil || *again != *r {
		t.Fatalf("%+v, %v", again, err)
	}
	var s Revoked
	if !s.Add(again, now) || s.Add(again, now) || !s.Has(r.Bytes()) {
		t.Error("not added once")
	}
	if !s.Covers(before) || s.Covers(after) {
		t.Error("it must void what was issued before it, and nothing else")
	}
	s.Forget(r.Until.Add(-1))
	if len(s.All()) != 1 {
		t.Error("forgotten too early")
	}
	s.Forget(r.Until)
	if len(s.All()) != 0 || s.Add(r, r.Until) {
		t.Error("not forgotten")
	}
	for i := range maxRevocations + 5 {
		_, id := newID(t)
		s.Add(Revocation{Mesh: h.mesh, Node: id, At: now, Until: now.Add(time.Hour)}.sign(h.key), now)
		if n := len(s.All()); n > maxRevocations {
			t.Fatalf("%d revocations after %d", n, i)
		}
	}
}

func TestAdvert(t *testing.T) {
	h, m, _ := newHolder(t)
	key, node := newID(t)
	c := h.issue(node, Serve, false, now)
	list := addrs(t, "/ip4/192.0.2.1/udp/4001/quic-v1", "/dns4/example.org/udp/1/quic-v1")
	for range 20 {
		list = append(list, list[0])
	}
	a := NewAdvert(key, c, 7, list)
	got, err := ParseAdvert(a.Bytes(), m.Key)
	if err != nil || got.Seq != 7 || len(got.Addrs) != MaxAddrs || !got.Addrs[1].Equal(list[1]) || got.Credential.Node != node {
		t.Fatalf("%+v, %v", got, err)
	}
	other, _ := newID(t)
	if _, err := ParseAdvert(NewAdvert(other, c, 8, list).Bytes(), m.Key); !errors.Is(err, ErrForged) {
		t.Errorf("signed by another: %v", err)
	}
	for _, k := range []struct {
		seq, known uint64
		want       bool
	}{{8, 7, true}, {7, 7, false}, {6, 7, false}, {uint64(now.Add(time.Hour).UnixMicro()), 7, false}, {1<<64 - 1, 0, false}} {
		if News(k.seq, k.known, now.UnixMicro()) != k.want {
			t.Errorf("News(%d, %d) is not %v", k.seq, k.known, k.want)
		}
	}
}

func TestTokenText(t *testing.T) {
	h, _, id := newHolder(t)
	tok, err := h.Invite(id, addrs(t, "/ip4/192.0.2.1/udp/4001/quic-v1", "/ip6/2001:db8::1/udp/4001/quic-v1"), Serve, 1, time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	text := tok.String()
	t.Logf("%d characters: %s", len(text), text)
	spaced := strings.ToUpper(text[:10]) + " - \n" + strings.NewReplacer("0", "O", "1", "l").Replace(text[10:])
	for _, s := range []string{text, strings.ToUpper(text), " " + text + "\n", spaced} {
		got, err := ParseToken(s)
		if err != nil || got.Mesh != tok.Mesh || got.Node != id || got.Secret != tok.Secret || len(got.Addrs) != 2 {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
	}
	for i := range text { // one mistyped character
		c := "z"
		if text[i] == 'z' {
			c = "y"
		}
		if got, err := ParseToken(text[:i] + c + text[i+1:]); err == nil && got.String() != text {
			t.Errorf("a mistake at %d was not seen", i)
		}
	}
	for _, s := range []string{"", "omx1", "hello", text[:len(text)-1], text + "0", strings.Repeat("omx1", 5000)} {
		if _, err := ParseToken(s); !errors.Is(err, errToken) {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

func TestJoin(t *testing.T) {
	h, m, inviter := newHolder(t)
	_, a := newID(t)
	_, b := newID(t)
	channel := []byte("channel")
	tok, err := h.Invite(inviter, nil, Gateway, 1, time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	id, proof := tok.Prove(a, channel)
	for name, try := range map[string]func() error{
		"on another connection": func() error { _, err := h.Join(a, inviter, id, proof, []byte("other"), "", now); return err },
		"by somebody else":      func() error { _, err := h.Join(b, inviter, id, proof, channel, "", now); return err },
		"to somebody else":      func() error { _, err := h.Join(a, b, id, proof, channel, "", now); return err },
		"too late": func() error {
			_, err := h.Join(a, inviter, id, proof, channel, "", now.Add(time.Hour))
			return err
		},
		"unknown": func() error { _, err := h.Join(a, inviter, InviteID{}, proof, channel, "", now); return err },
	} {
		if err := try(); !errors.Is(err, ErrNoInvite) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := h.Join(a, inviter, id, proof, channel, "a", now)
	if err != nil || c.Role != Gateway || c.Holder || c.Check(a, now) != nil {
		t.Fatalf("%+v, %v", c, err)
	}
	// What counts is on disk: a holder that starts again remembers.
	if h, err = OpenHolder(h.dir, m, 0); err != nil {
		t.Fatal(err)
	}
	id, proof = tok.Prove(b, channel)
	if _, err := h.Join(b, inviter, id, proof, channel, "b", now); !errors.Is(err, ErrUsedUp) {
		t.Errorf("used up: %v", err)
	}
	if list := h.Members(); len(list) != 2 || list[0].Name != "a" || list[1].Node != inviter {
		t.Errorf("%+v", list)
	}
	late := now.Add(48 * time.Hour)
	if _, err := h.Renew(c, "a", late); err != nil {
		t.Errorf("a known member after its credential has expired: %v", err)
	}
	elsewhere := h.issue(b, Serve, false, now)
	if _, err := h.Renew(elsewhere, "b", late); !errors.Is(err, ErrNotMember) {
		t.Errorf("an unknown one: %v", err)
	}
	if _, err := h.Renew(elsewhere, "b", now); err != nil {
		t.Errorf("one that another holder has let in: %v", err)
	}
	r, err := h.Revoke(a, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Renew(c, "a", late); !errors.Is(err, ErrNotMember) {
		t.Errorf("revoked: %v", err)
	}
	if err := h.Heed(r); err != nil || len(h.Members()) != 2 {
		t.Errorf("heeding its own: %v", err)
	}
	if h.Inviting(now) {
		t.Error("a token that a revoked node knew is still open")
	}
}

func TestBounds(t *testing.T) {
	h, _, id := newHolder(t)
	for i := range maxInvites {
		if _, err := h.Invite(id, nil, Serve, 1, time.Duration(i+1)*time.Minute, now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Invite(id, nil, Serve, 1, time.Hour, now); err == nil {
		t.Error("one token too many")
	}
	if _, err := h.Invite(id, nil, Serve, 1, time.Hour, now.Add(time.Minute)); err != nil {
		t.Errorf("after one has expired: %v", err)
	}
	for _, k := range []struct {
		uses int
		life time.Duration
	}{{0, time.Hour}, {maxInviteUses + 1, time.Hour}, {1, 0}, {1, maxInviteLife + 1}} {
		if _, err := h.Invite(id, nil, Serve, k.uses, k.life, now.Add(24*time.Hour)); err == nil {
			t.Errorf("%+v was allowed", k)
		}
	}
	for len(h.state.Members) < MaxMembers {
		_, m := newID(t)
		h.state.Members = append(h.state.Members, Member{Node: m, Name: "x"})
	}
	_, m := newID(t)
	if _, err := h.Renew(h.issue(m, Serve, false, now), "m", now); !errors.Is(err, ErrFull) {
		t.Errorf("one member too many: %v", err)
	}
	if err := h.save(); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(h.dir, holderFile))
	if err != nil || st.Size() > maxFile {
		t.Errorf("a full list has %d bytes, %d are read: %v", st.Size(), maxFile, err)
	}
}

func TestFiles(t *testing.T) {
	h, m, id := newHolder(t)
	for _, name := range []string{membershipFile, keyFile, holderFile} {
		path := filepath.Join(h.dir, name)
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v, %v", name, st.Mode(), err)
		}
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		open := func() error {
			if got, err := Load(h.dir); err != nil || got == nil {
				return fmt.Errorf("load: %w", err)
			}
			_, err := OpenHolder(h.dir, m, 0)
			return err
		}
		flipped := bytes.Clone(good)
		flipped[len(flipped)/2] ^= 1
		for _, bad := range [][]byte{nil, good[:len(good)/2], flipped, []byte("null")} {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := open(); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%s damaged: %v", name, err)
			}
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(); err != nil {
			t.Errorf("%s put back: %v", name, err)
		}
	}
	if err := os.Chmod(filepath.Join(h.dir, keyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenHolder(h.dir, m, 0); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
	if _, err := Init(h.dir, id, "again", now); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second mesh in one folder: %v", err)
	}
	_, other, _ := newHolder(t)
	if err := os.Chmod(filepath.Join(h.dir, keyFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenHolder(h.dir, other, 0); err == nil || !strings.Contains(err.Error(), "is of mesh") {
		t.Errorf("another mesh's key: %v", err)
	}
	if m, err := Load(t.TempDir()); m != nil || err != nil {
		t.Errorf("an empty folder: %v, %v", m, err)
	}
}

func TestKnown(t *testing.T) {
	h, m, _ := newHolder(t)
	key, node := newID(t)
	a := NewAdvert(key, h.issue(node, Serve, false, now), 1, addrs(t, "/ip4/192.0.2.1/udp/1/quic-v1"))
	r, err := h.Revoke(node, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := SaveKnown(h.dir, []*Advert{a, {raw: []byte("x")}}, []*Revocation{r}); err != nil {
		t.Fatal(err)
	}
	adverts, revoked, err := LoadKnown(h.dir, m, now)
	if len(adverts) != 1 || len(revoked) != 1 || !errors.Is(err, ErrForm) {
		t.Errorf("%v, %v, %v", adverts, revoked, err)
	}
	if _, revoked, _ := LoadKnown(h.dir, m, r.Until); len(revoked) != 0 {
		t.Error("a revocation that is over")
	}
	if a, r, err := LoadKnown(t.TempDir(), m, now); len(a)+len(r) != 0 || err != nil {
		t.Error(a, r, err)
	}
}
