package api

import (
	"cmp"
	"net/http"
	"strconv"
	"time"
)

func noModel(name string) *Error {
	return &Error{Status: http.StatusNotFound, Code: codeNoModel, Param: "model",
		Message: "model '" + clip(name) + "' not found; GET /api/tags lists those there are"}
}

// appendDetails appends what is known of a model's insides.
func appendDetails(b []byte, m *ModelView) []byte {
	b = appendString(append(b, `{"parent_model":"","format":"gguf","family":`...), m.Family)
	if m.Family == "" {
		b = append(b, `,"families":null`...)
	} else {
		b = append(appendString(append(b, `,"families":[`...), m.Family), ']')
	}
	b = appendString(append(b, `,"parameter_size":`...), m.Parameters)
	b = appendString(append(b, `,"quantization_level":`...), m.Quantization)
	return append(b, '}')
}

// noDigest is of a model whose file nobody here knows, as another server's: Ollama's
// command line takes a digest's first twelve digits without looking, and crashes.
const noDigest = "0000000000000000000000000000000000000000000000000000000000000000"

// appendOllamaModel begins a model as lists have it.
func appendOllamaModel(b []byte, m *ModelView, size int64) []byte {
	b = append(b, `{"name":`...)
	b = appendString(b, m.ID)
	b = append(b, `,"model":`...)
	b = appendString(b, m.ID)
	b = append(b, `,"size":`...)
	b = strconv.AppendInt(b, size, 10)
	b = append(b, `,"digest":`...)
	b = appendString(b, cmp.Or(m.Digest, noDigest))
	return appendDetails(append(b, `,"details":`...), m)
}

// appendModified takes the node's start for a copy whose age it does not know:
// clients cannot do without a time.
func (s *Server) appendModified(b []byte, m *ModelView) []byte {
	at := s.started
	if m.Modified != nil {
		at = *m.Modified
	}
	b = append(b, `,"modified_at":"`...)
	b = at.UTC().AppendFormat(b, time.RFC3339)
	return append(b, '"')
}

func (s *Server) ollamaTags(w http.ResponseWriter, r *http.Request) {
	b := []byte(`{"models":[`)
	for i, m := range s.inspect.Models() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(s.appendModified(appendOllamaModel(b, &m, m.Bytes), &m), '}')
	}
	writeJSON(w, nil, append(b, "]}\n"...))
}

// forever is when Ollama is told that a model will be unloaded which is not by
// itself; its clients show a time this far as forever.
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
		size, expires := m.Bytes, s.started.Add(forever)
		if m.Memory > 0 {
			size = m.Memory
		}
		if m.Expires != nil {
			expires = *m.Expires
		}
		b = append(appendOllamaModel(b, &m, size), `,"size_vram":`...)
		b = strconv.AppendInt(b, m.VRAM, 10)
		b = append(b, `,"context_length":`...)
		b = strconv.AppendInt(b, int64(m.Context), 10)
		b = append(b, `,"expires_at":"`...)
		b = expires.UTC().AppendFormat(b, time.RFC3339)
		b = append(b, `"}`...)
	}
	writeJSON(w, nil, append(b, "]}\n"...))
}

// modelName is a body that names a model; name is the older name of model.
type modelName struct {
	Model string `json:"model"`
	Name  string `json:"name"`
}

func (m *modelName) get() string {
	if m.Model == "" {
		return m.Name
	}
	return m.Model
}

// ollamaShow answers POST /api/show with what the node knows of a model.
func (s *Server) ollamaShow(w http.ResponseWriter, r *http.Request) {
	var body modelName
	err := readBody(w, r, &body)
	if err == nil {
		var m *ModelView
		if m, err = s.shown(body.get()); err == nil {
			writeJSON(w, nil, append(s.appendShown(nil, m), '\n'))
			return
		}
	}
	writeOllamaError(w, err)
}

func (s *Server) appendShown(b []byte, m *ModelView) []byte {
	parameters := ""
	if m.Context > 0 {
		parameters = "num_ctx " + strconv.Itoa(m.Context)
	}
	b = appendString(append(b, `{"modelfile":"","parameters":`...), parameters)
	b = appendString(append(b, `,"template":`...), m.Template)
	b = append(b, `,"capabilities":[`...)
	capabilities := m.Capabilities
	if len(capabilities) == 0 {
		capabilities = []string{"completion"}
	}
	for i, c := range capabilities {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, c)
	}
	b = appendDetails(append(b, `],"details":`...), m)
	b = append(b, `,"model_info":{`...)
	if m.Family != "" {
		b = append(appendString(append(b, `"general.architecture":`...), m.Family), ',')
	}
	if m.Family != "" && m.Trained > 0 {
		b = append(appendString(b, m.Family+".context_length"), ':')
		b = append(strconv.AppendInt(b, int64(m.Trained), 10), ',')
	}
	b = appendString(append(b, `"omx.digest":`...), m.Digest)
	b = append(b, `,"omx.bytes":`...)
	b = strconv.AppendInt(b, m.Bytes, 10)
	b = append(b, `,"omx.holders":`...)
	b = strconv.AppendInt(b, int64(len(m.Holders)), 10)
	return append(s.appendModified(append(b, '}'), m), '}')
}

func (s *Server) shown(name string) (*ModelView, error) {
	id, err := modelID(name)
	if err != nil {
		return nil, err
	}
	m := find(s.inspect, id.String())
	if m == nil {
		return nil, noModel(id.String())
	}
	return m, nil
}

func (s *Server) ollamaVersion(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, nil, append(appendString([]byte(`{"version":`), s.cfg.Version), "}\n"...))
}
