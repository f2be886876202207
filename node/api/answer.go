package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
)

// frameSize is what an answer takes beside its text, in most shapes, so that
// buffers need not grow.
const frameSize = 1 << 10

// format is how one API shape writes an answer. The append methods take and
// return the buffer of the stream, so that a token costs no allocation.
type format interface {
	contentType() string
	begin(b []byte) []byte
	token(b []byte, t Token) []byte
	end(b []byte, r *Result) []byte
	fail(b []byte, e *Error) []byte // in mid-stream
	whole(b []byte, a *whole, r *Result) []byte
	refuse(w http.ResponseWriter, err error) // before the stream
}

// body is a request's body in one API's shape.
type body interface {
	// chat checks the body and tells what it asks for.
	chat(arrived time.Time) (*Chat, error)
	// format is how the answer is written; the id is the request's.
	format(id string, arrived time.Time) format
}

// serve reads a body and answers what it asks for.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, b body) {
	arrived := time.Now()
	err := readBody(w, r, b)
	if err == nil {
		err = s.serveBody(w, r, b, arrived)
	}
	if err != nil {
		refuse(w, r, asError(err))
	}
}

// serveBody answers what a body asks for, if it can be understood.
func (s *Server) serveBody(w http.ResponseWriter, r *http.Request, b body, arrived time.Time) error {
	c, err := b.chat(arrived)
	if err == nil {
		s.answer(w, r, c, b.format(w.Header().Get(headerRequestID), arrived))
	}
	return err
}

// answer runs a request and writes what comes of it in the format f.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, c *Chat, f format) {
	if err := s.ask(r, c); err != nil {
		f.refuse(w, err)
		return
	}
	if !c.Stream {
		s.answerWhole(w, r, c, f)
		return
	}
	st := &stream{w: w, control: http.NewResponseController(w), format: f, buf: make([]byte, 0, frameSize)}
	result, err := s.chat.Chat(r.Context(), c, st)
	if err == nil {
		err = result.fillCalls()
	}
	switch {
	case err == nil:
		st.buf = f.end(st.buf, &result)
		_ = st.flush()
		setResumed(w.Header(), http.TrailerPrefix, &result)
	case gone(r.Context(), err):
	case !st.begun:
		f.refuse(w, err)
	default:
		st.buf = f.fail(st.buf, asError(err))
		_ = st.flush()
	}
}

// stream writes tokens as they come.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	format  format
	buf     []byte
	begun   bool
	until   time.Time // the write deadline that is set
}

func (st *stream) Begin(m Meta) error {
	st.begun = true
	h := st.w.Header()
	setMeta(h, m)
	h.Set("Content-Type", st.format.contentType())
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies must not hold tokens back
	st.w.WriteHeader(http.StatusOK)
	st.buf = st.format.begin(st.buf[:0])
	return nil // it goes out with the first token
}

func (st *stream) Token(t Token) error {
	if t.Text == "" {
		return nil
	}
	st.buf = st.format.token(st.buf, t)
	return st.flush()
}

// flush sends what is in the buffer. A client that does not read for about
// writeTimeout is gone: to move the deadline with every token would cost a tenth of
// what the token does.
func (st *stream) flush() error {
	if now := time.Now(); st.until.Sub(now) < writeTimeout-time.Second {
		st.until = now.Add(writeTimeout)
		_ = st.control.SetWriteDeadline(st.until)
	}
	if _, err := st.w.Write(st.buf); err != nil {
		return err
	}
	st.buf = st.buf[:0]
	return st.control.Flush()
}

// whole collects an answer that is sent in one piece.
type whole struct {
	meta          Meta
	text, thought strings.Builder
	logprobs      []Logprob // of the text, not of thoughts
	thoughts      int       // tokens of them
}

func (a *whole) Begin(m Meta) error { a.meta = m; return nil }

func (a *whole) Token(t Token) error {
	if t.Thought {
		a.thought.WriteString(t.Text)
		a.thoughts += t.N
		return nil
	}
	a.text.WriteString(t.Text)
	a.logprobs = append(a.logprobs, t.Logprobs...)
	return nil
}

func (s *Server) answerWhole(w http.ResponseWriter, r *http.Request, c *Chat, f format) {
	var a whole
	result, err := s.chat.Chat(r.Context(), c, &a)
	if err == nil {
		err = result.fillCalls()
	}
	switch {
	case err == nil:
		a.meta.TTFT, a.meta.Queue = result.TTFT, result.QueueWait
		setMeta(w.Header(), a.meta)
		setResumed(w.Header(), "", &result)
		b := make([]byte, 0, frameSize+a.text.Len()+a.thought.Len())
		writeJSON(w, nil, f.whole(b, &a, &result))
	case gone(r.Context(), err):
	default:
		f.refuse(w, err)
	}
}

// gone reports that there is nobody left to answer.
func gone(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, ctx.Err())
}
