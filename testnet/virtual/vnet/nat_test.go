package vnet

import (
	"net"
	"testing"
	"time"
)

// seen is the address that a packet from one node to another comes from, "" if it does
// not arrive.
func seen(t *testing.T, s []*Socket, from, to int, at *net.UDPAddr) string {
	t.Helper()
	if _, err := s[from].WriteTo([]byte("1234"), at); err != nil {
		t.Fatal(err)
	}
	all := drain(t, s[to], time.Second)
	if len(all) == 0 {
		return ""
	}
	return all[0].from
}

func udp(t *testing.T, s string) *net.UDPAddr {
	t.Helper()
	a, err := net.ResolveUDPAddr("udp", s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Node 0 is open, 1 and 2 are behind routers.
func TestRouters(t *testing.T) {
	for _, c := range []struct {
		name string
		kind NAT
		same bool // all see one address
	}{{"cone", Cone, true}, {"symmetric", Symmetric, false}} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, 4, Config{NAT: func(i int) NAT {
				if i == 0 || i == 3 {
					return Open
				}
				return c.kind
			}}, func(t *testing.T, n *Net, s []*Socket) {
				if got := seen(t, s, 0, 1, addr(1)); got != "" {
					t.Errorf("the address that a node knows itself leads in, from %s", got)
				}
				out1, out2 := seen(t, s, 1, 0, addr(0)), seen(t, s, 2, 0, addr(0))
				if out1 == "" || out1 == addr(1).String() {
					t.Fatalf("node 1 is seen at %q", out1)
				}
				if got := seen(t, s, 0, 1, udp(t, out1)); got != addr(0).String() {
					t.Errorf("the answer comes from %q", got)
				}
				if got := seen(t, s, 3, 1, udp(t, out1)); got != "" {
					t.Errorf("one that was sent nothing is let in as %s", got)
				}
				if other := seen(t, s, 1, 3, addr(3)); (other == out1) != c.same {
					t.Errorf("seen at %s and at %s", out1, other)
				}
				// Both send to where the other is seen: the first packet does not get in, and
				// makes a way for the answer if ports stay.
				if got := seen(t, s, 1, 2, udp(t, out2)); got != "" {
					t.Errorf("let in at once, from %s", got)
				}
				if got := seen(t, s, 2, 1, udp(t, out1)); (got != "") != c.same {
					t.Errorf("after the other has sent, seen as %q", got)
				}
				if n.Of(1).Shut == 0 {
					t.Error("nothing was counted as shut out")
				}
			})
		})
	}
}
