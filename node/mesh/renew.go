package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"omx/node/mesh/member"
)

// renewals keeps this node's credential valid until the mesh ends.
func (s *members) renewals() {
	for said := ""; ; {
		select {
		case <-s.kick:
		case <-s.m.ctx.Done():
			return
		}
		if !s.own.Load().Due(s.m.cfg.Now()) {
			continue
		}
		if err := s.renew(); err != nil {
			left := s.own.Load().Expires.Sub(s.m.cfg.Now())
			level := slog.LevelWarn
			if said == err.Error() {
				level = slog.LevelDebug
			}
			said = err.Error()
			s.m.log.Log(s.m.ctx, level, "membership not renewed; trying again", "left", left.Round(time.Second), "why", err)
			t := time.NewTimer(renewEvery)
			select {
			case <-t.C:
			case <-s.nudge:
			case <-s.m.ctx.Done():
			}
			t.Stop()
		}
	}
}

// renew gets the next credential, from this node's own key or somebody who has it.
func (s *members) renew() error {
	now := s.m.cfg.Now()
	if s.holder != nil {
		return s.use(s.holder.Own(s.self, s.own.Load().Role, now))
	}
	holders := slices.DeleteFunc(s.m.peers.all(), func(p *listed) bool { return !p.isHolder() })
	slices.SortFunc(holders, func(a, b *listed) int { // those that are connected first
		return -cmp.Compare(bit(s.m.inUse(a)), bit(s.m.inUse(b)))
	})
	errs := []error{errors.New("no node that holds the mesh's key is known")}
	for i, p := range holders {
		if i == 0 {
			errs = nil
		}
		c, err := s.askRenewal(p)
		if err == nil {
			return s.use(c)
		}
		errs = append(errs, fmt.Errorf("ask %s: %w", p.id.Short(), err))
	}
	return errors.Join(errs...)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// isHolder says whether it has the mesh's key, by the best that is known of it.
func (p *listed) isHolder() bool {
	if c := p.cred.Load(); c != nil {
		return c.Holder
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.advert != nil && p.advert.Credential.Holder
}

// use has others see the new credential: those that are connected at once, on the
// control stream. The certificate keeps the old one until the next start, so that
// nothing that is open has to end.
func (s *members) use(c *member.Credential) error {
	ship := member.Membership{Key: s.key, Credential: c}
	if err := ship.Save(s.dir); err != nil {
		return err
	}
	if old := s.own.Swap(c); !s.m.cfg.Now().Before(old.Expires) {
		for _, p := range s.m.peers.all() { // nobody could be dialled until now
			s.m.pool.forgive(p.id)
			p.retry()
		}
	}
	s.tell()
	return nil
}

func (s *members) askRenewal(p *listed) (*member.Credential, error) {
	ctx, cancel := context.WithTimeout(s.m.ctx, renewTime)
	defer cancel()
	s.m.setAddrs(p)
	s.m.host.swarm.Backoff().Clear(p.peer)
	conn, err := s.m.host.swarm.DialPeer(ctx, p.peer)
	if err != nil {
		return nil, err
	}
	defer func() {
		if !s.m.inUse(p) {
			_ = conn.Close()
		}
	}()
	ship, _, err := request(ctx, conn, kindRenew, encodeRenew(s.own.Load(), s.m.name()), member.MeshOf(s.key), s.self, s.m.cfg.Now)
	if err != nil {
		return nil, err
	}
	return ship.Credential, nil
}

// setAddrs has the next dial of a peer use what is known now.
func (m *Mesh) setAddrs(p *listed) {
	if m.members == nil {
		return
	}
	ps := m.host.swarm.Peerstore()
	ps.ClearAddrs(p.peer)
	ps.AddAddrs(p.peer, p.dialAddrs(), peerstore.PermanentAddrTTL)
}

// errHungUp means that the other side was reached and did not answer.
var errHungUp = errors.New("the other node hung up")

// request asks for membership on a connection.
func request(ctx context.Context, conn network.Conn, k kind, payload []byte, mesh member.MeshID, node member.ID, now func() time.Time) (*member.Membership, []*member.Advert, error) {
	stream, err := conn.NewStream(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errHungUp, err)
	}
	defer stream.Reset()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(visitTime)
	}
	_ = stream.SetDeadline(deadline)
	if _, err := stream.Write(appendFrame([]byte{tagMember, version}, k, payload)); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errHungUp, err)
	}
	kind, answer, err := newFrameReader(stream).next()
	switch {
	case errors.Is(err, ErrProtocol):
		return nil, nil, err
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", errHungUp, err)
	case kind == kindDenied:
		return nil, nil, parseDenial(answer)
	case kind != kindGranted:
		return nil, nil, fmt.Errorf("%w: frame kind %d in answer to a request for membership", ErrProtocol, kind)
	}
	return parseGrant(answer, mesh, node, now())
}
