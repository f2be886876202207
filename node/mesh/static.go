package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/quic-go/quic-go"

	"omx/node/mesh/member"
)

// staticPeer is an address of a member as the configuration has it; without an
// identity, whoever answers there says who it is.
type staticPeer struct {
	addr ma.Multiaddr
	id   peer.ID
}

func parseStatic(list []string, self peer.ID) (all []staticPeer, err error) {
	for _, s := range list {
		a, err := parseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("peer %w", err)
		}
		dial, id := peer.SplitAddr(a)
		_, txt := a.ValueForProtocol(ma.P_DNSADDR)
		switch {
		case id == self:
			return nil, fmt.Errorf("peer %q is this node itself; leave it out", s)
		case dial == nil:
			continue // as nodes list one another; a member needs no listing
		case id == "" && txt == nil:
			return nil, fmt.Errorf("peer %q: an address in a DNS text record needs /p2p/ID at its end", s)
		case len(all) >= maxUnproven:
			return nil, fmt.Errorf("more than %d peers are named; members find the others by themselves", maxUnproven)
		}
		all = append(all, staticPeer{dial, id})
	}
	return all, nil
}

func parseAnnounce(list []string) (all []ma.Multiaddr, err error) {
	for _, s := range list {
		a, err := parseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("announced address %w", err)
		}
		a, _ = peer.SplitAddr(a)
		if a == nil || len(all) >= member.MaxAddrs {
			return nil, fmt.Errorf("announced address %q is none, or there are more than %d", s, member.MaxAddrs)
		}
		all = append(all, a)
	}
	return all, nil
}

