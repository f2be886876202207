package mesh

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"omx/node/mesh/member"
)

// A credential is renewed by itself, peers learn of it on the open connection, and
// a node whose certificate is older than its credential is let in.
func TestRenewal(t *testing.T) {
	c := &clock{}
	set := func(cfg *Config) { cfg.Now, cfg.CredentialLife = c.now, time.Hour }
	first := founder(t, set)
	ma := newMachine(t)
	if err := ma.join(t.Context(), invite(t, first, member.Serve, 1), c.now); err != nil {
		t.Fatal(err)
	}
	a := ma.start(t, set)
	eventually(t, "connected", func() bool { return a.Has(first.ID()) && first.Has(a.ID()) })
	old := a.members.own.Load()
	for range 3 { // far beyond what its certificate says
		c.advance(40 * time.Minute)
		eventually(t, "renewed, and known there", func() bool {
			own, there := a.members.own.Load(), first.peers.get(a.peer).cred.Load()
			return own.Issued.After(old.Issued) && there != nil && there.Issued.Equal(own.Issued)
		})
		old = a.members.own.Load()
		if !first.Has(a.ID()) {
			t.Fatal("the connection did not live through the renewal")
		}
	}
	eventually(t, "the founder has renewed its own", func() bool { return !first.members.own.Load().Due(c.now()) })
	// Both certificates have expired by now; a new connection is made all the same.
	eventually(t, "connected", func() bool { return a.Has(first.ID()) })
	a.Drop(first.ID())
	eventually(t, "connected again", func() bool { return a.Has(first.ID()) && first.Has(a.ID()) })
	ship, err := member.Load(ma.dir)
	if err != nil || !ship.Credential.Issued.Equal(a.members.own.Load().Issued) {
		t.Errorf("on disk is not the newest: %v", err)
	}
}

// Without the holder of the key members go on until their credentials expire, and
// not longer; with it they come back.
func TestHolderAway(t *testing.T) {
	c := &clock{}
	listen := freeUDP(t)
	set := func(cfg *Config) { cfg.Now, cfg.CredentialLife = c.now, time.Hour }
	holder := newMachine(t)
	if _, err := member.Init(holder.dir, holder.id(), "h", c.now()); err != nil {
		t.Fatal(err)
	}
	first := holder.start(t, set, func(cfg *Config) { cfg.Listen = []string{listen} })
	a := joined(t, first, member.Serve, set)
	b := joined(t, first, member.Serve, set)
	eventually(t, "connected", func() bool { return a.Has(b.ID()) && b.Has(a.ID()) && a.Has(first.ID()) && b.Has(first.ID()) })
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	c.advance(55 * time.Minute)
	a.Drop(b.ID())
	eventually(t, "a new connection while the credentials last", func() bool { return a.Has(b.ID()) && b.Has(a.ID()) })
	c.advance(10 * time.Minute)
	eventually(t, "parted", func() bool { return !a.Has(b.ID()) && !b.Has(a.ID()) })
	holder.start(t, set, func(cfg *Config) { cfg.Listen = []string{listen} })
	eventually(t, "together again", func() bool { return a.Has(b.ID()) && b.Has(a.ID()) })
}

// A second machine to which the key was copied does what the first does, and heeds
// what that has revoked.
func TestSecondHolder(t *testing.T) {
	c := &clock{}
	set := func(cfg *Config) { cfg.Now, cfg.CredentialLife = c.now, time.Hour }
	one, two := newMachine(t), newMachine(t)
	if _, err := member.Init(one.dir, one.id(), "one", c.now()); err != nil {
		t.Fatal(err)
	}
	first := one.start(t, set)
	if err := two.join(t.Context(), invite(t, first, member.Serve, 1), c.now); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(one.dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(two.dir, "key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	second := two.start(t, set)
	a := joined(t, second, member.Serve, set)
	bad := joined(t, first, member.Serve, set)
	eventually(t, "all see all", func() bool { return first.Count() == 3 && second.Count() == 3 && a.Count() == 3 && bad.Count() == 3 })
	if err := second.Revoke(bad.ID()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is out", func() bool { return bad.Count() == 0 })
	for _, m := range first.members.holder.Members() {
		if m.Node == bad.members.self {
			t.Error("the first holder still lists it")
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	old := a.members.own.Load()
	c.advance(40 * time.Minute)
	eventually(t, "renewed by the second", func() bool { return a.members.own.Load().Issued.After(old.Issued) })
}
