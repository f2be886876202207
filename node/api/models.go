package api

import (
	"context"
	"fmt"
	"net/http"
)

// modelOrder is the body of POST /omx/v1/models/{action}: what the command line
// has the node do.
type modelOrder struct {
	Model     string    `json:"model"`
	To        string    `json:"to,omitempty"`     // of a copy
	Source    string    `json:"source,omitempty"` // of a pull: a URL or hf.co/OWNER/REPO:FILE
	Digest    string    `json:"digest,omitempty"` // of a pull: SHA-256, hexadecimal
	KeepAlive keepAlive `json:"keep_alive"`       // of a load
}

// orderModel does what is asked with this node's models and answers with the
// models there are; a pull tells how far it is, a JSON object a line.
func (s *Server) orderModel(w http.ResponseWriter, r *http.Request) {
	m, err := s.manager(r)
	var o modelOrder
	if err == nil {
		err = readBody(w, r, &o)
	}
	if err == nil && r.PathValue("action") == "pull" {
		if err = s.pull(w, r, m, &o); err == nil {
			return
		}
	} else if err == nil {
		err = s.carryOut(r, m, &o)
	}
	switch {
	case err == nil:
		writeView(w, s.inspect.Models())
	case !gone(r.Context(), err):
		writeOpenAIError(w, err)
	}
}

func (s *Server) carryOut(r *http.Request, m Manager, o *modelOrder) error {
	id, err := modelID(o.Model)
	if err != nil {
		return err
	}
	id = s.stored(id)
	switch action := r.PathValue("action"); action {
	case "load":
		return m.LoadModel(r.Context(), id, o.KeepAlive.time)
	case "unload":
		return m.UnloadModel(r.Context(), id)
	case "delete":
		return m.DeleteModel(r.Context(), id)
	case "copy":
		to, err := modelField("to", o.To)
		if err != nil {
			return err
		}
		return m.CopyModel(r.Context(), id, to)
	default:
		return &Error{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("models cannot be told to %q; use load, unload, pull, copy or delete", clip(action))}
	}
}

func (s *Server) pull(w http.ResponseWriter, r *http.Request, m Manager, o *modelOrder) error {
	id, err := modelID(o.Model)
	switch {
	case err != nil:
		return err
	case len(o.Source) > maxSource:
		return badField("source", "is longer than %d bytes", maxSource)
	case o.Digest != "" && !isSHA256(o.Digest):
		return badField("digest", "must be 64 hexadecimal digits")
	}
	s.progress(w, r, &ownProgress, false, func(ctx context.Context, report func(Progress)) error {
		return m.PullModel(ctx, id, o.Source, o.Digest, report)
	})
	return nil
}
