package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"omx/node"
	"omx/node/mesh"
	"omx/node/mesh/member"
)

// setClock is the command that has a machine's clock set by others.
const setClock = "timedatectl set-ntp true"

// clock compares this machine's with the times of what a node has written here.
func clock(_ context.Context, p *patient) []Finding {
	now := p.Now()
	for _, name := range []string{node.KeyFile, node.CatalogDir, node.PolicyDir, filepath.Join(node.MeshFolder, "membership")} {
		if st, err := os.Stat(p.file(name)); err == nil && st.ModTime().After(now.Add(clockSkew)) {
			return []Finding{problem(setClock, map[string]any{"now": now.UTC(), "written": st.ModTime().UTC(), "file": p.file(name)},
				"it is %s here, but %s was written %s later", now.Format(time.DateTime), name, span(st.ModTime().Sub(now)))}
		}
	}
	return []Finding{ok(map[string]any{"now": now.UTC()}, "%s", now.Format("2006-01-02 15:04:05 MST"))}
}

// membership looks at what the node has to show to the others of its mesh.
func membership(_ context.Context, p *patient) []Finding {
	if p.folder != nil {
		return nil
	}
	dir := p.file(node.MeshFolder)
	m, err := member.Load(dir)
	if err != nil {
		return []Finding{problem(p.joinAgain(), nil, "%v", err)}
	}
	if m == nil {
		return []Finding{ok(nil, "in none: nodes list one another, with serve --peer")}
	}
	c, now := m.Credential, p.Now()
	facts := map[string]any{"mesh": m.Mesh().String(), "role": c.Role.String(), "issued": c.Issued.UTC(), "expires": c.Expires.UTC(), "holder": false}
	if id, err := c.Node.Node(); err != nil || p.id != "" && id.String() != p.id {
		return []Finding{problem(p.joinAgain(), facts, "the credential is of another node: the folder was copied, or the identity is new")}
	}
	holder, err := member.OpenHolder(dir, m, 0)
	if err != nil {
		key := quote(filepath.Join(dir, "key"))
		next := fmt.Sprintf("mv %s %s.aside", key, key)
		if st, serr := os.Stat(filepath.Join(dir, "key")); serr == nil && st.Mode().Perm()&0o077 != 0 {
			next = "chmod 600 " + key
		}
		return []Finding{problem(next, facts, "%v", err)}
	}
	is := fmt.Sprintf("%s, role %s", m.Mesh().Short(), c.Role)
	if holder != nil {
		facts["holder"] = true
		is += ", has the key"
	}
	if adverts, _, err := member.LoadKnown(dir, m, now); err == nil {
		facts["known"] = len(adverts)
		is += fmt.Sprintf(", %d known", len(adverts))
	}
	switch err := c.Check(c.Node, now); {
	case errors.Is(err, member.ErrNotYet):
		return []Finding{problem(setClock, facts, "%s: its credential is valid in %s: this clock is behind", is, span(c.Issued.Sub(now)))}
	case errors.Is(err, member.ErrExpired) && holder == nil && p.runs():
		return []Finding{problem(p.atNode("omx mesh members"), facts, "%s: its credential expired %s ago, no member with the key is reached", is, span(now.Sub(c.Expires)))}
	case errors.Is(err, member.ErrExpired) && holder == nil:
		return []Finding{advice(p.onFolder("omx serve"), facts, "%s: its credential expired %s ago; a member with the key renews it", is, span(now.Sub(c.Expires)))}
	case err != nil && holder == nil:
		return []Finding{problem(setClock, facts, "%s: %v", is, err)}
	case err != nil:
		return []Finding{ok(facts, "%s: renewed by itself when it starts", is)}
	}
	return []Finding{ok(facts, "%s, valid for %s", is, span(c.Expires.Sub(now)))}
}

// joinAgain is the command that takes a membership out of the way and makes another.
func (p *patient) joinAgain() string {
	dir := quote(p.file(node.MeshFolder))
	return fmt.Sprintf("mv %s %s.aside && %s", dir, dir, p.onFolder("omx mesh join TOKEN"))
}

// runs tells whether a node has the folder in use.
func (p *patient) runs() bool { return p.user != 0 || p.own() }

// meshPort looks where the running node listens for others, or whether one could.
func meshPort(_ context.Context, p *patient) []Finding {
	if p.node != nil && p.node.self != nil {
		return p.listens()
	}
	port, err := mesh.TryListen(p.Mesh)
	facts := map[string]any{"port": port, "addr": p.Mesh}
	next := p.onFolder(fmt.Sprintf("omx serve --mesh /ip4/0.0.0.0/udp/%d/quic-v1", port+1))
	switch {
	case err == nil && port == 0:
		return []Finding{ok(facts, "UDP, any that is free")}
	case err == nil:
		return []Finding{ok(facts, "UDP %d is free", port)}
	case !errors.Is(err, syscall.EADDRINUSE):
		return []Finding{problem(next, facts, "%v", err)}
	}
	who, told := holderOf("udp", port)
	switch {
	case !told:
		return []Finding{problem(fmt.Sprintf("sudo ss -ulpn sport = :%d", port), facts, "UDP %d is in use by another program", port)}
	case who.pid == p.user:
		return []Finding{ok(facts, "UDP %d has the node, process %d", port, who.pid)}
	}
	facts["program"], facts["process"] = who.name, who.pid
	return []Finding{problem(next, facts, "UDP %d is in use by %s, process %d", port, who.name, who.pid)}
}

// listens is what the running node says of where it listens.
func (p *patient) listens() []Finding {
	ports := []int{}
	local := true
	for _, s := range p.node.self.Addrs {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			continue
		}
		local = local && manet.IsIPLoopback(a)
		if text, err := a.ValueForProtocol(ma.P_UDP); err == nil {
			if port, err := strconv.Atoi(text); err == nil && !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
		}
	}
	facts := map[string]any{"ports": ports, "addrs": p.node.self.Addrs}
	if len(ports) == 0 {
		return nil
	}
	if local && p.node.mesh != nil {
		return []Finding{advice("omx serve --mesh /ip4/0.0.0.0/udp/4001/quic-v1", facts, "UDP %d, for this machine only: no member can dial it", ports[0])}
	}
	where := "for other machines too"
	if local {
		where = "for this machine only"
	}
	return []Finding{ok(facts, "UDP %d has the node, %s", ports[0], where)}
}
