package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"omx/node/catalog"
	"omx/node/mesh/member"
)

// writeTimeout bounds each write: a side that reads nothing for this long is
// gone.
const writeTimeout = 10 * time.Second

// Stream is the asking end of one request. It is used by one goroutine.
type Stream struct {
	ctx     context.Context
	s       *requestStream
	entry   *Entry[*link]
	ticket  *ticket
	most    int // streams that are kept
	trailer []byte
	end     error // what the last frame said, once it has come
	stop    func() bool
	closed  bool
}

// Open sends a request for a tenant to a peer that is up. The end of ctx cancels it,
// there as well as here. The peer serves it once, and is shown this node's signature
// that it is for that tenant. Errors: ErrUnreachable, *RefusedError if too many are
// open to that peer already, ctx's.
func (m *Mesh) Open(ctx context.Context, id catalog.NodeID, tenant uint64, request []byte) (*Stream, error) {
	if len(request) > MaxRequest {
		return nil, fmt.Errorf("send request: %d bytes, the limit is %d", len(request), MaxRequest)
	}
	if m.Role() == member.Observe {
		return nil, &RefusedError{Code: CodeRejected, Message: "this node is an observer of its mesh and asks nothing of others"}
	}
	e, err := m.acquire(ctx, id)
	if errors.Is(err, ErrPeerBusy) {
		return nil, &RefusedError{Code: CodeBusy, RetryAfter: time.Second, Message: err.Error()}
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	m.watcher.wake()
	var s *requestStream
	var stop func() bool
	u, err := e.Conn().issuer.use(m, e.Conn(), tenant, time.Now())
	if err == nil {
		s, stop, err = e.Conn().send(ctx, u, request)
	}
	if err != nil {
		e.Release()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return &Stream{ctx: ctx, s: s, entry: e, ticket: u.ticket, most: m.cfg.KeepStreams, stop: stop}, nil
}

// send writes a request to a kept stream, or a new one. The end of ctx resets it
// until stop is called.
func (l *link) send(ctx context.Context, u use, request []byte) (s *requestStream, stop func() bool, err error) {
	if s = l.kept.take(time.Now()); s != nil {
		if stop, err = s.askFor(ctx, u, request); err == nil {
			return s, stop, nil
		}
	}
	octx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	n, err := l.conn.NewStream(octx)
	if err != nil {
		return nil, nil, err
	}
	s = &requestStream{Stream: n, reader: newFrameReader(n), buf: append(make([]byte, 0, prefaceLen+headerLen+useLen+proofLen+len(request)), tagRequest, version)}
	s.cancel = func() { _ = n.Reset() }
	stop, err = s.askFor(ctx, u, request)
	return s, stop, err
}

// Next returns the next piece of the answer; its text is valid until the
// following call. After the last it returns ErrDone, and Trailer is set. Other
// errors: *RefusedError, *FailedError, ErrLost, ErrProtocol, the context's.
func (s *Stream) Next() (Token, error) {
	for {
		if s.end != nil {
			return Token{}, s.end
		}
		k, payload, err := s.s.reader.next()
		if err != nil {
			return Token{}, s.lost(err)
		}
		if !s.ticket.shown.Load() {
			s.ticket.shown.Store(true)
		}
		switch k {
		case kindAccepted:
		case kindToken:
			return parseToken(payload)
		case kindExtra:
			return Token{Extra: payload}, nil
		case kindDone:
			s.trailer, s.end = append([]byte(nil), payload...), ErrDone
		case kindRefused:
			s.end = s.refused(payload)
		case kindFailed:
			s.end = orProtocol(parseFailed(payload))
		default:
			return Token{}, fmt.Errorf("%w: frame kind %d in an answer", ErrProtocol, k)
		}
	}
}

func (s *Stream) refused(payload []byte) error {
	e, err := parseRefused(payload)
	if err != nil {
		return err
	}
	if e.Code == CodeTicket {
		s.ticket.void.Store(true)
	}
	return e
}

func orProtocol[E error](e E, err error) error {
	if err != nil {
		return err
	}
	return e
}

func (s *Stream) lost(err error) error {
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	if errors.Is(err, ErrProtocol) {
		return err
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// Trailer is what the peer sent with the end of the answer.
func (s *Stream) Trailer() []byte { return s.trailer }

// Close ends the request; if the answer is not complete, it is cancelled.
func (s *Stream) Close() {
	if s.closed {
		return
	}
	s.closed = true
	switch {
	case !s.stop(): // ctx has ended, and reset it
	case s.end == nil || errors.Is(s.end, ErrProtocol) || !s.s.reader.idle():
		_ = s.s.Reset()
	case !s.entry.Conn().kept.put(s.s, s.most, time.Now()):
		_ = s.s.Stream.Close()
	}
	s.entry.Release()
}
