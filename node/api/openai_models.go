package api

import (
	"net/http"
	"strconv"
)

func (s *Server) openAIModels(w http.ResponseWriter, r *http.Request) {
	b := []byte(`{"object":"list","data":[`)
	for i, m := range s.inspect.Models() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendOpenAIModel(b, &m)
	}
	writeJSON(w, nil, append(b, "]}\n"...))
}

func (s *Server) openAIModel(w http.ResponseWriter, r *http.Request) {
	m := find(s.inspect, r.PathValue("model"))
	if m == nil {
		writeOpenAIError(w, &Error{Status: http.StatusNotFound, Code: codeNoModel, Param: "model", Message: "there is no such model; GET /v1/models lists those there are"})
		return
	}
	writeJSON(w, nil, append(appendOpenAIModel(nil, m), '\n'))
}

func appendOpenAIModel(b []byte, m *ModelView) []byte {
	created := int64(0)
	if m.Modified != nil {
		created = m.Modified.Unix()
	}
	b = append(b, `{"id":`...)
	b = appendString(b, m.ID)
	b = append(b, `,"object":"model","created":`...)
	b = strconv.AppendInt(b, created, 10)
	return append(b, `,"owned_by":"omx"}`...)
}
