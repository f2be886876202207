package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	status := "ok"
	var e *Error
	if s.closing.Load() {
		status, e = "closing", &Error{Status: http.StatusServiceUnavailable}
	}
	b, _ := json.Marshal(map[string]any{"status": status, "name": s.cfg.Name, "version": s.cfg.Version,
		"uptime_s": int64(time.Since(s.started).Seconds())})
	writeJSON(w, e, append(b, '\n'))
}

func (s *Server) decision(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		writeOpenAIError(w, badField("id", "must be a number, as in the header %s", headerDecision))
		return
	}
	d, ok := s.inspect.Decision(id)
	if !ok {
		writeOpenAIError(w, &Error{Status: http.StatusNotFound, Code: "not_found", Message: "this decision is not kept; only the last ones are"})
		return
	}
	writeView(w, d)
}

// writeView sends a value as JSON.
func writeView(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		writeOpenAIError(w, err)
		return
	}
	writeJSON(w, nil, append(b, '\n'))
}
