package api

import (
	"net/http"
	"strconv"
	"time"
)

// countTokens answers POST /v1/messages/count_tokens.
func (s *Server) countTokens(w http.ResponseWriter, r *http.Request) {
	n, err := s.count(w, r)
	if err != nil {
		if !gone(r.Context(), err) {
			writeAnthropicError(w, err)
		}
		return
	}
	b := strconv.AppendInt([]byte(`{"input_tokens":`), int64(n), 10)
	writeJSON(w, nil, append(b, "}\n"...))
}

func (s *Server) count(w http.ResponseWriter, r *http.Request) (int, error) {
	body := anthropicBody{counted: true}
	if err := readBody(w, r, &body); err != nil {
		return 0, err
	}
	c, err := body.chat(time.Now())
	if err != nil {
		return 0, err
	}
	if err := s.ask(r, c); err != nil {
		return 0, err
	}
	return s.chat.CountTokens(r.Context(), c)
}
