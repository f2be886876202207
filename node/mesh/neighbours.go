package mesh

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// Which members a node keeps a session with, where it cannot with all. Any will do as
// long as every member has a neighbour in common with it: so a node dials members at
// random until it has enough, and those that no neighbour hears. One that is dialled
// and has as many as it may gives up the neighbour with which it has the most
// neighbours in common; the two will hear of each other through these.

// dialFor is why a member is dialled.
type dialFor uint8

const (
	dialNone dialFor = iota
	dialFill         // there are few neighbours
	dialGap          // no neighbour hears it, or another is heard by it
	dialAway         // nor did it answer
)

// high is how many neighbours a node has at most, low how many it looks for.
func (o *overlay) high() int {
	n := o.m.pool.cfg.MaxConns
	if !o.large() {
		return n
	}
	return n - o.spare()
}

func (o *overlay) low() int { return max(o.high()-max(o.high()/lowShare, 1), 1) }

// spare is how many connections are not for neighbours, and how many members are
// dialled at once that no neighbour hears; half of these may be such as did not answer.
func (o *overlay) spare() int { return max(o.m.pool.cfg.MaxConns/spareShare, 2) }

// atOnce is how many are dialled at once where there are few neighbours: others dial,
// too.
func (o *overlay) atOnce() int { return max(o.low()/4, 2) }

// ripe says whether a member is to be dialled that no neighbour hears: of the two
// ends by one first.
func (o *overlay) ripe(p *listed, now time.Time) bool {
	since, gap := o.gaps[p]
	return gap && now.Sub(since) >= o.gapTime(p)
}

func (o *overlay) gapTime(p *listed) time.Duration {
	if o.m.peer > p.peer {
		return gapAfter + yieldDial
	}
	return gapAfter
}

// turn says whether a member may be dialled now; turned must follow.
func (o *overlay) turn(p *listed) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	bridge := p.far.bridge
	p.far.bridge, p.far.waits, p.far.began = false, false, o.back
	switch {
	case !o.large():
		return true
	case time.Now().Before(p.far.shun): // it was lost just now
		return false
	case !p.far.fails && len(o.kept)+o.dials[dialFill] < o.low() && o.dials[dialFill] < o.atOnce():
		p.far.dial = dialFill
	case bridge && o.dials[dialGap] < o.spare():
		p.far.dial = dialGap
	case !o.ripe(p, time.Now()):
		return false
	case p.far.fails && o.dials[dialAway] < o.spare()/2:
		p.far.dial = dialAway
	case !p.far.fails && o.dials[dialGap]+o.dials[dialAway] < o.spare():
		p.far.dial = dialGap
	default:
		p.far.waits = true
		return false
	}
	o.dials[p.far.dial]++
	return true
}

// turned notes how a dial went, and says whether to dial again at once: it has failed,
// but began before others returned, so it may have failed for what is over.
func (o *overlay) turned(p *listed, err error) (again bool) {
	var soon *BackoffError
	dialled := !errors.As(err, &soon) && !errors.Is(err, ErrPoolFull) // else those that wait wake by themselves
	o.mu.Lock()
	why, failed := p.far.dial, errors.Is(err, errDial)
	again = failed && p.far.began != o.back
	if p.far.dial, p.far.fails = dialNone, failed && !again; p.far.fails {
		p.far.missed = time.Now()
	}
	if why != dialNone {
		o.dials[why]--
	}
	o.mu.Unlock()
	if again {
		o.m.pool.forgive(p.id)
	}
	if why != dialNone && dialled {
		o.next()
	}
	return again
}

// failing is how many members did not answer the last dial.
func (o *overlay) failing() (n int) {
	all := o.m.peers.all()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range all {
		n += bit(p.far.fails)
	}
	return n
}

