package mesh

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// watcher notices peers that have gone while requests are open at them, or whose
// records do not come, before they count as silent. It looks at what comes on a
// connection, not at tokens: a peer that computes for a minute still acknowledges a ping
// at once. While no request is open and no record late it rests and nothing is sent.
//
// A peer that does not answer is suspect: the observer is told, and others are asked
// whether they hear it (SWIM, Das et al., 2002). If one of them is as little
// answered and nobody is, it is gone. A node that is itself late, or was wrong, gives
// others more time (Lifeguard, Dadgar et al., 2017).
type watcher struct {
	m      *Mesh
	awake  atomic.Bool
	wakes  chan struct{}
	asks   chan question
	told   chan verdict
	health health
	looked []*session // the room for them
	nonce  uint32
}

// watched is what the watcher knows of a session.
type watched struct {
	on      bool
	packets uint64        // received, when something last came
	quiet   time.Duration // since then, as far as this node was awake
	pings   int           // since then
	first   time.Duration // quiet at the first of them
	latest  time.Duration // and at the latest
	stalled bool          // since then
	askers  []asker
	inquiry inquiry
}

func newWatcher(m *Mesh) *watcher {
	return &watcher{m: m, wakes: make(chan struct{}, 1), asks: make(chan question, maxAsks), told: make(chan verdict, maxAsks)}
}

// wake has it look, if it rests.
func (w *watcher) wake() {
	if w.awake.Load() {
		return
	}
	select {
	case w.wakes <- struct{}{}:
	default:
	}
}

func (w *watcher) run(ctx context.Context) {
	for w.rest(ctx) {
		tick, last := time.NewTicker(watchTick), time.Now()
		for idle := 0; idle < watchLinger; {
			select {
			case <-tick.C:
				now := time.Now()
				if idle++; w.look(now.Sub(last)) {
					idle = 0
				}
				last = now
			case a := <-w.asks:
				w.asked(&a)
			case v := <-w.told:
				w.hear(v)
			case <-ctx.Done():
				tick.Stop()
				return
			}
		}
		tick.Stop()
	}
}

// rest waits until there is something to look at; false at the end.
func (w *watcher) rest(ctx context.Context) bool {
	w.awake.Store(false)
	defer w.awake.Store(true)
	for _, s := range w.sessions() {
		if s.needed() {
			return true // it was opened before anybody could see that this rests
		}
	}
	select {
	case <-w.wakes:
	case a := <-w.asks:
		w.asked(&a)
	case v := <-w.told:
		w.hear(v)
	case <-ctx.Done():
		return false
	}
	return true
}

// sessions are those in use.
func (w *watcher) sessions() []*session {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	clear(w.looked)
	w.looked = w.looked[:0]
	for _, s := range w.m.sessions {
		w.looked = append(w.looked, s)
	}
	return w.looked
}

// needed tells whether somebody wants to know of the peer.
func (s *session) needed() bool {
	if s.watch.stalled || len(s.watch.askers) > 0 || s.late.Load() {
		return true
	}
	e := s.m.pool.find(s.peer.id)
	return e != nil && e.conn == s.link && e.state.Load()&outMask != 0
}

// look goes over all sessions; step is the time since the last look.
func (w *watcher) look(step time.Duration) (busy bool) {
	w.health.passed(step)
	step = min(step, 2*watchTick) // what this node has slept through proves nothing
	for _, s := range w.sessions() {
		if !s.needed() {
			s.watch.on = false
			continue
		}
		busy = true
		w.watch(s, step)
	}
	return busy
}

func (w *watcher) watch(s *session, step time.Duration) {
	stats, ok := s.link.stats()
	if !ok {
		return
	}
	x := &s.watch
	switch {
	case !x.on:
		*x = watched{on: true, packets: stats.PacketsReceived, askers: x.askers}
		return
	case stats.PacketsReceived != x.packets:
		w.spoke(s)
		*x = watched{on: true, packets: stats.PacketsReceived}
		return
	}
	x.quiet += step
	limit := w.limit(stats.SmoothedRTT, stats.MeanDeviation)
	switch {
	case x.stalled:
		w.inquire(s, step)
	case x.pings >= minPings && x.quiet-x.first >= limit:
		w.stall(s, limit)
	}
	if x.quiet >= probeAfter && (x.pings == 0 || x.quiet-x.latest >= probeEvery) {
		if x.pings++; x.pings == 1 {
			x.first = x.quiet
		}
		x.latest = x.quiet
		s.control(pingFrame)
	}
}

// limit is how long a ping may go unanswered: as long as others took, and for the
// other side to come to it.
func (w *watcher) limit(rtt, deviation time.Duration) time.Duration {
	if rtt == 0 {
		rtt = unknownRTT
	}
	return rtt + 2*deviation + stallGrace*time.Duration(1+w.health.score)
}

// stall makes a peer suspect.
func (w *watcher) stall(s *session, limit time.Duration) {
	x := &s.watch
	x.stalled = true
	for _, a := range x.askers {
		a.answer(heardNothing)
	}
	x.askers = nil
	s.peer.events.Lock()
	w.m.mu.Lock()
	current := w.m.sessions[s.peer.peer] == s && s.peer.up
	w.m.mu.Unlock()
	if current {
		w.m.observe.PeerSuspect(s.peer.id)
		w.m.overlay.suspects(s, true)
	}
	s.peer.events.Unlock()
	w.begin(s, limit)
}

// spoke ends a suspicion.
func (w *watcher) spoke(s *session) {
	if s.watch.stalled {
		w.health.worse() // it was the path, or this node
		w.m.overlay.suspects(s, false)
	}
	for _, a := range s.watch.askers {
		a.answer(heardIt)
	}
}

// health is how far this node can trust itself, 0 at its best.
type health struct {
	score int
	good  time.Duration
}

func (h *health) passed(step time.Duration) {
	if step > lateTick {
		h.worse()
	} else if h.good += step; h.good >= healthAfter {
		h.score, h.good = max(h.score-1, 0), 0
	}
}

func (h *health) worse() { h.score, h.good = min(h.score+1, maxHealth), 0 }

// others are at most n of the sessions that are up and answer, without s.
func (w *watcher) others(s *session, n int) []*session {
	var all []*session
	w.m.mu.Lock()
	for _, o := range w.m.sessions {
		if o != s && o.peer.up && !o.watch.stalled {
			all = append(all, o)
		}
	}
	w.m.mu.Unlock()
	if know := w.m.overlay.hearing(s.peer, all); len(know) > 0 { // in a large mesh not all do
		all = know
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(n, len(all))]
}
