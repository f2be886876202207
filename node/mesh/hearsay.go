package mesh

import (
	"errors"
	"time"
)

// What neighbours say of members that are none of this node's: who is up, and by
// whom their records come.

// errUnheard is why a member is down of which this node knew through others.
var errUnheard = errors.New("no neighbour hears it any more")

// askWhom asks a neighbour whom it hears, if not all are neighbours. It needs the
// mutex, as most here.
func (o *overlay) askWhom(s *session) {
	if x := &s.side; o.large() && !x.asked {
		o.list(s)
		x.asked, x.hears, x.carries = true, map[uint64]word{}, map[*listed]struct{}{}
		s.wish(wish{op: opWant})
	}
}

// wish has the peer told what is wanted of it. One that reads nothing is given up.
func (s *session) wish(w wish) {
	if len(s.side.wishes) >= maxWishes {
		s.m.wg.Go(func() { _ = s.link.end() })
		return
	}
	s.side.wishes = append(s.side.wishes, w)
	s.hurry()
}

// tookWords takes what a neighbour says of others.
func (o *overlay) tookWords(s *session, b []byte) error {
	back := false
	o.mu.Lock()
	x := &s.side
	err := eachWord(b, func(handle uint64, w word) {
		p, was := o.m.peers.handle(handle), x.hears[handle]
		switch {
		case !x.kept || !x.asked || handle == o.m.handle:
			return // it came late
		case w == wordHeard || w == wordSuspect:
			if len(x.hears) < maxPeers {
				x.hears[handle] = w
			}
		default:
			delete(x.hears, handle)
		}
		if p == nil {
			return // when its advert comes, it is settled
		}
		if w == wordHeard {
			back = back || p.far.fails && !o.gaps[p].IsZero()
		} else if p.far.via == s || p.far.via == nil && was == wordSuspect {
			p.far.last = w
			if w == wordLost || w == wordLeft {
				p.far.until = time.Now()
			}
		}
		o.mark(p)
	})
	o.mu.Unlock()
	if back {
		o.dialAgain()
	}
	return err
}

// settle has a member be up or down as neighbours say, if no session with it says
// more.
func (o *overlay) settle(p *listed) {
	p.events.Lock()
	defer p.events.Unlock()
	o.m.mu.Lock()
	direct := p.up
	o.m.mu.Unlock()
	o.mu.Lock()
	show := o.choose(p, time.Now())
	why := errUnheard
	if p.far.last == wordLeft {
		why = ErrLeft
	}
	o.mu.Unlock()
	switch {
	case direct:
	case show == shownDown:
		o.m.observe.PeerDown(p.id, why)
	case show == shownSuspect:
		o.m.observe.PeerSuspect(p.id)
	}
}

// choose decides by whom a member's records come. It returns what the observer is to
// be told, shownUp for nothing.
func (o *overlay) choose(p *listed, now time.Time) shown {
	f := &p.far
	member := o.m.peers.get(p.peer) == p
	var via *session
	hearers := 0
	if member && f.session == nil && !now.Before(f.shun) {
		via, hearers = o.nearest(p)
	}
	only := f.only
	if f.only = hearers == 1; via != nil && via == f.via && only != f.only {
		o.want(p)
	}
	if via != f.via {
		if f.via != nil {
			delete(f.via.side.carries, p)
			if f.via.side.kept {
				f.via.wish(wish{op: opNoMore, handle: p.handle})
			}
		}
		if f.via = via; via != nil {
			f.asked, f.fresh = f.seq, now
			via.side.carries[p] = struct{}{}
			o.want(p)
		}
	}
	switch since := o.gaps[p]; {
	case !member || f.session != nil || via != nil || !o.large():
		delete(o.gaps, p)
	case since.IsZero():
		o.gaps[p] = now
		o.later(p, now.Add(o.gapTime(p)))
	case o.ripe(p, now):
		p.retry()
	}
	switch {
	case f.session != nil: // which says all
		f.shown, f.until = shownDown, time.Time{}
		return shownUp
	case via != nil:
		f.until = time.Time{}
		return shownUp
	case f.shown == shownDown:
		return shownUp
	case member && o.suspected(p):
		if f.shown == shownSuspect {
			return shownUp
		}
		f.shown = shownSuspect
		return shownSuspect
	case member && f.until.IsZero():
		f.until = now.Add(turnTime)
		o.later(p, f.until)
		return shownUp
	case member && now.Before(f.until):
		return shownUp
	}
	f.shown, f.until = shownDown, time.Time{}
	return shownDown
}

