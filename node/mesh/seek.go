package mesh

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

// A member that no neighbour hears is dialled; but where neither end can reach the
// other, as behind two routers that let nobody in, they can only hear of each other
// through somebody in between. So neighbours are also asked for such a one: whom they
// name becomes a neighbour.

// hearer says that one member hears another, by their handles.
type hearer struct{ by, of uint64 }

const hearerLen = 8 + 8

// seek asks one neighbour about each member that none hears; most have some neighbour
// that does. It needs the mutex, as all here.
func (o *overlay) seek(now time.Time) {
	kept := make([]*session, 0, len(o.kept))
	for s := range o.kept {
		kept = append(kept, s)
	}
	asked := 0
	for p, since := range o.gaps { // in no order
		if len(kept) == 0 || asked == maxSeeks {
			return
		}
		if now.Sub(since) < seekAfter || now.Sub(p.far.sought) < seekEvery {
			continue
		}
		kept[rand.IntN(len(kept))].wish(wish{op: opSeek, handle: p.handle})
		asked++
	}
}

// tookSeek answers a neighbour that seeks a member, if this node knows who hears it.
func (o *overlay) tookSeek(s *session, of uint64) {
	x := &s.side
	if len(x.hearers) >= maxEntries || !x.checks.Allow() {
		return
	}
	for k := range o.kept {
		if k != s && k.side.hears[of] == wordHeard {
			x.hearers = append(x.hearers, hearer{by: k.peer.handle, of: of})
			s.hurry()
			return
		}
	}
}

// tookHearers takes who hears members that this node seeks.
func (o *overlay) tookHearers(b []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	return eachHearer(b, func(h hearer) {
		of, by := o.m.peers.handle(h.of), o.m.peers.handle(h.by)
		if of == nil || by == nil || o.gaps[of].IsZero() || by.far.session != nil || now.Sub(of.far.sought) < seekEvery {
			return
		}
		of.far.sought = now
		switch s := by.far.up; {
		case s == nil:
			by.far.bridge = true
			by.retry()
		case !s.side.mine && o.room(s):
			o.setMine(s, true)
			o.rekeep(s)
		}
	})
}

// appendHearers writes who hears what the peer seeks.
func (x *side) appendHearers(b []byte) []byte {
	if len(x.hearers) == 0 {
		return b
	}
	b = appendHeader(b, kindHearers, len(x.hearers)*hearerLen)
	for _, h := range x.hearers {
		b = appendHearer(b, h)
	}
	x.hearers = nil
	return b
}

func appendHearer(b []byte, h hearer) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, h.by), h.of)
}

func eachHearer(b []byte, f func(hearer)) error {
	if len(b)%hearerLen != 0 {
		return fmt.Errorf("%w: hearers of %d bytes", ErrProtocol, len(b))
	}
	for ; len(b) > 0; b = b[hearerLen:] {
		f(hearer{by: binary.BigEndian.Uint64(b), of: binary.BigEndian.Uint64(b[8:])})
	}
	return nil
}
