package mesh

import "time"

// What a node tells its neighbours of others that it hears itself.

// wanted is a record that a neighbour wants.
type wanted struct {
	seq  uint64    // the newest one that it has
	at   time.Time // when it was passed on; zero: not yet
	only bool      // nobody else has it for that neighbour
}

// spread has those told that want to know whom this node hears. It needs the mutex,
// as most here.
func (o *overlay) spread(p *listed, w word) {
	if heard := p.far.word == wordHeard || p.far.word == wordSuspect; p.far.word == w || !heard && w != wordHeard {
		return
	}
	p.far.word = w
	for s := range o.kept {
		if s.side.asks && s.peer != p {
			s.side.words[p.handle] = w
			s.hurry()
		}
	}
}

// suspects notes what the watcher finds of a neighbour.
func (o *overlay) suspects(s *session, suspect bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case s.peer.far.session != s:
	case suspect:
		o.spread(s.peer, wordSuspect)
	default:
		o.spread(s.peer, wordHeard)
	}
}

// appendWords writes what is to be told of others.
func (x *side) appendWords(b []byte) []byte {
	for len(x.words) > 0 {
		n := min(len(x.words), maxEntries)
		b = appendHeader(b, kindHears, n*hearsLen)
		for handle, w := range x.words {
			if n--; n < 0 {
				break
			}
			b = appendWord(b, handle, w)
			delete(x.words, handle)
		}
	}
	return b
}

// tookWants takes what a neighbour wants to know.
func (o *overlay) tookWants(s *session, b []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	x := &s.side
	return eachWant(b, func(w wish) {
		switch {
		case !x.kept: // it came late
		case w.op == opSeek:
			o.tookSeek(s, w.handle)
		case w.handle == 0:
			x.asks = w.op != opNoMore
			x.words = map[uint64]word{}
			for k := range o.kept {
				if p := k.peer; x.asks && k != s {
					x.words[p.handle] = p.far.word
				}
			}
			s.hurry()
		case w.handle == o.m.handle:
			x.signs = w.op != opNoMore
			x.signed, x.waits = w.seq, true
			s.hurry()
		case w.op == opNoMore:
			if p := o.m.peers.handle(w.handle); p != nil {
				delete(x.wants, p)
			}
		default:
			o.tookWant(s, w)
		}
	})
}

func (o *overlay) tookWant(s *session, w wish) {
	p := o.m.peers.handle(w.handle)
	if p == nil || p == s.peer {
		return
	}
	x := &s.side
	if x.wants == nil {
		x.wants = map[*listed]*wanted{}
	}
	if old := x.wants[p]; old != nil && old.seq > w.seq {
		old.only = w.op == opNeed
		return
	}
	x.wants[p] = &wanted{seq: w.seq, only: w.op == opNeed}
	if r := p.far.signed; r != nil && r.seq > w.seq {
		s.hurry()
		return
	}
	o.askSigned(p, w.seq)
}

// askSigned asks a neighbour for its signed record, if that has not been done.
func (o *overlay) askSigned(p *listed, after uint64) {
	if p.far.session != nil && max(after, 1) > p.far.wanted { // else when it is a neighbour
		p.far.wanted = max(after, 1)
		p.far.session.wish(wish{op: opWant, handle: p.handle, seq: after})
	}
}

// tookOwn keeps a neighbour's signed record for those that want it. Whether it is
// signed well is for them to check.
func (o *overlay) tookOwn(s *session, r *signedRecord) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := s.peer
	if old := p.far.signed; p.far.session != s || old != nil && r.seq <= old.seq {
		return
	}
	r.raw = append([]byte(nil), r.raw...)
	if p.far.signed = r; r.seq > p.far.wanted {
		p.far.wanted = 0
	}
	for k := range o.kept {
		// What is no news goes with what is said there next.
		if w := k.side.wants[p]; w != nil && (r.news || w.at.IsZero()) {
			k.hurry()
		}
	}
}

// appendPassed writes the records that are wanted and new: on a beat all, else those
// that somebody waits for.
func (x *side) appendPassed(b []byte, beat bool, now time.Time) []byte {
	for p, w := range x.wants {
		r := p.far.signed
		if r == nil || p.far.session == nil || r.seq <= w.seq || now.Sub(w.at) < passEvery || !beat && !r.news && !w.at.IsZero() {
			continue
		}
		if !x.passes.AllowN(now, len(r.raw)) {
			break
		}
		w.seq, w.at = r.seq, now
		b = appendSigned(b, p.handle, r, now)
	}
	return b
}
