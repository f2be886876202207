package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"omx/node/mesh/member"
)

// overlay is what lets a node see a mesh of more members than it keeps connections.
// It keeps sessions with some of them, its neighbours (neighbours.go), is told by
// these whom they hear, and asks one of them for the record of each member that is
// none (hearsay.go); and it does the same for them (passing.go). A record goes from
// its node to a neighbour and from there to whoever asked, never further.
//
// A member is up as long as a neighbour says that it hears it now. In a mesh that
// has no more members than connections all this rests: all are neighbours.
type overlay struct {
	m      *Mesh
	mesh   member.MeshID
	signer signer
	wakes  chan struct{} // has one entry when there is something to settle

	mu    sync.Mutex // taken last
	kept  map[*session]struct{}
	dirty map[*listed]struct{}
	gaps  map[*listed]time.Time // members that no neighbour hears, and since when
	gave  time.Time             // when a neighbour was last given up
	dials [dialAway + 1]int     // under way
	back  uint64                // goes up when a member returns that could not be reached
}

// side is what the overlay knows of a session; under overlay.mu.
type side struct {
	entry        *Entry[*link] // set while it is up
	dialed       bool          // by this node
	mine, theirs bool          // this end keeps it, and the other does
	kept         bool          // both do, and it is up: the peer is a neighbour
	given        time.Time     // when this end gave it up
	turns        []byte        // changes of mine that the other end is to be told
	spoke        bool          // the other end has this node's record
	lists        bool          // the other end is to be told which adverts this node has
	listed       bool          // it has been
	knows        bool          // it has told which it has
	neighbour
}

// neighbour is what begins anew whenever the peer becomes a neighbour.
type neighbour struct {
	since time.Time

	asked   bool                 // it has been asked whom it hears
	hears   map[uint64]word      // what it says, by handle
	carries map[*listed]struct{} // members it is asked to tell of
	wishes  []wish               // to be sent to it
	checks  *rate.Limiter        // signatures, and members that it seeks

	asks    bool                // it wants to know whom this node hears
	words   map[uint64]word     // to be told
	hearers []hearer            // likewise
	wants   map[*listed]*wanted // records that it wants
	signs   bool                // it wants this node's own
	waits   bool                // for one after signed
	signed  uint64              // newest one that it has
	passes  *rate.Limiter
}

// far is what the overlay knows of a member; under overlay.mu.
type far struct {
	up      *session // that is up
	session *session // by which it is a neighbour
	word    word     // what others are told of it
	signed  *signedRecord
	wanted  uint64 // one after that is wanted of it; 0 none

	via    *session  // the neighbour that is asked for its record
	only   bool      // no other hears it
	shown  shown     // to the observer, beside what a session says
	seq    uint64    // of its newest record
	asked  uint64    // of the newest that via is known to know
	fresh  time.Time // when via last had a newer one
	until  time.Time // when it is down, if nobody hears it
	shun   time.Time // until when words of others do not count
	last   word      // that was not wordHeard
	sought time.Time // when a neighbour last named one that hears it
	bridge bool      // it is that one: to be dialled
	dial   dialFor   // under way
	fails  bool      // the last dial did
	waits  bool      // to be dialled: too many are
	began  uint64    // overlay.back when the last dial was
	missed time.Time // when one last failed
}

// shown is what the observer was told of a member by what others say.
type shown uint8

const (
	shownDown shown = iota
	shownUp
	shownSuspect
)

func newOverlay(m *Mesh) *overlay {
	o := &overlay{m: m, wakes: make(chan struct{}, 1), kept: map[*session]struct{}{}, dirty: map[*listed]struct{}{}, gaps: map[*listed]time.Time{}}
	if m.members != nil {
		o.mesh = member.MeshOf(m.members.key)
	}
	return o
}

// large says whether there are more members than connections.
func (o *overlay) large() bool {
	return o.m.members != nil && o.m.peers.count() > o.m.pool.cfg.MaxConns
}

// run settles what has changed until ctx ends.
func (o *overlay) run(ctx context.Context) {
	tick := time.NewTicker(giveEvery)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-o.wakes:
		case <-tick.C:
			if n++; o.trim() && n%4 == 0 {
				o.tick()
			}
		case <-ctx.Done():
			return
		}
		for p := range o.takeDirty() {
			o.settle(p)
		}
	}
}

// takeDirty is who is to be settled.
func (o *overlay) takeDirty() map[*listed]struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.dirty) == 0 {
		return nil
	}
	dirty := o.dirty
	o.dirty = map[*listed]struct{}{}
	return dirty
}

// mark has a member settled; it needs the mutex.
func (o *overlay) mark(p *listed) {
	if o.m.members == nil {
		return
	}
	o.dirty[p] = struct{}{}
	select {
	case o.wakes <- struct{}{}:
	default:
	}
}

// later has a member settled at a moment.
func (o *overlay) later(p *listed, at time.Time) {
	time.AfterFunc(time.Until(at), func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.mark(p)
	})
}

// added has a member looked at that is new.
func (o *overlay) added(p *listed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mark(p)
}

