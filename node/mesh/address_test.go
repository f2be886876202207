package mesh

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"omx/node/mesh/member"
)

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

func TestPortInUse(t *testing.T) {
	a := startPeer(t, Config{Key: newKey(t)})
	addr, _, _ := strings.Cut(a.Addrs()[0], "/p2p/")
	m, err := New(Config{Key: newKey(t), Listen: []string{addr}}, a, a)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), "--mesh") {
		t.Errorf("start on a used port = %v", err)
	}
}

func TestBadPeers(t *testing.T) {
	key := newKey(t)
	for name, peer := range map[string]string{
		"not an address": "hello", "no identity": "/ip4/127.0.0.1/udp/1/quic-v1", "itself": "/p2p/" + idOf(t, key).String(),
	} {
		if m, err := New(Config{Key: key, Peers: []string{peer}}, nil, nil); err == nil {
			m.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}
