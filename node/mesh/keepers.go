package mesh

import (
	"context"
	"errors"
	"time"
)

// keep starts keeping connected to a peer, once the mesh has started.
func (m *Mesh) keep(p *listed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.started || m.leaving || m.closing {
		return
	}
	m.overlay.added(p)
	m.wg.Go(func() { m.keepConnected(p) })
}

// keepConnected dials a peer whenever no session with it is in use.
func (m *Mesh) keepConnected(p *listed) {
	if m.peer > p.peer && !sleep(m.ctx, yieldDial) {
		return
	}
	for failed := 0; m.ctx.Err() == nil && !m.isLeaving(); {
		if m.inUse(p) {
			failed = 0
			m.seenAt(p)
			select {
			case <-p.freed:
			case <-p.gone:
				return
			case <-m.ctx.Done():
			}
			continue
		}
		if !m.mayDial(p) || !m.overlay.turn(p) {
			if !p.pause(m.ctx, maxPause) {
				return
			}
			continue
		}
		e, err := m.pool.Get(m.ctx, p.id)
		again := m.overlay.turned(p, err)
		if err == nil {
			e.Release()
			continue
		}
		if again {
			failed = 0
			continue
		}
		var soon *BackoffError
		wait := time.Duration(0)
		switch {
		case errors.As(err, &soon):
			wait = time.Until(soon.Until)
		case errors.Is(err, ErrPoolFull):
			if m.members == nil { // else it is how a large mesh is
				m.log.Warn("not connected", "peer", p.id, "why", err)
			}
			wait = fullWait
		default:
			m.log.Debug("not connected", "peer", p.id, "why", err)
			failed++
			if m.members != nil {
				wait = m.members.afterFailure(p, failed)
			}
		}
		if !p.pause(m.ctx, wait) {
			return
		}
	}
}

// pause waits, or until a dial may do better than the last; false if there will be
// no more.
func (p *listed) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.wake:
	case <-p.gone:
		return false
	case <-ctx.Done():
		return false
	}
	return true
}

// mayDial says whether there is a point in dialling a peer.
func (m *Mesh) mayDial(p *listed) bool {
	if m.members == nil {
		return true
	}
	return len(p.dialAddrs()) > 0 && m.cfg.Now().Before(m.members.own.Load().Expires)
}

// seenAt notes where a member is connected from or to: it may be reached there
// again.
func (m *Mesh) seenAt(p *listed) {
	m.mu.Lock()
	s := m.sessions[p.peer]
	m.mu.Unlock()
	if m.members == nil || s == nil || s.link.relayed {
		return
	}
	p.mu.Lock()
	p.seen = s.link.conn.RemoteMultiaddr()
	p.mu.Unlock()
}

// afterFailure is how much longer than the pool says to wait before a member is
// dialled again that does not answer. One of which there was only a word on the
// network is given up. In a mesh whose members all dial one another, about one dial a
// second goes to those that are off, so that a mesh of few is whole again soon after
// however long a cut.
func (s *members) afterFailure(p *listed, failed int) time.Duration {
	p.mu.Lock()
	word := p.cred.Load() == nil && p.advert == nil && !p.static
	p.mu.Unlock()
	if word && failed >= triesUnproven {
		s.m.peers.remove(p)
	}
	if failed < 5 {
		return 0
	}
	most := maxGapPause
	if !s.m.overlay.large() {
		most = min(time.Duration(s.m.overlay.failing())*time.Second, maxPause)
	}
	return min(time.Duration(failed)*time.Second, most)
}
