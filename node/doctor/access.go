package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"

	"omx/node"
	"omx/node/api"
	"omx/node/keys"
)

// keyFile looks at the API's keys as they lie there: a node does not start with a file
// that it cannot read.
func keyFile(_ context.Context, p *patient) []Finding {
	path := p.Keys
	if path == "" {
		if path = p.file(node.KeysFile); p.folder != nil {
			return nil
		}
	}
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && p.Keys == "" {
		return []Finding{ok(nil, "none: the API asks for none")}
	}
	var ring *keys.Ring
	if err == nil {
		ring, err = keys.Read(path)
	}
	if st == nil {
		return []Finding{problem("ls -l "+quote(path), map[string]any{"path": path}, "%v", err)}
	}
	if err != nil {
		return []Finding{problem("vi "+quote(path), map[string]any{"path": path}, "%v", err)}
	}
	admins := 0
	for _, k := range ring.Keys() {
		if k.Admin {
			admins++
		}
	}
	facts := map[string]any{"path": path, "keys": len(ring.Keys()), "admins": admins, "mode": fmt.Sprintf("%04o", st.Mode().Perm())}
	if st.Mode().Perm()&0o022 != 0 {
		return []Finding{problem("chmod 600 "+quote(path), facts, "mode %04o: others can add a key of their own", st.Mode().Perm())}
	}
	return []Finding{ok(facts, "%s, %d of admins", plural(len(ring.Keys()), "key"), admins)}
}

// access tries the running node's API at each address of this machine, as a stranger
// would: one that answers there without a key is open to the network.
func access(ctx context.Context, p *patient) []Finding {
	if p.node == nil {
		return nil
	}
	return p.tried(ctx, p.reached())
}

func (p *patient) tried(ctx context.Context, hosts []string) []Finding {
	open, shut := []string{}, []string{}
	stranger := newAsker("", false)
	for _, host := range hosts {
		base := "http://" + net.JoinHostPort(host, strconv.Itoa(portOf(p.API)))
		var h health
		if stranger.get(ctx, base, "/healthz", &h) != nil || h.Name != p.node.Name {
			continue // it does not listen there, or another node does
		}
		var nodes []api.NodeView
		if err := stranger.get(ctx, base, "/omx/v1/nodes", &nodes); err == nil {
			open = append(open, base)
		} else {
			shut = append(shut, base)
		}
	}
	facts := map[string]any{"open": open, "asks_for_keys": shut}
	switch {
	case len(open) > 0:
		return []Finding{problem(p.onFolder("omx keys add NAME"), facts, "%s answers anybody on the network, without a key", open[0])}
	case len(shut) > 0:
		return []Finding{ok(facts, "at %s too, where it asks for a key", shut[0])}
	}
	return []Finding{ok(facts, "the API is reached from this machine only")}
}

// reached are the addresses at which others may reach the API: those of this machine,
// and the one at which it was asked.
func (p *patient) reached() (hosts []string) {
	addrs, err := p.Addresses()
	if err != nil {
		return nil
	}
	if ip := net.ParseIP(hostOf(p.API)); ip != nil {
		addrs = append(addrs, &net.IPAddr{IP: ip})
	}
	seen := map[string]bool{}
	for _, a := range addrs {
		ip := ipOf(a)
		// A link's own addresses mean nothing without the link.
		if ip == nil || ip.IsLoopback() || ip.IsLinkLocalUnicast() || seen[ip.String()] || len(hosts) == maxAddresses {
			continue
		}
		seen[ip.String()] = true
		hosts = append(hosts, ip.String())
	}
	return hosts
}

func ipOf(a net.Addr) net.IP {
	switch a := a.(type) {
	case *net.IPNet:
		return a.IP
	case *net.IPAddr:
		return a.IP
	}
	return nil
}

// here tells whether a host is this machine.
func (p *patient) here(host string) bool {
	ip := net.ParseIP(host)
	if host == "localhost" || ip.IsLoopback() {
		return true
	}
	addrs, _ := p.Addresses()
	return slices.ContainsFunc(addrs, func(a net.Addr) bool { return ip != nil && ip.Equal(ipOf(a)) })
}