// next has as many members dialled as may be. Those that do not answer wait by
// themselves, and then for their turn.
func (o *overlay) next() {
	o.mu.Lock()
	fill, now := min(o.low()-len(o.kept), o.atOnce())-o.dials[dialFill], time.Now()
	gaps := o.spare() - o.dials[dialGap] - o.dials[dialAway]
	away := o.spare()/2 - o.dials[dialAway]
	for p := range o.gaps {
		switch f := &p.far; {
		case f.dial != dialNone || !o.ripe(p, now):
		case !f.fails && gaps > 0:
			p.retry()
			gaps--
		case f.fails && f.waits && away > 0:
			p.retry()
			away--
		}
	}
	var up, others []*listed
	for _, p := range o.m.peers.all() { // in no order
		switch f := &p.far; {
		case fill <= 0:
		case f.session != nil || f.fails || f.dial != dialNone:
		case f.via != nil:
			up = append(up, p)
		default:
			others = append(others, p)
		}
	}
	o.mu.Unlock()
	for _, p := range append(up, others...) {
		if fill <= 0 {
			return
		}
		if !o.m.inUse(p) {
			p.retry()
			fill--
		}
	}
}

// dialAgain has members dialled again at once that could not be reached: one that
// could not be either is back, so the network may be.
func (o *overlay) dialAgain() {
	var again []*listed
	all := o.m.peers.all()
	o.mu.Lock()
	o.back++
	large := o.large()
	for _, p := range all {
		if _, gap := o.gaps[p]; p.far.fails && (gap || !large) {
			p.far.fails = false
			again = append(again, p)
		}
	}
	o.mu.Unlock()
	for _, p := range again {
		o.m.pool.forgive(p.id)
		p.retry()
	}
}

// wanted says whether a session that this node dials is to be kept.
func (o *overlay) wanted(p *listed) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, gap := o.gaps[p]
	return !o.large() || len(o.kept) < o.low() || (gap || p.far.dial != dialNone) && o.room(nil)
}

// admit decides whether a session is kept that is about to be up.
func (o *overlay) admit(s *session) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !s.dialed && o.large() {
		o.setMine(s, s.side.theirs && o.room(s))
	}
	return o.hold(s)
}

// hold is how the pool keeps a session's connection. The end that has dialled for a
// request gives it up first, so that a request never meets an end.
func (o *overlay) hold(s *session) uint64 {
	x := &s.side
	_, gap := o.gaps[s.peer]
	switch {
	case x.mine && x.theirs:
		return pinned
	case x.mine || x.theirs || !x.dialed || gap:
		return lent
	}
	return 0
}

// setMine notes whether this end keeps a session. It needs the mutex, as all below.
func (o *overlay) setMine(s *session, keeps bool) {
	if x := &s.side; x.mine != keeps {
		x.mine = keeps
		x.turns = append(x.turns, byte(bit(keeps)))
		s.hurry()
	}
}

// room says whether one more session may be kept.
func (o *overlay) room(s *session) bool {
	if len(o.kept) < o.high() {
		return true
	}
	now := time.Now()
	if now.Sub(o.gave) < giveEvery { // what neighbours say of the last one has not come
		return false
	}
	v := o.victim(s)
	if v != nil {
		o.gave, v.side.given = now, now
		o.setMine(v, false)
		o.rekeep(v)
	}
	return v != nil
}

// victim is the neighbour that can best be spared, other than s: one through which
// alone neither hears of anybody, and with the most neighbours in common, at least one,
// so that the two go on hearing of each other; nil if there is none. A relay in use is
// not spared.
func (o *overlay) victim(s *session) (v *session) {
	most, relays, now := 0, o.relays(), time.Now()
	for a := range o.kept {
		if a == s || a.side.entry.busy() || a.side.needed() || a.relay.passing(now) || slices.Contains(relays, a) {
			continue
		}
		n := 0
		for b := range o.kept {
			if b != a && a.side.hears[b.peer.handle] == wordHeard {
				n++
			}
		}
		if n > most || n == most && v != nil && a.rtt.Load() > v.rtt.Load() {
			v, most = a, n
		}
	}
	return v
}

// relays are those through which others are told that this node can be reached.
func (o *overlay) relays() (list []*session) {
	for s := range o.kept {
		if s.relay.offers.Load() {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *session) int { return cmpPeer(a.peer.peer, b.peer.peer) })
	return list[:min(len(list), maxRelays)]
}

