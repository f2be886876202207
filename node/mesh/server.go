package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// ServerStream is the answering end of one request. It is used by one
// goroutine. An answer is Refuse alone, or Accept, any number of Token, and Done
// or Fail; without Accept, the first of the others says it. It must not be used after the handler has returned.
type ServerStream struct {
	s       network.Stream
	link    *link // whose it is
	request []byte
	tenant  uint64
	buf     []byte
	said    bool        // that the request is accepted
	ended   atomic.Bool // the answer's last frame was sent

	idleAt  atomic.Int64 // when it began to wait for a request, in ns since 1970; 0: it does not
	cancel  func()       // of the request that is being answered
	late    *time.Timer  // runs watch
	one     [1]byte      // the first byte of the next request, once watched says that it came
	watched chan bool
}

// serveStream answers one request after another, until the peer ends the stream
// or has not used it for keepServed.
func (m *Mesh) serveStream(p *listed, s network.Stream, r *frameReader) {
	st := &ServerStream{s: s, link: m.linkOf(p, s.Conn()), watched: make(chan bool, 1)}
	if st.link == nil { // its session has just ended
		_ = s.Reset()
		return
	}
	m.serving(st, true)
	defer m.serving(st, false)
	for {
		payload, err := st.next(r)
		if err != nil {
			_ = s.Reset()
			if errors.Is(err, ErrProtocol) {
				m.log.Warn("refused a request", "peer", p.id, "why", err)
			}
			return
		}
		st.request, st.said = payload, false
		st.ended.Store(false)
		if !m.serve(p, st, r) {
			return
		}
		if cap(st.buf) > keepBuffer {
			st.buf = nil
		}
	}
}

// next reads a request. How long a peer takes to begin one is looked at from time to
// time, see endIdle; deadlines, which cost, are for those that come in parts.
func (s *ServerStream) next(r *frameReader) ([]byte, error) {
	_ = s.s.SetReadDeadline(time.Time{})
	s.idleAt.Store(time.Now().UnixNano())
	err := r.fill(headerLen)
	s.idleAt.Store(0)
	if err != nil {
		return nil, err
	}
	if !r.whole() {
		_ = s.s.SetReadDeadline(time.Now().Add(requestTimeout))
		defer s.s.SetReadDeadline(time.Time{})
	}
	k, payload, err := r.next()
	if err == nil && (k != kindRequest || !r.idle()) {
		err = fmt.Errorf("%w: frame kind %d in place of a request", ErrProtocol, k)
	}
	return payload, err
}

// serve answers one request. It returns false when no other will come.
func (m *Mesh) serve(p *listed, st *ServerStream, r *frameReader) (more bool) {
	ctx, cancel := context.WithCancel(m.ctx)
	st.cancel = cancel
	// During an answer the peer sends nothing: whatever comes, or an end, cancels. Most
	// answers have ended before it is worth a look.
	if st.late == nil {
		st.late = time.AfterFunc(watchAfter, st.watch)
	} else {
		st.late.Reset(watchAfter)
	}
	m.answer(ctx, p, st)
	watching := !st.late.Stop()
	complete, cancelled := st.ended.Load(), ctx.Err() != nil
	cancel()
	switch {
	case complete && !cancelled && !watching:
		return true
	case complete && !cancelled:
		// What it sees now is the next request.
		st.idleAt.Store(time.Now().UnixNano())
		if <-st.watched {
			r.began(st.one[0])
			return true
		}
		_ = st.s.Close()
		return false
	case complete:
		_ = st.s.Close() // what was written is still sent
	default:
		_ = st.s.Reset()
	}
	if watching {
		<-st.watched // which either has ended
	}
	return false
}

// watch waits for what the peer sends next.
func (s *ServerStream) watch() {
	n, _ := s.s.Read(s.one[:])
	if !s.ended.Load() {
		s.cancel()
	}
	s.watched <- n == 1
}

// serving notes that a stream of requests is served, or not any more.
func (m *Mesh) serving(st *ServerStream, on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if on {
		m.served[st] = struct{}{}
	} else {
		delete(m.served, st)
	}
}

// endIdle ends streams on which no request has come for keepServed.
func (m *Mesh) endIdle(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for st := range m.served {
		if at := st.idleAt.Load(); at != 0 && now.UnixNano()-at > int64(keepServed) {
			_ = st.s.SetReadDeadline(now) // its reader ends it
		}
	}
}

