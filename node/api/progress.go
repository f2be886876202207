package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// progressShape is how an API tells how far something is: a JSON object a line.
type progressShape struct {
	line   func(b []byte, p *Progress) []byte
	done   string
	fail   func(b []byte, e *Error) []byte
	refuse func(w http.ResponseWriter, err error)
}

// progress does what takes long and tells how far it is; with quiet only how it
// ended. A client that is gone ends it.
func (s *Server) progress(w http.ResponseWriter, r *http.Request, shape *progressShape, quiet bool, do func(context.Context, func(Progress)) error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	l := &lines{stream: stream{w: w, control: http.NewResponseController(w)}, shape: shape, cancel: cancel, quiet: quiet}
	err := do(ctx, l.report)
	switch {
	case l.failed != nil || err != nil && gone(r.Context(), err):
	case err != nil && !l.begun:
		shape.refuse(w, err)
	case err != nil:
		l.buf = append(shape.fail(l.buf, asError(err)), '\n')
		_ = l.flush()
	case quiet:
		writeJSON(w, nil, []byte(shape.done))
	default:
		l.start()
		l.buf = append(l.buf, shape.done...)
		_ = l.flush()
	}
}

// lines are what is told of one such thing.
type lines struct {
	stream
	shape  *progressShape
	cancel context.CancelFunc
	quiet  bool
	failed error
	status string // last told
	at     time.Time
}

func (l *lines) start() {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.w.Header().Set("X-Accel-Buffering", "no")
		l.w.WriteHeader(http.StatusOK)
	}
}

func (l *lines) report(p Progress) {
	now := time.Now()
	last := p.Total > 0 && p.Done >= p.Total
	if l.quiet || l.failed != nil || p.Status == l.status && !last && now.Sub(l.at) < progressEvery {
		return
	}
	l.status, l.at = p.Status, now
	l.start()
	l.buf = append(l.shape.line(l.buf, &p), '\n')
	if l.failed = l.flush(); l.failed != nil {
		l.cancel()
	}
}

var ollamaProgress = progressShape{line: appendOllamaProgress, done: `{"status":"success"}` + "\n", fail: appendOllamaError, refuse: writeOllamaError}

// appendOllamaProgress leaves out a digest that is not whole: Ollama's own client
// takes it apart without looking.
func appendOllamaProgress(b []byte, p *Progress) []byte {
	b = appendString(append(b, `{"status":`...), p.Status)
	if digest := strings.TrimPrefix(p.Digest, sha256Prefix); isSHA256(digest) {
		b = appendString(append(b, `,"digest":`...), sha256Prefix+digest)
	}
	if p.Total > 0 {
		b = append(b, `,"total":`...)
		b = strconv.AppendInt(b, p.Total, 10)
	}
	if p.Done > 0 {
		b = append(b, `,"completed":`...)
		b = strconv.AppendInt(b, p.Done, 10)
	}
	return append(b, '}')
}

var ownProgress = progressShape{line: appendOwnProgress, done: `{"status":"success"}` + "\n", fail: appendOpenAIError, refuse: writeOpenAIError}

func appendOwnProgress(b []byte, p *Progress) []byte {
	b = appendString(append(b, `{"status":`...), p.Status)
	if p.Digest != "" {
		b = appendString(append(b, `,"digest":`...), p.Digest)
	}
	b = append(b, `,"done":`...)
	b = strconv.AppendInt(b, p.Done, 10)
	b = append(b, `,"total":`...)
	b = strconv.AppendInt(b, p.Total, 10)
	return append(b, '}')
}

const sha256Prefix = "sha256:"

func isSHA256(digits string) bool {
	if len(digits) != 64 {
		return false
	}
	for i := range len(digits) {
		if !strings.Contains(hex, digits[i:i+1]) {
			return false
		}
	}
	return true
}
