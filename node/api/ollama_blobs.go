package api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// ollamaHasBlob tells whether a file need not be sent.
func (s *Server) ollamaHasBlob(w http.ResponseWriter, r *http.Request) {
	switch digest := r.PathValue("digest"); {
	case s.cfg.Models == nil:
		w.WriteHeader(http.StatusNotImplemented)
	case !strings.HasPrefix(digest, sha256Prefix) || !isSHA256(digest[len(sha256Prefix):]):
		w.WriteHeader(http.StatusBadRequest)
	case !s.cfg.Models.HasBlob(digest):
		w.WriteHeader(http.StatusNotFound)
	}
}

// ollamaPutBlob takes a file of a model, as long as it keeps coming.
func (s *Server) ollamaPutBlob(w http.ResponseWriter, r *http.Request) {
	s.manage(w, r, nil, func(m Manager) error {
		digest := r.PathValue("digest")
		if !strings.HasPrefix(digest, sha256Prefix) || !isSHA256(digest[len(sha256Prefix):]) {
			return badField("digest", "must be sha256: and 64 digits, in the path")
		}
		f := &fileReader{r: http.MaxBytesReader(w, r.Body, maxBlob), control: http.NewResponseController(w)}
		if err := m.PutBlob(r.Context(), digest, f); err != nil {
			return f.why(err)
		}
		w.WriteHeader(http.StatusCreated)
		return nil
	})
}

// fileReader reads a body of any length from a client that does not stall.
type fileReader struct {
	r       io.Reader
	control *http.ResponseController
	err     error
}

func (f *fileReader) Read(p []byte) (n int, err error) {
	_ = f.control.SetReadDeadline(time.Now().Add(stallTimeout))
	n, err = f.r.Read(p)
	if err != nil {
		_ = f.control.SetReadDeadline(time.Time{})
		f.err = err
	}
	return n, err
}

// why is the error of what was done with the file, or that of reading it.
func (f *fileReader) why(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(f.err, &tooLarge):
		return &Error{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Message: "the file is larger than a node takes: 1 TiB"}
	case errors.Is(f.err, os.ErrDeadlineExceeded):
		return &Error{Status: http.StatusRequestTimeout, Code: "stalled", Message: "nothing of the file came for " + stallTimeout.String() + "; send it again"}
	case f.err != nil && !errors.Is(f.err, io.EOF):
		return &Error{Status: http.StatusBadRequest, Code: "invalid_body", Message: "the file could not be read to its end; send it again"}
	}
	return err
}
