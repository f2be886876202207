package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/net/ipv4"
)

// Members on one network find one another by multicast DNS over IPv4 (RFC 6762).
// What comes this way is a word of anybody: it makes this node dial the sender's
// own address, and the handshake shows whether a member is there. The name that is
// asked for is a hash of the mesh's name; a token never comes near the network.
var mdnsGroup = &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}

const (
	mdnsPacket     = 1500             // bytes that are read of a packet
	mdnsInterfaces = 8                // that are used, at most
	mdnsScan       = 10 * time.Second // for interfaces that come and go
	mdnsAsk        = time.Minute      // between questions, once the first are asked
	mdnsAnswer     = 500 * time.Millisecond
)

// runMDNS asks and answers until the mesh ends.
func (s *members) runMDNS() {
	told := false
	for s.m.ctx.Err() == nil {
		at := mdnsNetworks()
		ctx, cancel := context.WithCancel(s.m.ctx)
		var wg sync.WaitGroup
		for _, n := range at {
			wg.Go(func() {
				if err := s.mdnsOn(ctx, n); err != nil && ctx.Err() == nil && !told {
					told = true // by one of them: it is all that is done with it
					s.m.log.Info("members on the local network are not looked for; name one with --peer, or use --no-mdns", "interface", n.name, "why", err)
				}
			})
		}
		for sleep(s.m.ctx, mdnsScan) && slices.Equal(at, mdnsNetworks()) {
		}
		cancel()
		wg.Wait()
	}
}

// mdnsNetwork is an interface and this machine's address there.
type mdnsNetwork struct {
	name  string
	index int
	addr  netip.Addr
}

func mdnsNetworks() (list []mdnsNetwork) {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range all {
		if len(list) == mdnsInterfaces || i.Flags&net.FlagUp == 0 || i.Flags&net.FlagMulticast == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
				list = append(list, mdnsNetwork{i.Name, i.Index, p.Addr()})
				break
			}
		}
	}
	return list
}

// mdnsOn asks and answers on one interface.
func (s *members) mdnsOn(ctx context.Context, n mdnsNetwork) error {
	ifi, err := net.InterfaceByIndex(n.index)
	if err != nil {
		return err
	}
	conn, err := net.ListenMulticastUDP("udp4", ifi, mdnsGroup)
	if err != nil {
		return fmt.Errorf("listen for multicast: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		stop()
		_ = conn.Close()
	}()
	// Two nodes on one machine are to find each other, too.
	if err := ipv4.NewPacketConn(conn).SetMulticastLoopback(true); err != nil {
		return fmt.Errorf("listen for multicast: %w", err)
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() {
		for wait := time.Second; ; wait = min(3*wait, mdnsAsk) {
			_, _ = conn.WriteToUDP(mdnsQuestion(s.service()), mdnsGroup)
			if !sleep(ctx, wait) {
				return
			}
		}
	})
	var answered time.Time
	buf := make([]byte, mdnsPacket)
	for {
		size, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("read multicast: %w", err)
		}
		asked, found := parseMDNS(buf[:size], s.service())
		if port := s.mdnsPort(n.addr); asked && port != 0 && time.Since(answered) > mdnsAnswer {
			answered = time.Now()
			if b, err := mdnsAnswerTo(s.service(), s.m.peer.String(), port); err == nil {
				_, _ = conn.WriteToUDP(b, mdnsGroup)
			}
		}
		for _, f := range found {
			id, err := peer.Decode(f.id)
			if err != nil || id == s.m.peer {
				continue
			}
			if a, err := ma.NewMultiaddr(fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", from.Addr().Unmap(), f.port)); err == nil {
				s.found(id, []ma.Multiaddr{a})
			}
		}
	}
}

// mdnsPort is the port at which this node is reached at an address; 0: it is not.
func (s *members) mdnsPort(at netip.Addr) uint16 {
	for _, a := range s.m.host.swarm.ListenAddresses() {
		ip, err := a.ValueForProtocol(ma.P_IP4)
		if err != nil {
			continue
		}
		text, err := a.ValueForProtocol(ma.P_UDP)
		if err != nil {
			continue
		}
		ap, err := netip.ParseAddrPort(ip + ":" + text)
		if err == nil && (ap.Addr().IsUnspecified() || ap.Addr() == at) {
			return ap.Port()
		}
	}
	return 0
}