// begin notes a new session: both ends keep it if neither says otherwise.
func (o *overlay) begin(s *session) {
	keep := !s.dialed || o.wanted(s.peer)
	o.mu.Lock()
	defer o.mu.Unlock()
	s.side = side{dialed: s.dialed, mine: true, theirs: true}
	o.setMine(s, keep)
}

// joined notes that a session is up; an earlier one with the peer counts no more.
func (o *overlay) joined(s *session, e *Entry[*link]) {
	o.mu.Lock()
	f := &s.peer.far
	if old := f.up; old != nil {
		old.side.entry = nil
		o.rekeep(old)
	}
	s.side.entry, f.up = e, s
	o.rekeep(s)
	if f.session == nil {
		o.spread(s.peer, wordParted)
	}
	back := f.fails
	f.fails, f.missed = false, time.Time{}
	o.mu.Unlock()
	if back {
		o.dialAgain()
	}
}

// heard notes a record that a session has brought, and says whether the peer was up
// before.
func (o *overlay) heard(p *listed, seq uint64) (up bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p.far.seq = max(p.far.seq, seq)
	return p.far.shown != shownDown
}

// ended notes the end of a session, and says whether the peer is down by it: gone
// says that it has no other one. It needs the peer's events.
func (o *overlay) ended(s *session, gone bool, err error) (down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	x, f := &s.side, &s.peer.far
	if x.entry = nil; f.up == s {
		f.up = nil
	}
	o.rekeep(s)
	if !gone {
		if f.session == nil {
			o.spread(s.peer, wordParted) // until its other session is a neighbour's
		}
		return false
	}
	o.mark(s.peer)
	large := o.large()
	if large && closed(s, err) { // there was need of its place
		o.spread(s.peer, wordParted)
		f.shown, f.last = max(f.shown, shownUp), wordParted
		return false
	}
	if errors.Is(err, ErrLeft) {
		o.spread(s.peer, wordLeft)
	} else {
		o.spread(s.peer, wordLost)
	}
	f.shown = shownDown
	if large {
		// Others may not have noticed yet. What they say counts again when they must
		// have: each is told something three times in a silence.
		notice := o.m.cfg.Silence
		if silent(err) {
			notice = o.m.cfg.Silence/3 + turnTime
		}
		f.shun = time.Now().Add(notice)
		o.later(s.peer, f.shun)
	}
	return true
}

// closed says whether an end that goes on has closed a session, rather than that
// nothing came: a node that ends says that it leaves.
func closed(s *session, err error) bool {
	return !errors.Is(err, ErrLeft) && !errors.Is(err, ErrProtocol) && !s.gone.Load() && !silent(err)
}

// silent says whether a session has ended since nothing came.
func silent(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// took takes a frame.
func (o *overlay) took(s *session, k kind, payload []byte) error {
	if o.m.members == nil {
		return fmt.Errorf("%w: frame kind %d on a control stream", ErrProtocol, k)
	}
	switch k {
	case kindKeep:
		if len(payload) != 1 || payload[0] > 1 {
			return ErrProtocol
		}
		o.tookKeep(s, payload[0] == 1)
		return nil
	case kindKnown:
		return o.m.members.heardKnown(s, payload)
	case kindWant:
		return o.tookWants(s, payload)
	case kindHears:
		return o.tookWords(s, payload)
	case kindHearers:
		return o.tookHearers(payload)
	}
	return o.tookSigned(s, payload)
}

// appendTurns appends whether this end keeps a session, where that has changed.
func (o *overlay) appendTurns(b []byte, s *session) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, keeps := range s.side.turns {
		b = appendFrame(b, kindKeep, []byte{keeps})
	}
	s.side.turns = nil
	return b
}

// say appends what there is to tell on a session; beat says that it comes behind a
// record. Nothing comes before the first.
func (o *overlay) say(b []byte, s *session, beat bool) []byte {
	if o.m.members == nil {
		return b
	}
	b = o.appendTurns(b, s)
	o.mu.Lock()
	signs, after := s.side.signs, uint64(0)
	if s.side.waits {
		after = s.side.signed
	}
	o.mu.Unlock()
	var own *signedRecord
	if signs {
		own = o.m.signed(after)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	x, now := &s.side, time.Now()
	if x.spoke = x.spoke || beat; !x.spoke {
		return b
	}
	if x.lists {
		x.lists = false
		b = o.m.members.appendKnown(b)
	}
	for len(x.wishes) > 0 {
		n := min(len(x.wishes), maxEntries)
		b = appendHeader(b, kindWant, n*wantLen)
		for _, w := range x.wishes[:n] {
			b = appendWant(b, w)
		}
		x.wishes = x.wishes[n:]
	}
	x.wishes = nil
	b = x.appendWords(b)
	b = x.appendHearers(b)
	if own != nil && x.signs && own.seq > x.signed {
		x.signed, x.waits = own.seq, false
		b = appendSigned(b, o.m.handle, own, now)
	}
	return x.appendPassed(b, beat, now)
}

// hurry has a session say what there is to tell.
func (s *session) hurry() {
	select {
	case s.tell <- struct{}{}:
	default:
	}
}
