package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"omx/node/catalog"
)

// manage does what changes this node's models, in answer to a body in the form of
// Ollama. Its errors are answered here; what do has to say it writes itself.
func (s *Server) manage(w http.ResponseWriter, r *http.Request, body any, do func(m Manager) error) {
	m, err := s.manager(r)
	if err == nil && body != nil {
		err = readBody(w, r, body)
	}
	if err == nil {
		err = do(m)
	}
	if err != nil && !gone(r.Context(), err) {
		writeOllamaError(w, err)
	}
}

func (s *Server) ollamaPull(w http.ResponseWriter, r *http.Request) {
	var body struct {
		modelName
		Stream   *bool `json:"stream"`
		Insecure bool  `json:"insecure"`
	}
	s.manage(w, r, &body, func(m Manager) error {
		if err := refuseSet(unsupported{"insecure", body.Insecure}); err != nil {
			return err
		}
		id, err := modelID(body.get())
		if err != nil {
			return err
		}
		s.progress(w, r, &ollamaProgress, body.Stream != nil && !*body.Stream, func(ctx context.Context, report func(Progress)) error {
			return m.PullModel(ctx, id, "", "", report)
		})
		return nil
	})
}

// ollamaPush is not for nodes that keep their models to themselves.
func (s *Server) ollamaPush(w http.ResponseWriter, r *http.Request) {
	writeOllamaError(w, &Error{Status: http.StatusNotImplemented, Code: "not_implemented",
		Message: "this node sends no models to registries; have the other node pull the model, or copy its file there"})
}

// ollamaCreation is the body of POST /api/create as far as it is used.
type ollamaCreation struct {
	modelName
	From       string            `json:"from"`
	Files      map[string]string `json:"files"`
	Adapters   map[string]string `json:"adapters"`
	System     string            `json:"system"`
	Template   string            `json:"template"`
	Parameters json.RawMessage   `json:"parameters"`
	Stream     *bool             `json:"stream"`
	Quantize   string            `json:"quantize"`
	Quantized  string            `json:"quantization"` // the older name of quantize
	License    json.RawMessage   `json:"license"`
	Messages   json.RawMessage   `json:"messages"`
	Modelfile  string            `json:"modelfile"` // of older clients
	Path       string            `json:"path"`
}

// creation checks the body.
func (o *ollamaCreation) creation() (c *Creation, err error) {
	err = refuseSet(unsupported{"quantize", o.Quantize != ""}, unsupported{"quantization", o.Quantized != ""}, unsupported{"license", isSet(o.License)},
		unsupported{"messages", isSet(o.Messages)}, unsupported{"modelfile", o.Modelfile != ""}, unsupported{"path", o.Path != ""})
	if err != nil {
		return nil, err
	}
	c = &Creation{Files: o.Files, Adapters: o.Adapters, System: o.System, Template: o.Template}
	if c.Model, err = modelID(o.get()); err != nil {
		return nil, err
	}
	switch {
	case o.From == "" && len(o.Files) == 0:
		return nil, badField("from", "is missing; name a model, or send its files")
	case o.From != "" && len(o.Files) > 0:
		return nil, badField("files", "go with no field from; send one of them")
	case o.From != "":
		if c.From, err = catalog.ParseModelID(strings.TrimSuffix(o.From, latest)); err != nil {
			return nil, badField("from", "is not the name of a model: %v", err)
		}
	}
	if !isObject(o.Parameters) {
		return nil, badField("parameters", "must be an object")
	}
	if isSet(o.Parameters) {
		c.Parameters = o.Parameters
	}
	if err := checkFiles("files", o.Files); err != nil {
		return nil, err
	}
	return c, checkFiles("adapters", o.Adapters)
}

// checkFiles lets no name out of a folder.
func checkFiles(field string, files map[string]string) error {
	if len(files) > maxFiles {
		return badField(field, "may have at most %d entries", maxFiles)
	}
	for name, digest := range files {
		if name == "" || len(name) > maxFileName || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\\x00") {
			return badField(field, "%q is no name of a file; send one without folders", clip(name))
		}
		if !isSHA256(strings.TrimPrefix(digest, sha256Prefix)) || !strings.HasPrefix(digest, sha256Prefix) {
			return badField(field, "%q must be named by its digest: sha256: and 64 digits", clip(name))
		}
	}
	return nil
}

func (s *Server) ollamaCreate(w http.ResponseWriter, r *http.Request) {
	var body ollamaCreation
	s.manage(w, r, &body, func(m Manager) error {
		c, err := body.creation()
		if err != nil {
			return err
		}
		if !c.From.IsZero() {
			c.From = s.stored(c.From)
		}
		s.progress(w, r, &ollamaProgress, body.Stream != nil && !*body.Stream, func(ctx context.Context, report func(Progress)) error {
			return m.CreateModel(ctx, c, report)
		})
		return nil
	})
}

func (s *Server) ollamaCopy(w http.ResponseWriter, r *http.Request) {
	var body struct{ Source, Destination string }
	s.manage(w, r, &body, func(m Manager) error {
		from, err := modelField("source", body.Source)
		if err != nil {
			return err
		}
		to, err := modelField("destination", body.Destination)
		if err != nil {
			return err
		}
		return m.CopyModel(r.Context(), s.stored(from), to)
	})
}

// modelField reads the name of a model that is in a field of another name.
func modelField(field, name string) (catalog.ModelID, error) {
	id, err := catalog.ParseModelID(strings.TrimSuffix(name, latest))
	if err != nil {
		return id, badField(field, "is not the name of a model: %v", err)
	}
	return id, nil
}

func (s *Server) ollamaDelete(w http.ResponseWriter, r *http.Request) {
	var body modelName
	s.manage(w, r, &body, func(m Manager) error {
		id, err := modelID(body.get())
		if err != nil {
			return err
		}
		return m.DeleteModel(r.Context(), s.stored(id))
	})
}
