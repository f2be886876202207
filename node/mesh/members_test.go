package mesh

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"omx/node/catalog"
	"omx/node/mesh/member"
)

// clock is moved by hand.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// machine is a node's key and folder, running or not.
type machine struct {
	key ed25519.PrivateKey
	dir string
}

func newMachine(t testing.TB) machine {
	return machine{newKey(t), filepath.Join(t.TempDir(), "mesh")}
}

func (m machine) id() member.ID { return member.ID(m.key.Public().(ed25519.PublicKey)) }

func (m machine) start(t testing.TB, change ...func(*Config)) *testPeer {
	t.Helper()
	cfg := Config{Key: m.key, Dir: m.dir}
	for _, f := range change {
		f(&cfg)
	}
	return startPeer(t, cfg)
}

// found makes a mesh with one member, which runs.
func founder(t testing.TB, change ...func(*Config)) *testPeer {
	t.Helper()
	m := newMachine(t)
	cfg := Config{}
	for _, f := range change {
		f(&cfg)
	}
	now := time.Now
	if cfg.Now != nil {
		now = cfg.Now
	}
	if _, err := member.Init(m.dir, m.id(), "founder", now()); err != nil {
		t.Fatal(err)
	}
	return m.start(t, change...)
}

func invite(t testing.TB, p *testPeer, role member.Role, uses int) *member.Token {
	t.Helper()
	tok, err := p.Invite(nil, role, uses, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	again, err := member.ParseToken(tok.String())
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func (m machine) join(ctx context.Context, tok *member.Token, now func() time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_, err := Join(ctx, JoinConfig{Key: m.key, Name: "joiner", Token: tok, Dir: m.dir, Now: now})
	return err
}

// joined is a new member, which runs.
func joined(t testing.TB, by *testPeer, role member.Role, change ...func(*Config)) *testPeer {
	t.Helper()
	m := newMachine(t)
	if err := m.join(t.Context(), invite(t, by, role, 1), by.cfg.Now); err != nil {
		t.Fatal(err)
	}
	return m.start(t, change...)
}

// Twenty nodes, each joined by a token of its own, find one another.
func TestTwentyJoinAndSeeAll(t *testing.T) {
	n := 20
	if raceEnabled { // ten times slower: the detector would be measured
		n = 8
	}
	first := founder(t)
	peers := []*testPeer{first}
	began := time.Now()
	for range n - 1 {
		peers = append(peers, joined(t, first, member.Serve))
	}
	joinedIn := time.Since(began)
	for _, p := range peers {
		eventually(t, "all see all", func() bool { return p.Count() == n-1 })
	}
	t.Logf("%d nodes: joined and started in %v, all connected to all %v after that", n, joinedIn.Round(time.Millisecond), (time.Since(began) - joinedIn).Round(time.Millisecond))
	if limit := 5 * time.Second; time.Since(began)-joinedIn > limit {
		t.Errorf("all saw all only after %v, want %v", time.Since(began)-joinedIn, limit)
	}
	for _, p := range peers {
		if list, err := p.Members(); err != nil || len(list) != n {
			t.Errorf("%s knows %d members, %v", p.ID().Short(), len(list), err)
		}
	}
	if got, err := ask(t.Context(), peers[3].Mesh, peers[7].ID(), "x y"); err != nil || got != "x y|usage" {
		t.Errorf("ask = %q, %v", got, err)
	}
}

// Members find one another again over a restart, without the one they joined by.
func TestKnownAfterRestart(t *testing.T) {
	first := founder(t)
	ma, mb := newMachine(t), newMachine(t)
	tok := invite(t, first, member.Serve, 2)
	for _, m := range []machine{ma, mb} {
		if err := m.join(t.Context(), tok, time.Now); err != nil {
			t.Fatal(err)
		}
	}
	fixed := freeUDP(t)
	a, b := ma.start(t, func(c *Config) { c.Listen = []string{fixed} }), mb.start(t)
	eventually(t, "they are connected", func() bool { return a.Has(b.ID()) && b.Has(a.ID()) })
	for _, p := range []*testPeer{first, a, b} {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	a, b = ma.start(t, func(c *Config) { c.Listen = []string{fixed} }), mb.start(t)
	eventually(t, "they are connected again", func() bool { return a.Has(b.ID()) && b.Has(a.ID()) })
	// One that comes back with another port is found without a restart of others.
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = ma.start(t)
	eventually(t, "it is found at its new address", func() bool { return a.Has(b.ID()) && b.Has(a.ID()) })
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
	if _, err := listing.Open(t.Context(), first.ID(), []byte("x")); !errors.Is(err, ErrUnreachable) {
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

func TestTokens(t *testing.T) {
	c := &clock{}
	first := founder(t, func(cfg *Config) { cfg.Now = c.now })
	two := invite(t, first, member.Gateway, 2)
	a, b, late := newMachine(t), newMachine(t), newMachine(t)
	for _, m := range []machine{a, b} {
		if err := m.join(t.Context(), two, c.now); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.join(t.Context(), two, c.now); err == nil {
		t.Error("a member joined once more over its membership")
	}
	again := machine{a.key, filepath.Join(t.TempDir(), "mesh")} // its answer was lost
	if err := again.join(t.Context(), two, c.now); err != nil {
		t.Errorf("the same node again: %v", err)
	}
	if err := late.join(t.Context(), two, c.now); !errors.Is(err, member.ErrUsedUp) {
		t.Errorf("a third node with a token for two: %v", err)
	}
	expiring := invite(t, first, member.Serve, 1)
	invite(t, first, member.Serve, 1) // keeps the door open
	c.advance(61 * time.Minute)
	open, err := first.Invite(nil, member.Serve, 1, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := late.join(t.Context(), expiring, c.now); !errors.Is(err, member.ErrNoInvite) {
		t.Errorf("an expired token: %v", err)
	}
	wrong := *open
	wrong.Secret[0] ^= 1
	for range maxSourceFails {
		err = late.join(t.Context(), &wrong, c.now)
	}
	if !errors.Is(err, member.ErrNoInvite) && !errors.Is(err, errTooOften) {
		t.Errorf("a guessed token: %v", err)
	}
	if err := late.join(t.Context(), open, c.now); !errors.Is(err, errTooOften) {
		t.Errorf("after %d wrong guesses: %v", maxSourceFails, err)
	}
	c.advance(failWindow)
	if err := late.join(t.Context(), open, c.now); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	closed := founder(t, func(cfg *Config) { cfg.Now = c.now })
	tok := invite(t, closed, member.Serve, 1)
	c.advance(61 * time.Minute)
	if err := newMachine(t).join(t.Context(), tok, c.now); err == nil || !strings.Contains(err.Error(), "hangs up") || strings.Contains(err.Error(), "\n") {
		t.Errorf("a node with no token open: %v", err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := newMachine(t).join(ctx, tok, c.now); err == nil || !strings.Contains(err.Error(), "nobody answers at /ip4/") || strings.Contains(err.Error(), "\n") {
		t.Errorf("a node that is off: %v", err)
	}
	stranger := founder(t, func(cfg *Config) { cfg.Now = c.now })
	elsewhere := invite(t, stranger, member.Serve, 1)
	elsewhere.Mesh = open.Mesh // who answers is not of the mesh that the token names
	if err := newMachine(t).join(t.Context(), elsewhere, c.now); !errors.Is(err, member.ErrOtherMesh) {
		t.Errorf("an impostor: %v", err)
	}
}

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

// A node that leaves is gone at once, not after its silence.
func TestLeaving(t *testing.T) {
	for name, pairOf := range map[string]func() (a, b *testPeer){
		"listed": func() (a, b *testPeer) { return pair(t, 20*time.Second) },
		"members": func() (a, b *testPeer) {
			slow := func(c *Config) { c.Silence = 20 * time.Second }
			a = founder(t, slow)
			b = joined(t, a, member.Serve, slow)
			eventually(t, "connected", func() bool { return a.Has(b.ID()) && b.Has(a.ID()) })
			return a, b
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pairOf()
			id := b.ID()
			a.await(t, "b is up", func() bool { return a.up[id] })
			began := time.Now()
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			a.await(t, "b is down", func() bool { return !a.up[id] })
			t.Logf("closed in %v, down there after %v", took.Round(time.Microsecond), time.Since(began).Round(time.Microsecond))
			if since := time.Since(began); since > 5*time.Second {
				t.Errorf("down only after %v", since)
			}
		})
	}
}

func TestDrain(t *testing.T) {
	a, b := pair(t, 3*time.Second)
	started, finish := make(chan struct{}), make(chan struct{})
	b.handle(func(ctx context.Context, s *ServerStream) {
		close(started)
		<-finish
		s.Done(nil)
	})
	result := make(chan error, 1)
	go func() {
		_, err := ask(t.Context(), a.Mesh, b.ID(), "x")
		result <- err
	}()
	<-started
	drained := make(chan struct{})
	go func() {
		b.Drain(t.Context())
		close(drained)
	}()
	select {
	case <-drained:
		t.Error("drained while a request was open")
	case <-time.After(50 * time.Millisecond):
	}
	close(finish)
	<-drained
	if err := <-result; err != nil {
		t.Errorf("the request under way = %v", err)
	}
	var refused *RefusedError
	if _, err := ask(t.Context(), a.Mesh, b.ID(), "x"); !errors.As(err, &refused) || refused.Code != CodeDraining {
		t.Errorf("a request after that = %v", err)
	}
}

func TestRoles(t *testing.T) {
	server := founder(t)
	gateway := joined(t, server, member.Gateway)
	observer := joined(t, server, member.Observe)
	eventually(t, "connected", func() bool {
		return server.Count() == 2 && gateway.Count() == 2 && observer.Count() == 2
	})
	code := func(from, to *testPeer) Code {
		_, err := ask(t.Context(), from.Mesh, to.ID(), "x")
		var refused *RefusedError
		if errors.As(err, &refused) {
			return refused.Code
		}
		if err != nil {
			t.Error(err)
		}
		return 0
	}
	for _, c := range []struct {
		from, to *testPeer
		want     Code
	}{{gateway, server, 0}, {server, gateway, CodeNoModel}, {observer, server, CodeRejected}, {server, observer, CodeNoModel}} {
		if got := code(c.from, c.to); got != c.want {
			t.Errorf("%v asks %v: %v, want %v", c.from.Role(), c.to.Role(), got, c.want)
		}
	}
	// One that would ask all the same is refused on the other side.
	own := observer.members.own.Load()
	lie := *own
	lie.Role = member.Serve
	observer.members.own.Store(&lie)
	if got := code(observer, server); got != CodeRejected {
		t.Errorf("an observer that does not keep to it: %v", got)
	}
	model, err := catalog.ParseModelID("m")
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.SetRecord(catalog.NodeInfo{ID: gateway.ID(), Name: "g", Seq: 2, Placements: []catalog.Placement{{Model: model}}}); err != nil {
		t.Fatal(err)
	}
	server.await(t, "the gateway's record", func() bool { return server.records[gateway.ID()].Name == "g" })
	server.mu.Lock()
	defer server.mu.Unlock()
	if n := len(server.records[gateway.ID()].Placements); n != 0 {
		t.Errorf("a gateway offers %d models", n)
	}
}

// More members than connections, all from one address: the pool's limit holds, and
// one that is kept out comes in when there is room.
func TestManyBehindOneAddress(t *testing.T) {
	const limit = 4
	first := founder(t, func(c *Config) { c.Pool.MaxConns = limit })
	var others []*testPeer
	for range limit + 1 {
		others = append(others, joined(t, first, member.Serve, func(c *Config) { c.Pool.RetryMax = 500 * time.Millisecond }))
	}
	eventually(t, "the pool is full", func() bool { return first.Count() == limit })
	out := func() (list []*testPeer) {
		for _, p := range others {
			if !first.Has(p.ID()) {
				list = append(list, p)
			}
		}
		return list
	}
	eventually(t, "one is out", func() bool { return len(out()) == 1 })
	last := out()[0]
	for _, p := range others {
		if p != last {
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	eventually(t, "it has come in", func() bool { return first.Has(last.ID()) })
}

// A shop joins at once, from one address.
func TestManyJoinAtOnce(t *testing.T) {
	first := founder(t)
	const n = maxVisitors + 8
	tok := invite(t, first, member.Serve, n)
	var wg sync.WaitGroup
	errs := make(chan error, n)
	began := time.Now()
	for range n {
		m := newMachine(t)
		wg.Go(func() { errs <- m.join(t.Context(), tok, time.Now) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d joined in %v, %d times one had to wait", n, time.Since(began).Round(time.Millisecond), first.Refusals()[joinBusy])
	if list := first.members.holder.Members(); len(list) != n+1 {
		t.Errorf("%d members", len(list))
	}
	if err := newMachine(t).join(t.Context(), tok, time.Now); !errors.Is(err, member.ErrUsedUp) {
		t.Errorf("one more than the token is for: %v", err)
	}
}

// Addresses without an identity, and names.
func TestStaticAddress(t *testing.T) {
	listen := freeUDP(t)
	first := founder(t, func(c *Config) { c.Listen = []string{listen} })
	m := newMachine(t)
	if err := m.join(t.Context(), invite(t, first, member.Serve, 1), time.Now); err != nil {
		t.Fatal(err)
	}
	var port int
	if _, err := fmt.Sscanf(listen, "/ip4/127.0.0.1/udp/%d/", &port); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{listen, fmt.Sprintf("localhost:%d", port), fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("/dns4/localhost/udp/%d/quic-v1/p2p/%s", port, first.ID())} {
		blank := machine{m.key, filepath.Join(t.TempDir(), "mesh")} // without addresses from its last run
		ship, err := member.Load(m.dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := ship.Save(blank.dir); err != nil {
			t.Fatal(err)
		}
		p := blank.start(t, func(c *Config) { c.Peers = []string{addr}; c.Listen = []string{"/ip4/127.0.0.1/udp/0/quic-v1"} })
		eventually(t, addr, func() bool { return p.Has(first.ID()) })
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"", "host", "host:x:1", "host:99999", "/ip4/1.2.3.4", "/dnsaddr/example.org"} {
		mesh, err := New(Config{Key: m.key, Dir: m.dir, Peers: []string{bad}}, nil, nil)
		if err == nil {
			mesh.Close()
			t.Errorf("%q was taken for an address", bad)
		}
	}
}
