package mesh

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"omx/node/catalog"
)

// What one node says of another, which it knows by its own connection only.
const (
	knowsNothing = 0 // is not connected to it
	heardIt      = 1
	heardNothing = 2
)

// errGone ends the session with a peer that others do not hear either.
var errGone = errors.New("it does not answer, and others do not hear it")

// question is a peer's wish to know whether another is heard here.
type question struct {
	asker
	target catalog.NodeID
}

type asker struct {
	from  *session
	nonce uint32
}

func (a *asker) answer(heard byte) { a.from.control(appendVerdict(nil, a.nonce, heard)) }

// verdict is the answer to it.
type verdict struct {
	nonce uint32
	heard byte
}

// inquiry is what has come of asking others about a peer.
type inquiry struct {
	nonce  uint32
	open   int           // others that have not answered
	silent int           // others that do not hear it
	left   time.Duration // to wait for them
}

// begin asks others about a peer that does not answer. With nobody to ask, it has
// the whole time of silence.
func (w *watcher) begin(s *session, limit time.Duration) {
	w.nonce++
	q := inquiry{nonce: w.nonce, left: 3*limit + inquiryTime}
	for _, o := range w.others(s, askOthers) {
		if o.control(appendAsk(nil, q.nonce, s.peer.id)) {
			q.open++
		}
	}
	s.watch.inquiry = q
}

// inquire ends an inquiry when its time is over.
func (w *watcher) inquire(s *session, step time.Duration) {
	q := &s.watch.inquiry
	if q.nonce == 0 {
		return
	}
	if q.left -= step; q.open > 0 && q.left > 0 {
		return
	}
	if q.silent > 0 {
		w.m.log.Debug("peer does not answer", "peer", s.peer.id, "neither", q.silent)
		s.gone.Store(true)
		w.m.wg.Go(func() { _ = s.link.end() })
	}
	*q = inquiry{}
}

// hear takes another's answer.
func (w *watcher) hear(v verdict) {
	for _, s := range w.sessions() {
		q := &s.watch.inquiry
		if q.nonce != v.nonce || v.nonce == 0 {
			continue
		}
		switch v.heard {
		case heardIt: // it is the path between us, if anything
			*q = inquiry{}
			return
		case heardNothing:
			q.silent++
		}
		q.open--
	}
}

// asked looks at a peer for another one.
func (w *watcher) asked(a *question) {
	var s *session
	w.m.mu.Lock()
	if p := w.m.peers.node(a.target); p != nil && p.up {
		s = w.m.sessions[p.peer]
	}
	w.m.mu.Unlock()
	if s == nil || s == a.from {
		a.answer(knowsNothing)
		return
	}
	x := &s.watch
	stats, ok := s.link.stats()
	switch {
	case !ok || len(x.askers) >= maxAskers:
		a.answer(knowsNothing)
	case x.stalled:
		a.answer(heardNothing)
	default:
		if !x.on || x.quiet < probeAfter { // what came before does not count
			*x = watched{on: true, packets: stats.PacketsReceived, quiet: probeAfter, askers: x.askers}
		}
		x.askers = append(x.askers, a.asker)
	}
}

// control sends a frame on the control stream, if not too many wait there.
func (s *session) control(frame []byte) bool {
	select {
	case s.out <- frame:
		return true
	default:
		return false
	}
}

// controlled takes what is no record.
func (s *session) controlled(k kind, payload []byte) error {
	w := s.m.watcher
	switch k {
	case kindPing: // its acknowledgement is the answer
	case kindAsk:
		nonce, target, err := parseAsk(payload)
		if err != nil {
			return err
		}
		select {
		case w.asks <- question{asker{s, nonce}, target}:
		default: // whoever asks does not wait for long
		}
	case kindVerdict:
		v, err := parseVerdict(payload)
		if err != nil {
			return err
		}
		select {
		case w.told <- v:
		default:
		}
	case kindRelay:
		return s.m.offered(s, payload)
	case kindPunch:
		return s.punch(payload)
	default:
		return fmt.Errorf("%w: frame kind %d on a control stream", ErrProtocol, k)
	}
	return nil
}

var pingFrame = appendFrame(nil, kindPing, nil)

func appendAsk(b []byte, nonce uint32, target catalog.NodeID) []byte {
	b = appendHeader(b, kindAsk, 4+len(target.String()))
	b = binary.BigEndian.AppendUint32(b, nonce)
	return append(b, target.String()...)
}

func parseAsk(p []byte) (nonce uint32, target catalog.NodeID, err error) {
	if len(p) < 4 {
		return 0, target, fmt.Errorf("%w: a question of %d bytes", ErrProtocol, len(p))
	}
	if target, err = catalog.ParseNodeID(string(p[4:])); err != nil {
		return 0, target, fmt.Errorf("%w: a question: %v", ErrProtocol, err)
	}
	return binary.BigEndian.Uint32(p), target, nil
}

func appendVerdict(b []byte, nonce uint32, heard byte) []byte {
	b = appendHeader(b, kindVerdict, 5)
	return append(binary.BigEndian.AppendUint32(b, nonce), heard)
}

func parseVerdict(p []byte) (verdict, error) {
	if len(p) != 5 || p[4] > heardNothing {
		return verdict{}, fmt.Errorf("%w: an answer about a peer of %d bytes", ErrProtocol, len(p))
	}
	return verdict{binary.BigEndian.Uint32(p), p[4]}, nil
}
