package mesh

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"omx/node/mesh/member"
)

// A revocation reaches the end of a line of nodes, and who is revoked gets nowhere.
func TestRevocationSpreads(t *testing.T) {
	first := founder(t)
	line := []*testPeer{first}
	for range 3 {
		line = append(line, joined(t, first, member.Serve))
	}
	bad := newMachine(t)
	tok := invite(t, first, member.Serve, 2)
	if err := bad.join(t.Context(), tok, time.Now); err != nil {
		t.Fatal(err)
	}
	evil := bad.start(t)
	for _, p := range line {
		eventually(t, "all see all", func() bool { return p.Count() == 4 })
	}
	began := time.Now()
	if err := first.Revoke(evil.ID()); err != nil {
		t.Fatal(err)
	}
	for _, p := range line {
		eventually(t, "it is out", func() bool { return !p.Has(evil.ID()) && p.peers.get(evil.peer) == nil })
	}
	t.Logf("out everywhere after %v", time.Since(began).Round(time.Millisecond))
	eventually(t, "its dials are refused", func() bool { return line[3].Refusals()[revoked] > 0 })
	if evil.Count() > 0 {
		eventually(t, "it is alone", func() bool { return evil.Count() == 0 })
	}
	back := machine{newKey(t), filepath.Join(t.TempDir(), "mesh")}
	if err := back.join(t.Context(), tok, time.Now); err == nil {
		t.Error("a token that a revoked node knew let another in")
	}
	if err := line[1].Revoke(evil.ID()); !errors.Is(err, member.ErrNotHolder) {
		t.Errorf("revoke without the key = %v", err)
	}
	if err := first.Revoke(first.ID()); err == nil {
		t.Error("the founder has removed itself")
	}
	// With a new token it is a member again: only what was issued before is void.
	if err := evil.Close(); err != nil {
		t.Fatal(err)
	}
	again := machine{bad.key, filepath.Join(t.TempDir(), "mesh")}
	if err := again.join(t.Context(), invite(t, first, member.Serve, 1), time.Now); err != nil {
		t.Fatal(err)
	}
	p := again.start(t)
	eventually(t, "it is back", func() bool { return p.Count() == 4 && line[3].Has(p.ID()) })
}

// Revocations go from node to node: here the far end knows the middle only.
func TestRevocationPassedOn(t *testing.T) {
	first := founder(t)
	middle := joined(t, first, member.Serve)
	eventually(t, "connected", func() bool { return first.Has(middle.ID()) && middle.Has(first.ID()) })
	far := newMachine(t)
	if err := far.join(t.Context(), invite(t, first, member.Serve, 1), time.Now); err != nil {
		t.Fatal(err)
	}
	victim := newMachine(t)
	if err := victim.join(t.Context(), invite(t, first, member.Serve, 1), time.Now); err != nil {
		t.Fatal(err)
	}
	id, err := victim.id().Node()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Revoke(id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the middle knows", func() bool { return len(middle.members.allRevoked()) == 1 })
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	end := far.start(t, func(c *Config) { c.Peers = middle.Addrs() })
	eventually(t, "the far end knows", func() bool { return len(end.members.allRevoked()) == 1 })
}
