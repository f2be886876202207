package mesh

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"omx/node/mesh/member"
	"omx/node/nodetest"
)

// Twenty nodes, each joined by a token of its own, find one another.
func TestTwentyJoinAndSeeAll(t *testing.T) {
	n := 20
	if nodetest.Race { // ten times slower: the detector would be measured
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
