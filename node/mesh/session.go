package mesh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/quic-go/quic-go"

	"omx/node/catalog"
)

// link is a connection as the pool keeps it.
type link struct {
	conn    network.Conn
	peer    *listed
	relayed bool // it goes through a third node
	lingers atomic.Bool
	kept    kept
	issuer  issuer
	checker checker
}

// Close implements Conn for the pool; a link that lingers goes by itself.
func (l *link) Close() error {
	if l.lingers.Load() {
		return nil
	}
	return l.end()
}

func (l *link) end() error   { return l.conn.Close() }
func (l *link) Closed() bool { return l.conn.IsClosed() }

// rtt is QUIC's own estimate, 0 if there is none.
func (l *link) rtt() time.Duration {
	stats, _ := l.stats()
	return stats.SmoothedRTT
}

// stats are QUIC's figures of the connection; false if it is none.
func (l *link) stats() (quic.ConnectionStats, bool) {
	var c *quic.Conn
	if !l.conn.As(&c) {
		return quic.ConnectionStats{}, false
	}
	return c.ConnectionStats(), true
}

// session is the control stream of one connection: both sides push their record
// on it, and silence ends the connection.
type session struct {
	m      *Mesh
	peer   *listed
	link   *link
	stream network.Stream
	dialed bool // by this node
	wake   chan struct{}
	up     chan struct{} // closed once the peer has spoken
	entry  *Entry[*link] // set by then; used by read only
	out    chan []byte   // frames to be written beside the record
	watch  watched       // the watcher's
	gone   atomic.Bool   // the watcher has given it up
	late   atomic.Bool   // its next record is
	told   told
	side   side          // the overlay's
	rtt    atomic.Int64  // ns, of the last record
	tell   chan struct{} // has one entry when the overlay has something to say

	before   *session // whose place it has taken
	relay    relaySide
	offered  bool // the peer knows that this node is a relay; write's
	punching atomic.Bool
	punched  chan []ma.Multiaddr // the peer's answer
}

func (s *session) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

var (
	errDial      = errors.New("dial")
	errDialedUs  = errors.New("the peer has dialled this node, and says nothing")
	errNotListed = errors.New("the peer is not listed")
)

// connect dials a peer for the pool, and returns once the peer has spoken. The
// session goes on by itself.
func (m *Mesh) connect(ctx context.Context, id catalog.NodeID) (*link, error) {
	p := m.peers.node(id)
	if p == nil || m.isLeaving() {
		return nil, fmt.Errorf("dial: %w", errNotListed)
	}
	m.setAddrs(p)
	m.host.swarm.Backoff().Clear(p.peer) // the wait between dials is the pool's
	reach := ctx
	if m.overlay.large() {
		var cancel context.CancelFunc
		reach, cancel = context.WithTimeout(ctx, reachTime)
		defer cancel()
	}
	for range crossings {
		conn, err := m.host.swarm.DialPeer(reach, p.peer)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errDial, err)
		}
		if conn.Stat().Direction == network.DirOutbound {
			if l, err := m.converse(ctx, p, conn); !errors.Is(err, errReplaced) {
				return l, err
			}
		}
		if l := m.arriving(reach, p, conn); l != nil {
			return l, nil
		}
	}
	return nil, errDialedUs
}

