package mesh

import (
	"errors"
	"testing"
	"time"

	"omx/node/mesh/member"
)

// A node that is not listed gets nothing, whichever side dials.
func TestStrangerIsRefused(t *testing.T) {
	member := startPeer(t, Config{Key: newKey(t)})
	stranger := startPeer(t, Config{Key: newKey(t), Peers: member.Addrs()})
	eventually(t, "the stranger is refused", func() bool { return member.Refused() > 0 })
	if member.Count() != 0 || stranger.Count() != 0 || stranger.Has(member.ID()) {
		t.Error("a stranger counts as a peer")
	}
	if _, err := stranger.Open(t.Context(), member.ID(), 0, []byte("x")); !errors.Is(err, ErrUnreachable) {
		t.Errorf("open = %v, want ErrUnreachable", err)
	}
}

func TestStrangersAreRefusedByReason(t *testing.T) {
	first := founder(t)
	other := founder(t)
	outsider := newMachine(t)
	foreign := joined(t, other, member.Serve, func(c *Config) { c.Peers = first.Addrs() })
	eventually(t, "a member of another mesh is refused", func() bool { return first.Refusals()[otherMesh] > 0 })
	listing := startPeer(t, Config{Key: outsider.key, Peers: first.Addrs()})
	eventually(t, "a node without a mesh is refused", func() bool { return first.Refusals()[noCredential] > 0 })
	if first.Count() != 0 || listing.Count() != 0 || foreign.Has(first.ID()) {
		t.Error("a stranger counts as a peer")
	}
	if len(first.peers.all()) != 0 {
		t.Errorf("strangers have grown the table to %d", len(first.peers.all()))
	}
	// With a token open, a stranger gets in for a moment, and no further.
	invite(t, first, member.Serve, 1)
	eventually(t, "a visitor that has nothing to say", func() bool { return first.Refusals()[unreadable] > 0 })
	if _, err := listing.Open(t.Context(), first.ID(), 0, []byte("x")); !errors.Is(err, ErrUnreachable) {
		t.Errorf("open = %v", err)
	}
	if first.Count() != 0 || len(first.peers.all()) != 0 {
		t.Error("a visitor counts as a peer")
	}
}

// Somebody's credential is of no use to anybody else.
func TestStolenCredential(t *testing.T) {
	first := founder(t)
	victim := newMachine(t)
	if err := victim.join(t.Context(), invite(t, first, member.Serve, 1), time.Now); err != nil {
		t.Fatal(err)
	}
	thief := machine{newKey(t), victim.dir}
	if m, err := New(Config{Key: thief.key, Dir: thief.dir}, nil, nil); !errors.Is(err, member.ErrOtherNode) {
		if m != nil {
			m.Close()
		}
		t.Errorf("a copied folder: %v", err)
	}
	ship, err := member.Load(victim.dir)
	if err != nil {
		t.Fatal(err)
	}
	key, pid, _, _ := identify(thief.key)
	h, err := newHost(key, pid, onlyPeer(first.peer), ship.Credential.Bytes(), &Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	dial(t, h, first)
	eventually(t, "it is refused", func() bool { return first.Refusals()[otherNode] > 0 })
}
