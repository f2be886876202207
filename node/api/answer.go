package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Response headers of omx.
const (
	headerRequestID = "X-Request-Id"
	headerNode      = "X-Omx-Node"
	headerNodeName  = "X-Omx-Node-Name"
	headerDecision  = "X-Omx-Decision"
	headerPolicy    = "X-Omx-Policy"
	headerTTFT      = "X-Omx-Ttft-Ms"

	headerAnthropicID = "Request-Id" // what Anthropic's clients call x-request-id
)

// format is how one API shape writes an answer. The append methods take and
// return the buffer of the stream, so that a token costs no allocation.
type format interface {
	contentType() string
	begin(b []byte) []byte
	token(b []byte, text string) []byte
	end(b []byte, r *Result) []byte
	fail(b []byte, e *Error) []byte // in mid-stream
	whole(b []byte, text string, r *Result) []byte
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
		var c *Chat
		if c, err = b.chat(arrived); err == nil {
			s.answer(w, r, c, b.format(w.Header().Get(headerRequestID), arrived))
			return
		}
	}
	refuse(w, r, asError(err))
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
	st := &stream{w: w, control: http.NewResponseController(w), format: f}
	result, err := s.chat.Chat(r.Context(), c, st)
	switch {
	case err == nil:
		st.buf = f.end(st.buf, &result)
		_ = st.flush()
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
	st.buf = st.format.token(st.buf, t.Text)
	return st.flush()
}

// flush sends what is in the buffer. A client that does not read for
// writeTimeout is gone.
func (st *stream) flush() error {
	_ = st.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := st.w.Write(st.buf); err != nil {
		return err
	}
	st.buf = st.buf[:0]
	return st.control.Flush()
}

// whole collects an answer that is sent in one piece.
type whole struct {
	meta Meta
	text strings.Builder
}

func (a *whole) Begin(m Meta) error { a.meta = m; return nil }

func (a *whole) Token(t Token) error { a.text.WriteString(t.Text); return nil }

func (s *Server) answerWhole(w http.ResponseWriter, r *http.Request, c *Chat, f format) {
	var a whole
	result, err := s.chat.Chat(r.Context(), c, &a)
	switch {
	case err == nil:
		setMeta(w.Header(), a.meta)
		w.Header().Set(headerTTFT, strconv.FormatFloat(float64(result.TTFT.Microseconds())/1000, 'f', 3, 64))
		writeJSON(w, nil, f.whole(nil, a.text.String(), &result))
	case gone(r.Context(), err):
	default:
		f.refuse(w, err)
	}
}

func setMeta(h http.Header, m Meta) {
	h.Set(headerNode, m.Node.String())
	h.Set(headerNodeName, m.NodeName)
	h.Set(headerDecision, m.Decision)
	h.Set(headerPolicy, m.Policy)
}

// gone reports that there is nobody left to answer.
func gone(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, ctx.Err())
}