// arriving waits for the session of a peer that has dialled this node: who dials opens
// the control stream. It returns nil if there will be none.
func (m *Mesh) arriving(ctx context.Context, p *listed, conn network.Conn) *link {
	for {
		l := &link{conn: conn}
		if s := m.sessionOf(p.peer); s != nil {
			select {
			case <-s.up:
				return s.link
			default:
				l = s.link
			}
		}
		select {
		case <-p.came:
		case <-l.ended().Done():
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// converse begins a session on a connection that this node has dialled, and returns
// once the peer has spoken.
func (m *Mesh) converse(ctx context.Context, p *listed, conn network.Conn) (*link, error) {
	stream, err := conn.NewStream(ctx)
	if err == nil {
		_ = stream.SetWriteDeadline(time.Now().Add(m.cfg.Silence))
		_, err = stream.Write([]byte{tagControl, version})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open control stream: %w", err), conn.Close())
	}
	s := m.newSession(p, stream, true)
	ended := make(chan error, 1)
	m.wg.Go(func() { ended <- s.run(newFrameReader(stream)) })
	select {
	case <-s.up:
		return s.link, nil
	case err = <-ended:
		return nil, err
	case <-ctx.Done():
		_ = s.link.end()
		return nil, fmt.Errorf("dial: the peer says nothing: %w", ctx.Err())
	}
}

func (m *Mesh) inUse(p *listed) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sessions[p.peer] != nil
}

func (m *Mesh) newSession(p *listed, stream network.Stream, dialed bool) *session {
	conn := stream.Conn()
	s := &session{m: m, peer: p, link: &link{conn: conn, peer: p, relayed: isCircuit(conn.RemoteMultiaddr())}, stream: stream, dialed: dialed,
		wake: make(chan struct{}, 1), tell: make(chan struct{}, 1), up: make(chan struct{}), out: make(chan []byte, maxControl), punched: make(chan []ma.Multiaddr, 1)}
	m.overlay.begin(s)
	return s
}

// run speaks on the control stream until it fails.
func (s *session) run(r *frameReader) error {
	m, p := s.m, s.peer
	if !m.adopt(s) {
		_ = s.link.end()
		return errReplaced
	}
	ctx, cancel := context.WithCancel(m.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.write(ctx)
	}()
	err := s.read(r)
	if s.gone.Load() {
		err = errGone
	}
	cancel()
	if s.link.lingers.Load() {
		s.linger()
	}
	if s.entry != nil {
		m.pool.Drop(s.entry)
	}
	_ = s.link.end() // fails every stream on it at once
	m.mu.Lock()
	before := s.before
	s.before = nil
	m.mu.Unlock()
	if before != nil {
		_ = before.link.end()
	}
	<-done
	p.events.Lock()
	defer p.events.Unlock()
	if m.overlay.ended(s, m.release(s), err) {
		m.observe.PeerDown(p.id, err)
	}
	return err
}

// adopt makes s the peer's session, or reports that the present one is better: one
// that is direct; of two that cross, both sides keep the one dialled by the smaller
// identity; a second one dialled by the same side means that the first is dead. What
// is open on one that is alive ends there.
func (m *Mesh) adopt(s *session) bool {
	m.mu.Lock()
	old := m.sessions[s.peer.peer]
	better, dead := true, false
	switch {
	case old == nil:
	case old.link.relayed != s.link.relayed:
		better = old.link.relayed
	case old.dialed == s.dialed:
		dead = true
	default:
		better = s.dialed == (m.peer < s.peer.peer)
	}
	if better {
		m.sessions[s.peer.peer] = s
		if s.before = old; old != nil && !dead {
			old.link.lingers.Store(true)
		}
	}
	m.mu.Unlock()
	switch {
	case !better || old == nil:
	case dead:
		_ = old.link.end()
	default:
		_ = old.stream.SetReadDeadline(time.Now()) // its read ends
	}
	return better
}

// linger lets a connection whose place another has taken last until what has begun on
// it has ended. The other side may begin more for a moment.
func (s *session) linger() {
	before, _ := s.link.stats()
	for quiet, deaf := 0, 0; quiet < lingerTicks && deaf < lingerDeaf; {
		s.link.kept.expire(time.Now().Add(2 * keepFor)) // nobody takes them again
		_ = s.stream.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = s.stream.Write(pingFrame) // acknowledged, if there is somebody
		if !sleep(s.link.ended(), time.Second) {
			return
		}
		quiet++
		if len(s.link.conn.GetStreams()) > 1 { // beside the control stream
			quiet = 0
		}
		now, _ := s.link.stats()
		deaf++
		if now.PacketsReceived != before.PacketsReceived {
			deaf = 0
		}
		before = now
	}
}

// release ends s; down reports that with it the peer is gone, rather than
// carried on by a newer session.
func (m *Mesh) release(s *session) (down bool) {
	m.mu.Lock()
	if m.sessions[s.peer.peer] == s {
		delete(m.sessions, s.peer.peer)
		down, s.peer.up = s.peer.up, false
	}
	m.mu.Unlock()
	for _, c := range []chan struct{}{s.peer.freed, m.ended} {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	return down
}

// heard passes a record on. The peer's first one makes the connection usable for
// requests. What a session says after a newer one took its place is not told.
func (s *session) heard(info catalog.NodeInfo, rtt time.Duration) (err error) {
	s.peer.events.Lock()
	defer s.peer.events.Unlock()
	s.m.mu.Lock()
	current := s.m.sessions[s.peer.peer] == s
	s.m.mu.Unlock()
	if !current {
		return errReplaced
	}
	s.rtt.Store(int64(rtt))
	known := s.m.overlay.heard(s.peer, info.Seq)
	if s.entry == nil {
		keep := s.m.overlay.admit(s)
		if s.entry, err = s.m.pool.Put(s.peer.id, s.link, keep == pinned); err != nil {
			return err
		}
		s.m.mu.Lock()
		first := !s.peer.up
		s.peer.up = true
		s.m.mu.Unlock()
		if first && !known {
			s.m.observe.PeerUp(s.peer.id)
		}
		s.m.overlay.joined(s, s.entry)
		close(s.up)
		select {
		case s.peer.came <- struct{}{}:
		default:
		}
		s.m.startRelaying(s)
		if s.link.relayed && s.dialed {
			s.m.wg.Go(func() { s.m.straighten(s) })
		}
	}
	s.m.observe.PeerRecord(info, rtt)
	return nil
}

var errReplaced = errors.New("another connection took its place")

// read takes the peer's records until it falls silent. Only its first record
// makes the peer up: a node that does not list us lets the handshake succeed and
// hangs up then.
func (s *session) read(r *frameReader) error {
	began := time.Now()
	late := time.AfterFunc(s.m.lateAfter(), func() {
		s.late.Store(true)
		s.m.watcher.wake()
	})
	defer late.Stop()
	for {
		_ = s.stream.SetReadDeadline(time.Now().Add(s.m.cfg.Silence))
		if s.link.lingers.Load() {
			return errReplaced
		}
		k, payload, err := r.next()
		if err != nil {
			return fmt.Errorf("control stream: %w", err)
		}
		if k != kindRecord {
			if err := s.took(k, payload); err != nil {
				return err
			}
			continue
		}
		if !s.m.admitted(s.peer) {
			if time.Since(began) > visitTime {
				return errNotMember
			}
			continue // it may be renewing its credential here just now
		}
		s.late.Store(false)
		late.Reset(s.m.lateAfter())
		info, remote, err := decodeRecord(payload, s.peer.id, s.m.cfg.Now())
		if err != nil {
			return err
		}
		rtt := s.link.rtt()
		s.m.moveTowards(remote, rtt)
		if err := s.heard(info, rtt); err != nil {
			return err
		}
	}
}

// lateAfter is when a peer's record is late enough for a closer look: two are missing.
func (m *Mesh) lateAfter() time.Duration { return m.cfg.Silence * 2 / 3 }

// took takes what is no record. Of who is no member only what might make it one
// counts.
func (s *session) took(k kind, payload []byte) error {
	switch k {
	case kindPing, kindAsk, kindVerdict, kindRelay, kindPunch:
		if !s.m.admitted(s.peer) {
			return nil
		}
		return s.controlled(k, payload)
	case kindKeep, kindKnown, kindWant, kindHears, kindSigned, kindHearers:
		if !s.m.admitted(s.peer) && k != kindKeep {
			return nil
		}
		return s.m.overlay.took(s, k, payload)
	}
	return s.m.control(s, k, payload)
}

// write sends this node's record: at first, when its facts change, and as a
// heartbeat; before it, what is new in the mesh; and what else there is to say.
func (s *session) write(ctx context.Context) {
	beat := time.NewTicker(s.m.cfg.Silence / 3)
	defer beat.Stop()
	frame, due := []byte(nil), true
	for {
		if s.m.isLeaving() {
			_ = s.stream.SetWriteDeadline(time.Now().Add(leaveTime))
			_, _ = s.stream.Write(appendFrame(frame[:0], kindLeaving, nil))
			return // the peer hangs up
		}
		if due {
			frame = s.m.toTell(frame[:0], s)
		}
		if len(frame) > 0 {
			_ = s.stream.SetWriteDeadline(time.Now().Add(s.m.cfg.Silence))
			if _, err := s.stream.Write(frame); err != nil {
				_ = s.link.end() // ends read as well
				return
			}
		}
		due = true
		select {
		case <-beat.C:
		case <-s.wake:
		case <-s.tell:
			frame, due = s.m.overlay.say(frame[:0], s, false), false
		case f := <-s.out:
			frame, due = append(frame[:0], f...), false
		case <-ctx.Done():
			return
		}
	}
}

// moveTowards learns this node's coordinate from a measured round trip.
func (m *Mesh) moveTowards(remote Coordinate, rtt time.Duration) {
	m.mu.Lock()
	m.coord = Update(m.coord, remote, rtt, rand.Float64)
	m.mu.Unlock()
}

// linkOf is a connection with a peer, nil if no session is on it.
func (m *Mesh) linkOf(p *listed, conn network.Conn) *link {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := m.sessions[p.peer]; s != nil; s = s.before {
		if s.link.conn == conn {
			return s.link
		}
	}
	return nil
}

// sessionOf is the session in use with a peer, nil if there is none.
func (m *Mesh) sessionOf(id peer.ID) *session {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sessions[id]
}
