package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"omx/node/mesh/member"
	"omx/node/nodetest"
	"omx/testnet/virtual/vnet"
)

// behindRouters are members on a simulated network with 20 ms one way, each behind a
// router of its kind and knowing the first. Those before relays are relays.
func behindRouters(t *testing.T, relays int, kinds ...vnet.NAT) (*vnet.Net, []*testPeer) {
	t.Helper()
	nw := vnet.New(vnet.Config{NAT: func(i int) vnet.NAT { return kinds[i] },
		Path: func(int, int) vnet.Path { return vnet.Path{Delay: 20 * time.Millisecond} }})
	t.Cleanup(func() {
		nw.Close()
		sleep(context.Background(), time.Second) // what QUIC has running ends
	})
	var holder *member.Holder
	var peers []*testPeer
	for i := range kinds {
		m := machine{newKey(t), filepath.Join(t.TempDir(), "mesh")}
		if holder == nil {
			ship, err := member.Init(m.dir, m.id(), "first", time.Now())
			if err == nil {
				holder, err = member.OpenHolder(m.dir, ship, 0)
			}
			if err != nil {
				t.Fatal(err)
			}
		} else {
			own := holder.Own(m.id(), member.Serve, time.Now())
			ship := &member.Membership{Key: peers[0].members.key, Credential: own}
			if err := ship.Save(m.dir); err != nil {
				t.Fatal(err)
			}
		}
		peers = append(peers, m.start(t, func(c *Config) {
			c.Listen = []string{fmt.Sprintf("/ip4/%s/udp/4001/quic-v1", vnet.IP(i))}
			c.ListenUDP = func(_ string, a *net.UDPAddr) (net.PacketConn, error) { return nw.Listen(i, a.Port) }
			c.SourceIP = vnet.IP(i)
			c.Relay = i < relays
			if i > 0 {
				c.Peers = []string{vnet.IP(0).String() + ":4001"}
			}
		}))
	}
	return nw, peers
}

func (p *testPeer) sessionWith(o *testPeer) *session { return p.Mesh.sessionOf(o.peer) }

// path tells how two peers are connected: "" if they are not.
func path(a, b *testPeer) string {
	x, y := a.sessionWith(b), b.sessionWith(a)
	switch {
	case x == nil || y == nil || !a.Has(b.ID()) || !b.Has(a.ID()):
		return ""
	case x.link.relayed && y.link.relayed:
		return "relayed"
	case !x.link.relayed && !y.link.relayed:
		return "direct"
	}
	return "mixed"
}

// soon waits in virtual time.
func soon(t *testing.T, what string, within time.Duration, cond func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !cond() {
		if time.Since(began) > within {
			t.Fatalf("not within %v: %s", within, what)
		}
		sleep(t.Context(), 5*time.Millisecond)
	}
	return time.Since(began)
}