// answer has the handler serve a request if there is room for one more.
func (m *Mesh) answer(ctx context.Context, p *listed, st *ServerStream) {
	var reason string
	if st.tenant, st.request, reason = st.link.checker.check(m, st.link, st.request, time.Now()); reason != "" {
		m.refused.count(reason)
		st.Refuse(&RefusedError{Code: CodeTicket, Message: "the request's ticket does not count: " + reason})
		return
	}
	if e := m.refusal(p); e != nil {
		st.Refuse(e)
		return
	}
	if m.draining.Load() {
		st.Refuse(&RefusedError{Code: CodeDraining, RetryAfter: time.Second, Message: "this node is leaving"})
		return
	}
	if !m.admit(p) {
		st.Refuse(&RefusedError{Code: CodeBusy, RetryAfter: time.Second, Message: "too many requests of peers are open here"})
		return
	}
	defer func() {
		<-m.requests
		p.serving.Add(-1)
	}()
	if e := m.pool.find(p.id); e != nil && e.hold() {
		defer e.unhold()
	}
	m.handler.Serve(ctx, p.id, st)
}

// admit counts one more request, unless the peer or all peers have enough.
func (m *Mesh) admit(p *listed) bool {
	if p.serving.Add(1) <= int32(m.cfg.Pool.MaxRequests) {
		select {
		case m.requests <- struct{}{}:
			return true
		default:
		}
	}
	p.serving.Add(-1)
	return false
}

// Request is the payload the peer sent; valid until the handler returns.
func (s *ServerStream) Request() []byte { return s.request }

// Tenant is for whom the peer asks; it has signed that.
func (s *ServerStream) Tenant() uint64 { return s.tenant }

// Accept says that the request is being served, before there is a token.
func (s *ServerStream) Accept() error {
	s.accept()
	return s.flush()
}

// accept begins what is written next: with the first token it costs no packet of
// its own.
func (s *ServerStream) accept() {
	s.buf = s.buf[:0]
	if !s.said {
		s.said = true
		s.buf = appendFrame(s.buf, kindAccepted, nil)
	}
}

// Token sends a piece of the answer, n tokens that read as text of at most
// MaxToken bytes.
func (s *ServerStream) Token(text []byte, n uint32) error {
	if len(text) > MaxToken {
		return fmt.Errorf("send token: %d bytes, the limit is %d", len(text), MaxToken)
	}
	s.accept()
	s.buf = appendToken(s.buf, text, n)
	return s.flush()
}

// Extra sends a piece of the answer that is no plain text, at most MaxFrame bytes.
func (s *ServerStream) Extra(data []byte) error {
	if len(data) > MaxFrame {
		return fmt.Errorf("send a piece: %d bytes, the limit is %d", len(data), MaxFrame)
	}
	s.accept()
	s.buf = appendFrame(s.buf, kindExtra, data)
	return s.flush()
}

// Done ends a complete answer with a trailer of at most MaxTrailer bytes.
func (s *ServerStream) Done(trailer []byte) {
	if len(trailer) > MaxTrailer {
		s.Fail(&FailedError{Code: CodeInternal, Message: "trailer is too long"})
		return
	}
	s.accept()
	s.buf = appendFrame(s.buf, kindDone, trailer)
	s.end()
}

// Refuse says that nothing was done and why.
func (s *ServerStream) Refuse(e *RefusedError) {
	s.buf = appendRefused(s.buf[:0], e)
	s.end()
}

// Fail says that an accepted request went wrong.
func (s *ServerStream) Fail(e *FailedError) {
	s.accept()
	s.buf = appendFailed(s.buf, e)
	s.end()
}

// end is noted first: the peer may send its next request before the write that
// completes this one has returned.
func (s *ServerStream) end() {
	s.ended.Store(true)
	if s.flush() != nil {
		s.ended.Store(false)
	}
}

func (s *ServerStream) flush() error {
	_ = s.s.SetWriteDeadline(time.Now().Add(writeTimeout))
	n, err := s.s.Write(s.buf)
	if err == nil && n < len(s.buf) {
		err = io.ErrShortWrite
	}
	return err
}