// parseAddr reads a multiaddr, or HOST:PORT for the UDP port of a node.
func parseAddr(s string) (ma.Multiaddr, error) {
	text := s
	if !strings.HasPrefix(s, "/") {
		host, port, err := net.SplitHostPort(s)
		if err != nil || host == "" || strings.Contains(host, "/") {
			return nil, fmt.Errorf("%q is no address; write HOST:PORT or /ip4/ADDRESS/udp/PORT/quic-v1", s)
		}
		kind := "dns"
		if ip, err := netip.ParseAddr(host); err == nil {
			kind = map[bool]string{true: "ip4", false: "ip6"}[ip.Is4()]
		}
		text = "/" + kind + "/" + host + "/udp/" + port + "/quic-v1"
	}
	a, err := ma.NewMultiaddr(text)
	if dial, _ := peer.SplitAddr(a); err == nil && dial != nil {
		_, udp := dial.ValueForProtocol(ma.P_QUIC_V1)
		_, txt := dial.ValueForProtocol(ma.P_DNSADDR)
		if udp != nil && txt != nil {
			err = errors.New("it names no UDP port")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w; write HOST:PORT or /ip4/ADDRESS/udp/PORT/quic-v1", s, err)
	}
	return a, nil
}

// discover begins to look for the other members.
func (m *Mesh) discover() {
	s := m.members
	s.recall()
	s.advertise()
	m.wg.Go(s.renewals)
	for _, st := range m.static {
		if st.id == "" {
			m.wg.Go(func() { m.keepProbing(st.addr) })
		} else {
			m.place(st.id, st.addr)
		}
	}
	if m.cfg.MDNS {
		m.wg.Go(s.runMDNS)
	}
}

// place has a peer of the configuration dialled at an address.
func (m *Mesh) place(id peer.ID, addr ma.Multiaddr) *listed {
	node, err := member.FromPeer(id)
	if err != nil {
		m.log.Warn("peer not used", "peer", id, "why", err)
		return nil
	}
	p, fresh := m.peers.add(id, node, member.MaxMembers)
	if p == nil {
		m.log.Warn("peer not used", "peer", id, "why", member.ErrFull)
		return nil
	}
	p.mu.Lock()
	p.static = true
	p.mu.Unlock()
	p.reachedAt(addr)
	if fresh {
		m.keep(p)
	}
	return p
}

// keepProbing finds out who is at an address, again whenever that one is not
// connected: another may be there by then.
func (m *Mesh) keepProbing(addr ma.Multiaddr) {
	var p *listed
	for wait := m.cfg.Pool.RetryMin; ; {
		if p == nil || !m.inUse(p) {
			id, err := m.whoIsAt(addr)
			switch {
			case err != nil:
				m.log.Debug("nobody found", "addr", addr, "why", err)
				wait = min(2*wait, m.cfg.Pool.RetryMax)
			case id == m.peer:
				m.log.Warn("an address given with --peer is this node's own", "addr", addr)
				return
			default:
				p, wait = m.place(id, addr), m.cfg.Pool.RetryMax
			}
		}
		if !sleep(m.ctx, wait) {
			return
		}
	}
}

// whoIsAt shakes hands with whoever is at an address, and says who it is if it
// shows a credential of this mesh.
func (m *Mesh) whoIsAt(addr ma.Multiaddr) (peer.ID, error) {
	ctx, cancel := context.WithTimeout(m.ctx, m.cfg.Pool.DialTimeout)
	defer cancel()
	addrs, err := resolve(ctx, addr)
	if err != nil {
		return "", err
	}
	key, _, _, err := identify(m.cfg.Key)
	if err != nil {
		return "", err
	}
	var errs []error
	for _, a := range addrs {
		identity, err := libp2ptls.NewIdentity(key, libp2ptls.WithCertTemplate(certificate(m.members.own.Load().Bytes())))
		if err != nil {
			return "", err
		}
		conf, found := identity.ConfigForPeer("")
		conn, err := m.host.conns.DialQUIC(ctx, a, conf, func(*quic.Conn, uint64) bool { return false })
		if err != nil {
			errs = append(errs, err)
			continue
		}
		raw := credentialIn(conn.ConnectionState().TLS.PeerCertificates)
		_ = conn.CloseWithError(quic.ApplicationErrorCode(network.ConnShutdown), "")
		if _, err := member.ParseCredential(raw, m.members.key); err != nil {
			m.refused.count(reasonOf(err))
			errs = append(errs, fmt.Errorf("%s: %w", a, err))
			continue
		}
		return peer.IDFromPublicKey(<-found) // sent before the handshake was complete
	}
	return "", errors.Join(errs...)
}

// resolve looks names up, each time: their addresses may change.
func resolve(ctx context.Context, a ma.Multiaddr) ([]ma.Multiaddr, error) {
	first, rest := ma.SplitFirst(a)
	networks := map[int]string{ma.P_DNS: "ip", ma.P_DNS4: "ip4", ma.P_DNS6: "ip6"}
	network := networks[first.Protocol().Code]
	if network == "" {
		return []ma.Multiaddr{a}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, network, first.Value())
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", first.Value(), err)
	}
	var list []ma.Multiaddr
	for _, ip := range ips[:min(len(ips), maxAddrs)] {
		host, err := manet.FromIP(ip.Unmap().AsSlice())
		if err == nil {
			list = append(list, host.Encapsulate(rest))
		}
	}
	return list, nil
}

// reachable are the addresses that others should know: what the operator says,
// those of the interfaces, of this machine alone only if there is no other, and the
// ways through relays.
func (m *Mesh) reachable() []ma.Multiaddr {
	addrs := append([]ma.Multiaddr(nil), m.announce...)
	var local []ma.Multiaddr
	for _, a := range m.listening() {
		switch {
		case manet.IsIPLoopback(a):
			local = append(local, a)
		case !manet.IsIP6LinkLocal(a):
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 {
		addrs = local
	}
	behind := m.behind()
	return append(addrs[:min(len(addrs), member.MaxAddrs-len(behind))], behind...)
}

// name is what this node calls itself.
func (m *Mesh) name() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.record.Name
}
