package api

import "net/http"

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
	for _, m := range s.inspect.Models() {
		if m.ID == r.PathValue("model") {
			writeJSON(w, nil, append(appendOpenAIModel(nil, &m), '\n'))
			return
		}
	}
	writeOpenAIError(w, &Error{Status: http.StatusNotFound, Code: "model_not_found", Param: "model", Message: "there is no such model; GET /v1/models lists those there are"})
}

func appendOpenAIModel(b []byte, m *ModelView) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, m.ID)
	return append(b, `,"object":"model","created":0,"owned_by":"omx"}`...)
}