func answered(t *testing.T, from, to *testPeer, text string) error {
	t.Helper()
	s, err := from.Open(t.Context(), to.ID(), 0, []byte(text))
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		if _, err := s.Next(); errors.Is(err, ErrDone) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Two behind routers that keep their ports find one another through a relay, and get
// past it.
func TestThroughARelayAndPastIt(t *testing.T) {
	nodetest.Bubble(t, func(t *testing.T) {
		nw, p := behindRouters(t, 1, vnet.Open, vnet.Cone, vnet.Cone)
		a, b := p[1], p[2]
		first := soon(t, "connected", 10*time.Second, func() bool { return path(a, b) != "" })
		if err := answered(t, a, b, "through the relay"); err != nil {
			t.Error(err)
		}
		if p[0].Relayed().Packets == 0 {
			t.Error("the relay has passed nothing on")
		}
		past := soon(t, "direct", 10*time.Second, func() bool { return path(a, b) == "direct" })
		t.Logf("connected after %v, direct %v later", first, past)
		before := p[0].Relayed()
		if err := errors.Join(answered(t, a, b, "to b"), answered(t, b, a, "to a")); err != nil {
			t.Error(err)
		}
		sleep(t.Context(), 5*time.Second)
		nw.Kill(0)
		sleep(t.Context(), 10*time.Second)
		if path(a, b) != "direct" || answered(t, a, b, "without the relay") != nil {
			t.Errorf("without the relay: %q", path(a, b))
		}
		if after := p[0].Relayed(); after.Packets > before.Packets+50 { // the end of the old connection
			t.Errorf("the relay still has %d packets to pass on", after.Packets-before.Packets)
		}
	})
}

// What has begun on the relayed connection ends there, while another already takes its
// place: nothing of an answer is lost.
func TestAnswerOutlivesTheRelayedConnection(t *testing.T) {
	nodetest.Bubble(t, func(t *testing.T) {
		_, p := behindRouters(t, 1, vnet.Open, vnet.Cone, vnet.Cone)
		a, b := p[1], p[2]
		const tokens = 200
		b.serve = func(ctx context.Context, s *ServerStream) {
			for i := range tokens {
				if s.Token([]byte{byte(i)}, 1) != nil || !sleep(ctx, 10*time.Millisecond) {
					return
				}
			}
			s.Done(nil)
		}
		soon(t, "connected", 10*time.Second, func() bool { return path(a, b) == "relayed" })
		s, err := a.Open(t.Context(), b.ID(), 0, []byte("?"))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if !a.sessionWith(b).link.relayed {
			t.Fatal("became direct before the answer began")
		}
		for i := range tokens {
			tok, err := s.Next()
			if err != nil || len(tok.Text) != 1 || tok.Text[0] != byte(i) {
				t.Fatalf("token %d: %v %v", i, tok, err)
			}
		}
		if _, err := s.Next(); !errors.Is(err, ErrDone) || path(a, b) != "direct" {
			t.Errorf("at the end: %v, and connected %q", err, path(a, b))
		}
		s.Close()
		soon(t, "the relayed connection is closed", 5*time.Second, func() bool {
			return len(a.host.swarm.ConnsToPeer(b.peer)) == 1 && len(b.host.swarm.ConnsToPeer(a.peer)) == 1
		})
	})
}

// Routers with another port for each destination keep the two from one another; they
// go on through a relay, and through the other one when the first is gone.
func TestOnlyThroughRelays(t *testing.T) {
	nodetest.Bubble(t, func(t *testing.T) {
		nw, p := behindRouters(t, 2, vnet.Open, vnet.Open, vnet.Symmetric, vnet.Symmetric)
		a, b := p[2], p[3]
		soon(t, "connected", 10*time.Second, func() bool { return path(a, b) == "relayed" })
		sleep(t.Context(), time.Minute)
		if err := errors.Join(answered(t, a, b, "to b"), answered(t, b, a, "to a")); err != nil || path(a, b) != "relayed" {
			t.Errorf("after a minute %q: %v", path(a, b), err)
		}
		used := 0
		if p[1].Relayed().Packets > p[0].Relayed().Packets {
			used = 1
		}
		other := p[1-used]
		before := other.Relayed().Packets // it may have passed on some of theirs, too
		nw.Kill(used)
		gap := soon(t, "answered through the other", 15*time.Second, func() bool { return answered(t, a, b, "again") == nil })
		if n := other.Relayed().Packets - before; n == 0 || path(a, b) != "relayed" {
			t.Errorf("%q, and %d packets went through the other relay", path(a, b), n)
		}
		t.Logf("through the other relay after %v", gap)
	})
}

// Nobody passes anything on who was not told to.
func TestOnlyRelaysRelay(t *testing.T) {
	nodetest.Bubble(t, func(t *testing.T) {
		_, p := behindRouters(t, 0, vnet.Open, vnet.Cone, vnet.Cone)
		a, b := p[1], p[2]
		soon(t, "both at the first", 10*time.Second, func() bool { return path(p[0], a) == "direct" && path(p[0], b) == "direct" })
		packet := appendPassed(nil, passOn, b.id.Handle(), make([]byte, 100))
		if err := a.sessionWith(p[0]).link.datagram(packet); err != nil {
			t.Fatal(err)
		}
		sleep(t.Context(), 20*time.Second)
		if got := p[0].Relayed(); path(a, b) != "" || got != (RelayStats{}) {
			t.Errorf("connected %q, passed on %+v", path(a, b), got)
		}
	})
}

// A relay takes rubbish, and more than it passes on.
func TestRelayDropsWhatIsTooMuch(t *testing.T) {
	nodetest.Bubble(t, func(t *testing.T) {
		_, p := behindRouters(t, 1, vnet.Open, vnet.Symmetric, vnet.Symmetric)
		r, a, b := p[0], p[1], p[2]
		soon(t, "connected", 10*time.Second, func() bool { return path(a, b) == "relayed" })
		l := a.sessionWith(r).link
		for _, bad := range [][]byte{{}, {passOn}, {99, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, appendPassed(nil, passOn, 1, []byte("nobody")),
			appendPassed(nil, passOn, a.id.Handle(), []byte("to itself")), appendPassed(nil, passed, b.id.Handle(), []byte("as a relay does"))} {
			if err := l.datagram(bad); err != nil {
				t.Fatal(err)
			}
		}
		soon(t, "refused", time.Second, func() bool { return r.Relayed().Dropped >= 2 && r.Refusals()[unreadable] >= 3 })
		if !r.relay.allow.AllowN(time.Now(), passBurst/2) {
			t.Fatal("nothing is left of the allowance")
		}
		full, before := appendPassed(nil, passOn, b.id.Handle(), make([]byte, 1100)), r.Relayed()
		for began := time.Now(); time.Since(began) < time.Second; {
			for range 20 {
				if err := l.datagram(full); err != nil {
					t.Fatal(err)
				}
			}
			sleep(t.Context(), time.Millisecond)
		}
		got := r.Relayed()
		if sent := got.Bytes - before.Bytes; sent > passRate+passBurst || got.Dropped == before.Dropped {
			t.Errorf("passed on %d bytes in a second, dropped %d packets", sent, got.Dropped-before.Dropped)
		}
		sleep(t.Context(), 2*time.Second)
		if err := answered(t, a, b, "after it"); err != nil {
			t.Errorf("after a flood: %v", err)
		}
	})
}
