package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// ServerStream is the answering end of one request. It is used by one
// goroutine. An answer is Refuse alone, or Accept, any number of Token, and Done
// or Fail.
type ServerStream struct {
	s       network.Stream
	request []byte
	buf     []byte
	ended   bool
}

// serve runs one request of a peer.
func (m *Mesh) serve(p *listed, s network.Stream, r *frameReader) {
	_ = s.SetReadDeadline(time.Now().Add(requestTimeout))
	k, payload, err := r.next()
	if err != nil || k != kindRequest {
		_ = s.Reset()
		if err == nil || errors.Is(err, ErrProtocol) {
			m.log.Warn("refused a request", "peer", p.id, "why", err)
		}
		return
	}
	st := &ServerStream{s: s, request: payload}
	if !m.admit(p) {
		st.Refuse(&RefusedError{Code: CodeBusy, RetryAfter: time.Second, Message: "too many requests of peers are open here"})
		_ = s.Close()
		return
	}
	defer func() {
		<-m.requests
		p.serving.Add(-1)
	}()
	if e := m.pool.find(p.id); e != nil && e.hold() {
		defer e.unhold()
	}

	// The client sends nothing more: whatever comes, or an end, cancels.
	ctx, cancel := context.WithCancel(m.ctx)
	watched := make(chan struct{})
	_ = s.SetReadDeadline(time.Time{})
	go func() {
		defer close(watched)
		var one [1]byte
		_, _ = s.Read(one[:])
		cancel()
	}()
	m.handler.Serve(ctx, p.id, st)
	cancel()
	if st.ended {
		_ = s.CloseWrite()
	} else {
		_ = s.Reset()
	}
	_ = s.CloseRead() // ends the watch
	<-watched
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

// Request is the payload the peer sent; valid as long as the stream.
func (s *ServerStream) Request() []byte { return s.request }

// Accept says that the request is being served.
func (s *ServerStream) Accept() error {
	s.buf = appendFrame(s.buf[:0], kindAccepted, nil)
	return s.flush()
}

// Token sends a piece of the answer, n tokens that read as text of at most
// MaxToken bytes.
func (s *ServerStream) Token(text []byte, n uint32) error {
	if len(text) > MaxToken {
		return fmt.Errorf("send token: %d bytes, the limit is %d", len(text), MaxToken)
	}
	s.buf = appendToken(s.buf[:0], text, n)
	return s.flush()
}

// Done ends a complete answer with a trailer of at most MaxFrame bytes.
func (s *ServerStream) Done(trailer []byte) {
	if len(trailer) > MaxFrame {
		s.Fail(&FailedError{Code: CodeInternal, Message: "trailer is too long"})
		return
	}
	s.buf = appendFrame(s.buf[:0], kindDone, trailer)
	s.end()
}

// Refuse says that nothing was done and why.
func (s *ServerStream) Refuse(e *RefusedError) {
	s.buf = appendRefused(s.buf[:0], e)
	s.end()
}

// Fail says that an accepted request went wrong.
func (s *ServerStream) Fail(e *FailedError) {
	s.buf = appendFailed(s.buf[:0], e)
	s.end()
}

func (s *ServerStream) end() { s.ended = s.flush() == nil }

func (s *ServerStream) flush() error {
	_ = s.s.SetWriteDeadline(time.Now().Add(writeTimeout))
	n, err := s.s.Write(s.buf)
	if err == nil && n < len(s.buf) {
		err = io.ErrShortWrite
	}
	return err
}
