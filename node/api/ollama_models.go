package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ollamaDetails is all that is known here of a model's insides.
const ollamaDetails = `{"parent_model":"","format":"gguf","family":"","families":null,"parameter_size":"","quantization_level":""}`

// ollamaModel finds a model by the name of it that clients use.
func (s *Server) ollamaModel(name string) (*ModelView, error) {
	for _, m := range s.inspect.Models() {
		if m.ID == name {
			return &m, nil
		}
	}
	return nil, &Error{Status: http.StatusNotFound, Code: "model_not_found", Param: "model",
		Message: "model '" + clip(name) + "' not found; GET /api/tags lists those there are"}
}

// appendOllamaModel begins a model as lists have it.
func appendOllamaModel(b []byte, m *ModelView) []byte {
	b = append(b, `{"name":`...)
	b = appendString(b, m.ID)
	b = append(b, `,"model":`...)
	b = appendString(b, m.ID)
	b = append(b, `,"size":`...)
	b = strconv.AppendInt(b, m.Bytes, 10)
	b = append(b, `,"digest":`...)
	b = appendString(b, m.Digest)
	return append(b, `,"details":`+ollamaDetails...)
}

func (s *Server) appendModified(b []byte) []byte {
	b = append(b, `,"modified_at":"`...)
	b = s.started.UTC().AppendFormat(b, time.RFC3339)
	return append(b, '"')
}

func (s *Server) ollamaTags(w http.ResponseWriter, r *http.Request) {
	b := []byte(`{"models":[`)
	for i, m := range s.inspect.Models() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(s.appendModified(appendOllamaModel(b, &m)), '}')
	}
	writeJSON(w, nil, append(b, "]}\n"...))
}

// forever is when Ollama is told that a model will be unloaded; its clients show
// a time this far as forever.
const forever = 100 * 365 * 24 * time.Hour

// ollamaRunning answers GET /api/ps with the models that are loaded anywhere.
func (s *Server) ollamaRunning(w http.ResponseWriter, r *http.Request) {
	b, first := []byte(`{"models":[`), true
	for _, m := range s.inspect.Models() {
		if !m.loaded() {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendOllamaModel(b, &m), `,"size_vram":0,"expires_at":"`...)
		b = s.started.Add(forever).UTC().AppendFormat(b, time.RFC3339)
		b = append(b, `"}`...)
	}
	writeJSON(w, nil, append(b, "]}\n"...))
}

// ollamaShow answers POST /api/show with what the node knows of a model.
func (s *Server) ollamaShow(w http.ResponseWriter, r *http.Request) {
	var body struct{ Model, Name string } // the older name of model
	err := readBody(w, r, &body)
	if err == nil {
		if body.Model == "" {
			body.Model = body.Name
		}
		var m *ModelView
		if m, err = s.shown(body.Model); err == nil {
			b := append([]byte(`{"modelfile":"","parameters":"","template":"","capabilities":["completion"],"details":`+ollamaDetails), `,"model_info":{"omx.digest":`...)
			b = appendString(b, m.Digest)
			b = append(b, `,"omx.bytes":`...)
			b = strconv.AppendInt(b, m.Bytes, 10)
			b = append(b, `,"omx.holders":`...)
			b = strconv.AppendInt(b, int64(len(m.Holders)), 10)
			writeJSON(w, nil, append(s.appendModified(append(b, '}')), "}\n"...))
			return
		}
	}
	writeOllamaError(w, err)
}

func (s *Server) shown(name string) (*ModelView, error) {
	id, err := modelID(strings.TrimSuffix(name, ":latest"))
	if err != nil {
		return nil, err
	}
	return s.ollamaModel(id.String())
}

func (s *Server) ollamaVersion(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, nil, append(appendString([]byte(`{"version":`), s.cfg.Version), "}\n"...))
}

// notHere are the requests of Ollama that this node does not do, and what to do
// instead.
var notHere = map[string]string{
	"POST /api/embed":      "this node makes no embeddings; use a server for embedding models",
	"POST /api/embeddings": "this node makes no embeddings; use a server for embedding models",
	"POST /api/pull":       "models are not pulled by this API; fetch the .gguf file and start the node with --model, see: omx models --help",
	"POST /api/push":       "models are not pushed by this API; copy the .gguf file to the other node and start that with --model, see: omx models --help",
	"POST /api/create":     "models are not made by this API; make a .gguf file and start the node with --model, see: omx models --help",
	"POST /api/copy":       "models are not copied by this API; copy the .gguf file and start the node with --model, see: omx models --help",
	"DELETE /api/delete":   "models are not deleted by this API; start the node without the file and delete that, see: omx models --help",
	"/api/blobs/{digest}":  "files of models are not taken by this API; start the node with --model FILE, see: omx models --help",
}

func notImplemented(w http.ResponseWriter, message string) {
	writeOllamaError(w, &Error{Status: http.StatusNotImplemented, Code: "not_implemented", Message: message})
}