// want asks for a member's record.
func (o *overlay) want(p *listed) {
	w := wish{op: opWant, handle: p.handle, seq: p.far.asked}
	if p.far.only {
		w.op = opNeed
	}
	p.far.via.wish(w)
}

// nearest is the neighbour to ask for a member's record: the same as before, or else
// a near one that has few to tell of. It says how many hear it.
func (o *overlay) nearest(p *listed) (best *session, hearers int) {
	var least time.Duration
	for s := range o.kept {
		if s.side.hears[p.handle] != wordHeard {
			continue
		}
		hearers++
		cost := time.Duration(s.rtt.Load()) + time.Duration(len(s.side.carries))*nearerBy
		if best == nil || cost < least {
			best, least = s, cost
		}
	}
	if v := p.far.via; v != nil && v.side.kept && v.side.hears[p.handle] == wordHeard {
		best = v
	}
	return best, hearers
}

// hearing are those sessions whose other end hears a member, as far as it is said.
func (o *overlay) hearing(p *listed, among []*session) (list []*session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range among {
		if w := s.side.hears[p.handle]; w == wordHeard || w == wordSuspect {
			list = append(list, s)
		}
	}
	return list
}

func (o *overlay) suspected(p *listed) bool {
	for s := range o.kept {
		if s.side.hears[p.handle] == wordSuspect {
			return true
		}
	}
	return false
}

// through says whether a member is up by what neighbours say.
func (o *overlay) through(p *listed) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return p.far.shown != shownDown
}

// tookSigned takes a signed record: the peer's own, to be passed on, or one that it
// passes on.
func (o *overlay) tookSigned(s *session, payload []byte) error {
	now := time.Now()
	handle, r, err := parseSigned(payload, now)
	if err != nil {
		return err
	}
	if handle == s.peer.handle {
		o.tookOwn(s, &r)
		return nil
	}
	p := o.m.peers.handle(handle)
	if p == nil {
		return nil
	}
	if reason, ok := o.news(s, p, r.seq, now); !ok {
		if reason != "" {
			o.m.refused.count(reason)
		}
		return nil
	}
	packed, ok := verifyRecord(p.node, o.mesh, r.raw)
	if !ok {
		o.m.refused.count(recordForged)
		return nil
	}
	clock := o.m.cfg.Now()
	info, place, err := decodeRecord(packed, p.id, clock.Add(-now.Sub(r.at)))
	if err != nil {
		o.m.refused.count(recordForged) // its node would not have sent it
		return nil
	}
	info.At = micros(clock)
	for _, a := range p.dialAddrs() {
		info.Addrs = append(info.Addrs, a.String()+ownSuffix+p.peer.String())
	}

	p.events.Lock()
	defer p.events.Unlock()
	o.m.mu.Lock()
	direct, here := p.up, o.m.coord
	o.m.mu.Unlock()
	o.mu.Lock()
	f := &p.far
	if f.via != s || r.seq <= f.seq {
		o.mu.Unlock()
		return nil // meanwhile it is no news
	}
	up := direct || f.shown != shownDown
	f.seq, f.asked, f.fresh, f.shown = r.seq, r.seq, now, shownUp
	o.mu.Unlock()
	if !up {
		o.m.observe.PeerUp(p.id)
	}
	rtt := time.Duration(0)
	if !direct {
		rtt = Estimate(here, place)
	}
	o.m.observe.PeerRecord(info, rtt)
	return nil
}

// news says whether a record that is passed on may be new: it comes from the neighbour
// that was asked, and is newer than what that one had and what this node has. Where
// that is somebody's fault, there is a reason.
func (o *overlay) news(s *session, p *listed, seq uint64, now time.Time) (reason string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch f := &p.far; {
	case f.via != s:
		return "", false
	case seq <= f.asked:
		return recordStale, false
	case seq <= f.seq: // that is from a session of its own
		if f.asked = seq; f.shown == shownDown && f.up == nil {
			f.asked = f.seq
			o.want(p)
		}
		return "", false
	case !s.side.checks.AllowN(now, 1):
		return recordFlood, false
	}
	return "", true
}
