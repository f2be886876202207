package mesh

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"omx/node/mesh/member"
)

// Whatever a stranger says, it gets an end, nothing grows and nothing breaks.
func TestStrangersNonsense(t *testing.T) {
	first := founder(t)
	tok := invite(t, first, member.Serve, 1)
	m := newMachine(t)
	key, pid, _, err := identify(m.key)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	junk := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	preface := []byte{tagMember, version}
	cases := [][]byte{
		nil, {tagMember}, {tagMember, 99}, {'X', version}, {tagRequest, version}, {tagControl, version}, junk(100), preface,
		appendHeader(preface, kindJoin, MaxFrame), // oversized
		appendHeader(preface, kindJoin, 100),      // cut short
		appendFrame(preface, kindJoin, nil),
		appendFrame(preface, kindRenew, nil),
		appendFrame(preface, kindRecord, junk(50)),
		appendFrame([]byte{tagControl, version}, kindCredential, junk(member.CredentialLen)),
		appendFrame([]byte{tagControl, version}, kindRecord, []byte("{}")),
	}
	for range 30 {
		cases = append(cases, append(bytes.Clone(preface), junk(random.IntN(300))...),
			appendFrame(preface, kindJoin, append([]byte{memberVersion}, junk(random.IntN(120))...)),
			appendFrame(preface, kindRenew, append([]byte{memberVersion}, junk(member.CredentialLen)...)))
	}
	for i, c := range cases {
		h, err := newHost(key, pid, onlyPeer(first.peer), nil, &Config{})
		if err != nil {
			t.Fatal(err)
		}
		conn := dial(t, h, first)
		if conn == nil {
			t.Fatalf("case %d: not let in as a visitor", i)
		}
		if s, err := conn.NewStream(t.Context()); err == nil {
			_, _ = s.Write(c)
			_ = s.CloseWrite()
			_ = s.SetReadDeadline(time.Now().Add(2 * visitTime))
			if b, err := io.ReadAll(io.LimitReader(s, MaxFrame)); len(b) > 2*maxMessage {
				t.Errorf("case %d: %d bytes in answer, %v", i, len(b), err)
			}
		}
		if err := h.close(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all visitors have left", func() bool { return first.members.visitors.Load() == 0 })
	if n := len(first.peers.all()); n != 0 || first.Count() != 0 {
		t.Errorf("%d peers, %d connections", n, first.Count())
	}
	if n := first.Refusals()[joinDenied]; n == 0 {
		t.Error("no denial was counted")
	}
	t.Logf("refusals: %v", first.Refusals())
	// The door is still open for who has the token, from another address or later.
	first.members.limiter.mu.Lock()
	first.members.limiter.began = time.Time{}
	first.members.limiter.mu.Unlock()
	if err := m.join(t.Context(), tok, time.Now); err != nil {
		t.Error(err)
	}
}

// A proof that was recorded is worth nothing on another connection.
func TestReplayedProof(t *testing.T) {
	first := founder(t)
	tok := invite(t, first, member.Serve, 2)
	m := newMachine(t)
	key, pid, _, err := identify(m.key)
	if err != nil {
		t.Fatal(err)
	}
	connect := func() (func(payload []byte) error, []byte) {
		h, err := newHost(key, pid, onlyPeer(first.peer), nil, &Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.close() })
		conn := dial(t, h, first)
		if conn == nil {
			t.Fatal("not let in")
		}
		channel, _, err := channelOf(conn)
		if err != nil {
			t.Fatal(err)
		}
		return func(payload []byte) error {
			_, _, err := request(t.Context(), conn, kindJoin, payload, tok.Mesh, m.id(), time.Now)
			return err
		}, channel
	}
	ask, channel := connect()
	id, proof := tok.Prove(m.id(), channel)
	recorded := encodeJoin(id, proof, "n")
	if err := ask(recorded); err != nil {
		t.Fatal(err)
	}
	ask, _ = connect()
	if err := ask(recorded); !errors.Is(err, member.ErrNoInvite) {
		t.Errorf("replayed: %v", err)
	}
}

func TestLimiter(t *testing.T) {
	var l limiter
	now := time.Unix(1e9, 0)
	for range maxSourceFails {
		if !l.allows("a", now) {
			t.Fatal("refused too early")
		}
		l.failed("a")
	}
	if l.allows("a", now) || !l.allows("b", now) {
		t.Error("one source's failures are another's, or nobody's")
	}
	for i := range maxFailures - maxSourceFails {
		l.failed(string(rune('c' + i)))
	}
	if l.allows("b", now) || !l.allows("b", now.Add(failWindow)) {
		t.Error("there is no limit in all, or no end of it")
	}
	l = limiter{by: map[string]int{}}
	for i := range 3 * maxSources {
		l.failed(string(rune(i)))
		if len(l.by) > maxSources {
			t.Fatalf("%d sources", len(l.by))
		}
	}
}

func TestDenials(t *testing.T) {
	for _, reason := range denials {
		if err := parseDenial(encodeDenial(reason)); !errors.Is(err, reason) {
			t.Errorf("%v arrives as %v", reason, err)
		}
	}
}

func FuzzMembership(f *testing.F) {
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodeJoin(member.InviteID{1}, [member.ProofLen]byte{2}, "name"))
	f.Add(append([]byte{memberVersion}, make([]byte, member.CredentialLen)...))
	f.Add(append(append(bytes.Clone(pub), make([]byte, member.CredentialLen)...), 0, 1, 7))
	f.Add(encodeDenial(member.ErrFull))
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, proof, name, err := parseJoin(b); err == nil && !bytes.Equal(encodeJoin(id, proof, name)[:41], b[:41]) {
			t.Error("a join request reads other than it writes")
		}
		if raw, name, err := parseRenew(b); err == nil && (len(raw) != member.CredentialLen || len(name) > member.MaxName) {
			t.Error("a renewal exceeds its bounds")
		}
		if _, _, err := parseGrant(b, member.MeshOf(pub), member.ID{}, time.Now()); err == nil {
			t.Error("a grant without a signature")
		}
		_ = parseDenial(b)
		if list, err := splitList(b); err == nil {
			n := 0
			for _, e := range list {
				n += 2 + len(e)
			}
			if n != len(b) {
				t.Error("a list's entries do not add up")
			}
		}
	})
}
