package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	tpt "github.com/libp2p/go-libp2p/core/transport"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"omx/node/catalog"
	"omx/node/mesh/member"
)

// ErrRelayed means that a peer is reached through a relay, which carries no files.
var ErrRelayed = errors.New("it is reached through a relay only, which carries no files")

// DialLane opens a lane to a peer: a connection of its own for bytes, many of them.
// What is lost on it, and how fast it may send, is nothing to the connection that
// carries requests; and on a lossy or long path several lanes are faster than one.
// Whoever gets it closes it, and with it the connection. Errors: ErrUnreachable,
// ErrRelayed, *RefusedError for an observer; a peer that takes no more lanes, or none
// at all, closes it.
func (m *Mesh) DialLane(ctx context.Context, id catalog.NodeID) (net.Conn, error) {
	if m.Role() == member.Observe {
		return nil, &RefusedError{Code: CodeRejected, Message: "this node is an observer of its mesh and asks nothing of others"}
	}
	p := m.peers.node(id)
	if p == nil {
		return nil, fmt.Errorf("open a lane: %w: %w", ErrUnreachable, errNotListed)
	}
	addrs := p.dialAddrs()
	if s := m.sessionOf(p.peer); s != nil {
		if s.link.relayed {
			return nil, fmt.Errorf("open a lane: %w", ErrRelayed)
		}
		addrs = []ma.Multiaddr{s.link.conn.RemoteMultiaddr()} // that is known to work
	}
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Pool.DialTimeout)
	defer cancel()
	errs := []error{ErrUnreachable}
	for _, a := range addrs {
		if isCircuit(a) {
			continue
		}
		c, err := m.dialLane(ctx, p, a)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("open a lane: %w", errors.Join(errs...))
}

func (m *Mesh) dialLane(ctx context.Context, p *listed, a ma.Multiaddr) (net.Conn, error) {
	t := m.host.swarm.TransportForDialing(a)
	if t == nil {
		return nil, fmt.Errorf("%s is no address of a node", a)
	}
	conn, err := t.Dial(ctx, a, p.peer)
	if err != nil {
		return nil, err
	}
	s, err := conn.OpenStream(ctx)
	if err == nil {
		_ = s.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err = s.Write([]byte{tagLane, version})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	_ = s.SetWriteDeadline(time.Time{})
	return &lane{MuxedStream: s, conn: conn, local: netAddr(conn.LocalMultiaddr()), remote: netAddr(a)}, nil
}

// lane is one end of it.
type lane struct {
	network.MuxedStream
	conn          tpt.CapableConn // at the end that has dialled
	first         []byte          // to be read before the stream
	local, remote net.Addr
}

// Read implements net.Conn.
func (l *lane) Read(b []byte) (int, error) {
	if len(l.first) > 0 {
		n := copy(b, l.first)
		l.first = l.first[n:]
		return n, nil
	}
	return l.MuxedStream.Read(b)
}

// Close implements net.Conn.
func (l *lane) Close() error {
	if l.conn == nil {
		return l.MuxedStream.Close()
	}
	_ = l.MuxedStream.Reset()
	return l.conn.Close()
}

// LocalAddr implements net.Conn.
func (l *lane) LocalAddr() net.Addr { return l.local }

// RemoteAddr implements net.Conn.
func (l *lane) RemoteAddr() net.Addr { return l.remote }

func netAddr(a ma.Multiaddr) net.Addr {
	if u, err := manet.ToNetAddr(a); err == nil {
		return u
	}
	return &net.UDPAddr{}
}

// serveLane has the configuration's function serve a lane that a peer has opened, of
// which the first bytes have been read.
func (m *Mesh) serveLane(p *listed, s network.Stream, first []byte) {
	if !m.admitLane(p) {
		_ = s.Reset()
		return
	}
	defer func() {
		<-m.lanes
		p.lanes.Add(-1)
	}()
	_ = s.SetReadDeadline(time.Time{})
	m.cfg.ServeLane(p.id, &lane{MuxedStream: s, first: first, local: netAddr(s.Conn().LocalMultiaddr()), remote: netAddr(s.Conn().RemoteMultiaddr())})
	_ = s.Close() // what was written is still sent
}

// admitLane counts one more lane, unless the peer or all peers have enough.
func (m *Mesh) admitLane(p *listed) bool {
	if m.cfg.ServeLane == nil {
		return false
	}
	if c := p.cred.Load(); c != nil && c.Role == member.Observe {
		return false
	}
	if p.lanes.Add(1) <= maxPeerLanes {
		select {
		case m.lanes <- struct{}{}:
			return true
		default:
		}
	}
	p.lanes.Add(-1)
	return false
}
