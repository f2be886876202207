package doctor

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"omx/node"
	"omx/node/api"
	"omx/node/mesh"
	"omx/node/mesh/member"
)

func TestClock(t *testing.T) {
	cfg := at(t.TempDir())
	look := func(now time.Duration) []Finding {
		cfg.Now = func() time.Time { return time.Now().Add(now) }
		return clock(t.Context(), patientOf(t, cfg))
	}
	expect(t, look(-time.Hour), "ok: ") // nothing tells
	if _, err := mesh.Identity(filepath.Join(cfg.Data, node.KeyFile)); err != nil {
		t.Fatal(err)
	}
	expect(t, look(0), "ok: ")
	expect(t, look(-clockSkew/2), "ok: ")
	expect(t, look(-75*time.Hour), "problem: but identity.key was written 3 days later >> timedatectl")
}

// memberOf makes a node's folder, and puts into it what makes it a member of the
// mesh of another, without the key.
func memberOf(t *testing.T, data, first string) {
	t.Helper()
	var ids []member.ID
	for _, dir := range []string{first, data} {
		key, err := mesh.LoadKey(filepath.Join(dir, node.KeyFile))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, member.ID(key.Public().(ed25519.PublicKey)))
	}
	dir := filepath.Join(first, node.MeshFolder)
	m, err := member.Init(dir, ids[0], "first", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	holder, err := member.OpenHolder(dir, m, 0)
	if err != nil {
		t.Fatal(err)
	}
	own := member.Membership{Key: m.Key, Credential: holder.Own(ids[1], member.Gateway, time.Now())}
	if err := own.Save(filepath.Join(data, node.MeshFolder)); err != nil {
		t.Fatal(err)
	}
}

func TestMembership(t *testing.T) {
	first, data := t.TempDir(), t.TempDir()
	look := func(data string, now time.Duration) []Finding {
		cfg := at(data)
		cfg.Now = func() time.Time { return time.Now().Add(now) }
		return membership(t.Context(), patientOf(t, cfg))
	}
	expect(t, look(data, 0), "ok: in none")
	memberOf(t, data, first)
	expect(t, look(data, 0), "ok: role gateway, 0 known, valid for 23 h")
	expect(t, look(first, 0), "ok: role serve, has the key, 0 known, valid for 23 h")
	expect(t, look(data, -150*time.Minute), "problem: valid in 2 h: this clock is behind >> timedatectl")
	expect(t, look(data, 30*time.Hour), "advice: expired 6 h ago; a member with the key renews it >> omx serve --data "+data)
	expect(t, look(first, 30*time.Hour), "ok: has the key, 0 known: renewed by itself")

	p := patientOf(t, at(data))
	p.Now, p.user = func() time.Time { return time.Now().Add(30 * time.Hour) }, os.Getpid()
	expect(t, membership(t.Context(), p), "problem: expired 6 h ago, no member with the key is reached >> omx mesh members")

	key := filepath.Join(first, node.MeshFolder, "key")
	if err := os.Chmod(key, 0o640); err != nil {
		t.Fatal(err)
	}
	expect(t, look(first, 0), "problem: mode is 0640 >> chmod 600 "+key)
	write(t, key, "rubbish", 0o600)
	expect(t, look(first, 0), "problem: is damaged >> mv "+key+" "+key+".aside")

	dir := filepath.Join(data, node.MeshFolder)
	again := fmt.Sprintf("mv %s %s.aside && omx mesh join TOKEN --data %s", dir, dir, data)
	if err := os.Remove(filepath.Join(data, node.KeyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := mesh.Identity(filepath.Join(data, node.KeyFile)); err != nil { // another one
		t.Fatal(err)
	}
	expect(t, look(data, 0), "problem: credential is of another node >> "+again)
	if err := os.Truncate(filepath.Join(dir, "membership"), 40); err != nil {
		t.Fatal(err)
	}
	expect(t, look(data, 0), "problem: is damaged >> "+again)
}

// The port is taken by another program, here this one, or by the node itself.
func TestMeshPort(t *testing.T) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	port := c.LocalAddr().(*net.UDPAddr).Port
	cfg := at(t.TempDir())
	cfg.Mesh = fmt.Sprintf("/ip4/127.0.0.1/udp/%d/quic-v1", port)
	p := patientOf(t, cfg)
	expect(t, meshPort(t.Context(), p), fmt.Sprintf("problem: UDP %d is in use by doctor.test, process %d >> omx serve --mesh /ip4/0.0.0.0/udp/%d/quic-v1 --data %s",
		port, os.Getpid(), port+1, cfg.Data))
	p.user = os.Getpid()
	expect(t, meshPort(t.Context(), p), fmt.Sprintf("ok: UDP %d has the node, process %d", port, os.Getpid()))
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	expect(t, meshPort(t.Context(), p), fmt.Sprintf("ok: UDP %d is free", port))
	p.Mesh = "/ip4/192.0.2.1/udp/4001/quic-v1" // of no machine
	expect(t, meshPort(t.Context(), p), "problem: listen on /ip4/192.0.2.1/ >> omx serve --mesh ")
	p.Mesh = "/ip4/127.0.0.1/udp/0/quic-v1"
	expect(t, meshPort(t.Context(), p), "ok: any that is free")
}

// A node that answers says itself where it listens.
func TestListens(t *testing.T) {
	p := &patient{Config: at("/data"), node: &running{self: &api.NodeView{Addrs: []string{"/ip4/127.0.0.1/udp/4001/quic-v1/p2p/12D3KooWD7mgpDXKHudftEsmnpRhCqffdRP3NYJraSogMJpgV9dS"}}}}
	expect(t, meshPort(t.Context(), p), "ok: UDP 4001 has the node, for this machine only")
	p.node.mesh = &api.MeshView{}
	expect(t, meshPort(t.Context(), p), "advice: UDP 4001, for this machine only: no member can dial it >> omx serve --mesh /ip4/0.0.0.0/udp/4001/quic-v1")
	p.node.self.Addrs = append(p.node.self.Addrs, "/ip4/192.0.2.7/udp/4001/quic-v1")
	expect(t, meshPort(t.Context(), p), "ok: UDP 4001 has the node, for other machines too")
}
