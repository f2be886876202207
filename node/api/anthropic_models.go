package api

import (
	"net/http"
	"time"
)

// Anthropic's and OpenAI's lists of models are at the same paths and look
// different; whose client asks, its version header tells.

func (s *Server) anthropicModels(w http.ResponseWriter) {
	models := s.inspect.Models()
	b := []byte(`{"data":[`)
	for i := range models {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendAnthropicModel(b, &models[i])
	}
	first, last := "null", "null"
	if n := len(models); n > 0 {
		first, last = string(appendString(nil, models[0].ID)), string(appendString(nil, models[n-1].ID))
	}
	writeJSON(w, nil, append(b, `],"has_more":false,"first_id":`+first+`,"last_id":`+last+"}\n"...))
}

func appendAnthropicModel(b []byte, m *ModelView) []byte {
	created := time.Unix(0, 0)
	if m.Modified != nil {
		created = *m.Modified
	}
	b = appendString(append(b, `{"type":"model","id":`...), m.ID)
	b = appendString(append(b, `,"display_name":`...), m.ID)
	b = created.UTC().AppendFormat(append(b, `,"created_at":"`...), time.RFC3339)
	return append(b, `"}`...)
}