// needed says whether one end hears of somebody through the other alone. Whoever else
// hears of the other end through this one alone is such a somebody.
func (x *side) needed() bool {
	for p := range x.carries {
		if p.far.only {
			return true
		}
	}
	for _, w := range x.wants {
		if w.only {
			return true
		}
	}
	return false
}

// rekeep makes a session that of a neighbour, or no longer.
func (o *overlay) rekeep(s *session) {
	x, p := &s.side, s.peer
	keep := x.entry != nil && x.mine && x.theirs
	if x.entry != nil {
		x.entry.keep(o.hold(s))
	}
	if keep == x.kept {
		return
	}
	x.kept = keep
	o.mark(p)
	if keep {
		x.since, x.checks, x.passes = time.Now(), rate.NewLimiter(maxChecks, maxChecks/2), rate.NewLimiter(recordRate, recordRate/2)
		p.far.session = s
		o.kept[s] = struct{}{}
		o.spread(p, wordHeard)
		o.askWhom(s)
		for k := range o.kept {
			if w := k.side.wants[p]; w != nil {
				o.askSigned(p, w.seq)
			}
		}
		return
	}
	delete(o.kept, s)
	if p.far.session == s {
		p.far.session, p.far.wanted = nil, 0
		if x.entry != nil {
			o.spread(p, wordParted)
		}
	}
	for c := range x.carries { // another is to tell of it, or this one anew
		if c.far.via == s {
			c.far.via = nil
		}
		o.mark(c)
	}
	for handle, w := range x.hears { // it may have been the last to suspect one
		if c := o.m.peers.handle(handle); c != nil && w == wordSuspect {
			o.mark(c)
		}
	}
	x.neighbour = neighbour{}
}

// tookKeep takes what the other end would do with a session.
func (o *overlay) tookKeep(s *session, keeps bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s.side.theirs = keeps
	if _, gap := o.gaps[s.peer]; !keeps && !gap && len(o.kept) > o.low() { // s may be one of them
		o.setMine(s, false)
	}
	// A wish to be kept is looked at with the next tick: two ends that answer each
	// other at once may do so without end.
	o.rekeep(s)
}

// trim gives up a neighbour if there are too many; false while all may be neighbours.
func (o *overlay) trim() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.large() {
		return false
	}
	if len(o.kept) > o.high() {
		o.room(nil)
	}
	return true
}

// tick looks after neighbours once a second, where not all are.
func (o *overlay) tick() {
	sessions := o.m.all()
	o.mu.Lock()
	now := time.Now()
	for _, s := range sessions {
		o.review(s, now)
		for p := range s.side.carries {
			if o.m.peers.get(p.peer) != p {
				o.mark(p)
			}
		}
	}
	for p := range o.gaps {
		if o.m.peers.get(p.peer) != p {
			o.mark(p)
		}
	}
	for _, p := range o.m.peers.all() {
		f := &p.far
		most := staleFor
		if f.shown == shownDown {
			most = firstFor
		}
		switch v := f.via; {
		case v != nil && now.Sub(f.fresh) > most:
			delete(v.side.hears, p.handle) // whoever hears it has news of it
			o.mark(p)
		case v == nil && f.session == nil && o.gaps[p].IsZero():
			o.mark(p)
		}
	}
	o.seek(now)
	o.mu.Unlock()
	o.next()
}

// review looks whether a session should be kept, or no longer.
func (o *overlay) review(s *session, now time.Time) {
	x := &s.side
	_, gap := o.gaps[s.peer]
	switch {
	case x.entry == nil:
		return
	case x.kept:
		o.askWhom(s)
	case !x.mine && gap:
		o.setMine(s, o.room(s))
	case !x.mine && x.theirs && len(o.kept) < o.high() && now.Sub(x.given) > givenFor:
		o.setMine(s, true)
	case x.mine && !x.theirs && !gap && len(o.kept) >= o.low():
		o.setMine(s, false)
	}
	s.peer.far.fresh = now // its own session says more than others
	o.rekeep(s)
}
