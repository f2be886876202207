package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"omx/node/catalog"
)

// preload answers a request to load a model, once it is, or to unload it: one that
// asks nothing.
func (s *Server) preload(w http.ResponseWriter, r *http.Request, o *ollamaBody, f *ollamaFormat) error {
	reason, err := s.ready(r, o.Model, o.KeepAlive)
	if err == nil {
		b := appendString(append(f.message(nil, "", "", nil), `,"done":true,"done_reason":`...), reason)
		writeJSON(w, nil, append(b, "}\n"...))
	}
	return err
}

// ready loads a model, or unloads it, and says which.
func (s *Server) ready(r *http.Request, model string, keep keepAlive) (string, error) {
	id, err := modelID(model)
	if err != nil {
		return "", err
	}
	if err := s.ask(r, &Chat{Model: id}); err != nil {
		return "", err
	}
	if keep.unload() {
		return "unload", s.unload(r, id)
	}
	return "load", s.load(r.Context(), id, keep.time)
}

// load makes a model ready: on this node if it manages models, else some node must
// have it ready.
func (s *Server) load(ctx context.Context, id catalog.ModelID, keep *time.Duration) error {
	m := find(s.inspect, id.String())
	if s.cfg.Models != nil {
		err := s.cfg.Models.LoadModel(ctx, s.stored(id), keep)
		var e *Error
		if errors.As(err, &e) && e.Code == codeNoModel && m != nil && m.loaded() { // another node's
			return nil
		}
		return err
	}
	switch {
	case m == nil:
		return noModel(id.String())
	case !m.loaded():
		return &Error{Status: http.StatusServiceUnavailable, Code: "model_not_ready", RetryAfter: time.Second,
			Message: "no node has model " + m.ID + " loaded now; try again later"}
	}
	return nil
}

// unload takes a model from everybody who asks this node, so not everybody may.
func (s *Server) unload(r *http.Request, id catalog.ModelID) error {
	models, err := s.manager(r)
	if err != nil {
		return err
	}
	return models.UnloadModel(r.Context(), s.stored(id))
}

// manager is what changes this node's models, for those who may.
func (s *Server) manager(r *http.Request) (Manager, error) {
	if s.cfg.Models == nil {
		return nil, &Error{Status: http.StatusNotImplemented, Code: "not_implemented",
			Message: "this node serves the models that it was started with and changes none; start it with others, see: omx serve --help"}
	}
	return s.cfg.Models, s.mayOperate(r)
}

// stored is the name by which a model is kept that clients call by another.
func (s *Server) stored(id catalog.ModelID) catalog.ModelID {
	if m := find(s.inspect, id.String()); m != nil {
		if kept, err := catalog.ParseModelID(m.ID); err == nil {
			return kept
		}
	}
	return id
}

// loaded tells whether any node has the model ready.
func (m *ModelView) loaded() bool {
	for _, h := range m.Holders {
		if h.State == "loaded" {
			return true
		}
	}
	return false
}
