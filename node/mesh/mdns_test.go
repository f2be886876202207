package mesh

import (
	"bytes"
	"slices"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"omx/node/mesh/member"
)

// Members on one network find each other though neither knows an address.
func TestMDNS(t *testing.T) {
	if len(mdnsNetworks()) == 0 {
		t.Skip("no interface here does multicast over IPv4")
	}
	open := func(c *Config) { c.MDNS, c.Listen = true, []string{"/ip4/0.0.0.0/udp/0/quic-v1"} }
	first := founder(t, func(c *Config) { c.Listen = []string{"/ip4/0.0.0.0/udp/0/quic-v1"} })
	one, two := newMachine(t), newMachine(t)
	tok := invite(t, first, member.Serve, 2)
	for _, m := range []machine{one, two} {
		if err := m.join(t.Context(), tok, time.Now); err != nil {
			t.Fatal(err)
		}
		if err := member.SaveKnown(m.dir, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	other := founder(t, open)
	began := time.Now()
	a, b := one.start(t, open), two.start(t, open)
	eventually(t, "they have found each other", func() bool { return a.Has(b.ID()) && b.Has(a.ID()) })
	t.Logf("found after %v", time.Since(began).Round(time.Millisecond))
	if other.Count() != 0 || len(other.peers.all()) != 0 || other.Refused() != 0 {
		t.Errorf("another mesh was troubled: %v", other.Refusals())
	}
}

func TestMDNSMessages(t *testing.T) {
	mesh := member.MeshID{1}
	service := mdnsService(mesh)
	if asked, found := parseMDNS(mdnsQuestion(service), service); !asked || found != nil {
		t.Errorf("a question: %v, %v", asked, found)
	}
	b, err := mdnsAnswerTo(service, "12D3KooW", 4001)
	if err != nil {
		t.Fatal(err)
	}
	want := []mdnsFound{{"12D3KooW", 4001}}
	if asked, found := parseMDNS(b, service); asked || !slices.Equal(found, want) {
		t.Errorf("an answer: %v, %v", asked, found)
	}
	other := mdnsService(member.MeshID{2})
	if asked, found := parseMDNS(b, other); asked || found != nil {
		t.Errorf("another mesh's answer: %v, %v", asked, found)
	}
	if asked, _ := parseMDNS(mdnsQuestion(service), other); asked {
		t.Error("another mesh's question")
	}
	if name := mesh.String(); bytes.Contains(b, []byte(name)) || bytes.Contains(b, mesh[:]) {
		t.Error("the mesh's name is on the network")
	}
}

// Words on the network cannot fill the table, nor keep it full.
func TestUnprovenAreBounded(t *testing.T) {
	first := founder(t, func(c *Config) { c.Pool.DialTimeout, c.Pool.RetryMax = 20*time.Millisecond, 20*time.Millisecond })
	for range 3 * maxUnproven {
		_, pid, _, err := identify(newKey(t))
		if err != nil {
			t.Fatal(err)
		}
		a, err := parseAddr("127.0.0.1:9")
		if err != nil {
			t.Fatal(err)
		}
		first.members.found(pid, []ma.Multiaddr{a})
		if n := len(first.peers.all()); n > maxUnproven {
			t.Fatalf("%d peers", n)
		}
	}
	eventually(t, "those that do not answer are forgotten", func() bool { return len(first.peers.all()) == 0 })
}

func FuzzMDNS(f *testing.F) {
	service := mdnsService(member.MeshID{1})
	f.Add(mdnsQuestion(service))
	b, err := mdnsAnswerTo(service, "12D3KooW", 4001)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, found := parseMDNS(b, service); len(found) > mdnsRecords {
			t.Errorf("%d found", len(found))
		}
	})
}
