package api

import (
	"net/http"
	"strconv"
)

// openAIModels answers GET /v1/models, in the form of whose client asks.
func (s *Server) openAIModels(w http.ResponseWriter, r *http.Request) {
	if isAnthropic(r) {
		s.anthropicModels(w)
		return
	}
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
	switch {
	case m == nil:
		refuse(w, r, &Error{Status: http.StatusNotFound, Code: codeNoModel, Param: "model", Message: "there is no such model; GET /v1/models lists those there are"})
	case isAnthropic(r):
		writeJSON(w, nil, append(appendAnthropicModel(nil, m), '\n'))
	default:
		writeJSON(w, nil, append(appendOpenAIModel(nil, m), '\n'))
	}
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
