package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"omx/node/api"
	"omx/node/blob"
	"omx/node/catalog"
	"omx/node/engine"
)

// Which models this node has and holds ready; Node implements api.Manager.

// LoadModel makes a model of this node ready for requests.
func (n *Node) LoadModel(ctx context.Context, m catalog.ModelID, keep *time.Duration) error {
	local, err := n.manages()
	if err != nil {
		return err
	}
	if err := local.Load(ctx, m, keep); err != nil {
		return manageError(ctx, err)
	}
	n.publishSelf() // whoever waited for it sees it loaded
	return nil
}

// UnloadModel frees a model's memory once nobody uses it.
func (n *Node) UnloadModel(ctx context.Context, m catalog.ModelID) error {
	local, err := n.manages()
	if err != nil {
		return err
	}
	err = local.Unload(m)
	if errors.Is(err, engine.ErrNoModel) && slices.ContainsFunc(n.engine.Models(), func(s engine.Status) bool { return s.ID == m }) {
		return &api.Error{Status: http.StatusNotImplemented, Code: "not_implemented", Message: fmt.Sprintf("model %s is another server's (--upstream), which loads and unloads it by itself", m)}
	}
	return manageError(ctx, err)
}

// PullModel fetches a model into the store, and serves it: from a source, without one
// from other nodes that have it, else from where its name says.
func (n *Node) PullModel(ctx context.Context, m catalog.ModelID, source, digest string, progress func(api.Progress)) error {
	if err := n.storable(m); err != nil {
		return err
	}
	var want blob.Digest
	if digest != "" {
		var err error
		if want, err = blob.ParseDigest(digest); err != nil {
			return manageError(ctx, err)
		}
	}
	if source == "" {
		if d, nodes := n.holdersOf(m, want); len(nodes) > 0 {
			return n.pullFromPeers(ctx, m, d, nodes, 0, progress)
		}
	}
	source = cmp.Or(source, m.String())
	src, err := blob.Find(ctx, nil, source)
	if err != nil {
		return manageError(ctx, fmt.Errorf("%w; name a URL of a .gguf file, or hf.co/OWNER/REPO:FILE", err))
	}
	if !want.IsZero() {
		src.Want = want
	}
	tell := func(done, total int64) {
		progress(api.Progress{Status: "downloading", Digest: digest, Done: done, Total: max(total, 0)})
	}
	ref, err := n.blobs.Pull(ctx, src, blob.PullOptions{Check: checkModel, Progress: tell})
	if err != nil {
		return manageError(ctx, err)
	}
	progress(api.Progress{Status: "verified", Digest: ref.Digest.String(), Done: ref.Bytes, Total: ref.Bytes})
	return manageError(ctx, n.named(blob.Manifest{Model: m, Digest: ref.Digest, Source: source}))
}

// CopyModel gives a stored model one more name.
func (n *Node) CopyModel(ctx context.Context, from, to catalog.ModelID) error {
	if err := n.storable(to); err != nil {
		return err
	}
	if err := n.inStore(from, to); err != nil {
		return err
	}
	if err := n.blobs.Copy(from, to, true); err != nil {
		return manageError(ctx, err)
	}
	n.syncModels()
	return nil
}

// DeleteModel removes a stored model, and its file if no other name has it.
func (n *Node) DeleteModel(ctx context.Context, m catalog.ModelID) error {
	if err := n.storable(m); err != nil {
		return err
	}
	if _, err := n.blobs.Remove(m); err != nil {
		return manageError(ctx, err)
	}
	n.syncModels()
	return nil
}

// CreateModel names what is stored already, with defaults for its requests.
func (n *Node) CreateModel(ctx context.Context, c *api.Creation, progress func(api.Progress)) error {
	if err := n.storable(c.Model); err != nil {
		return err
	}
	if c.Template != "" {
		return &api.Error{Status: http.StatusBadRequest, Code: "invalid_request", Param: "template", Message: "template: is not supported by this node; a model's own chat template is used"}
	}
	m := blob.Manifest{Model: c.Model, Source: "created"}
	var own modelParams
	switch {
	case !c.From.IsZero():
		if err := n.inStore(c.From, c.Model); err != nil {
			return err
		}
		from, err := n.blobs.Get(c.From)
		if err != nil {
			return manageError(ctx, err)
		}
		if m.Digest = from.Digest; from.Params != nil {
			_ = json.Unmarshal(from.Params, &own) // what cannot be read is made anew
		}
	case len(c.Files) != 1:
		return &api.Error{Status: http.StatusBadRequest, Code: "invalid_request", Param: "files", Message: fmt.Sprintf("files: name one .gguf file, not %d", len(c.Files))}
	default:
		for _, digest := range c.Files {
			d, err := blob.ParseDigest(digest)
			if err != nil {
				return manageError(ctx, err)
			}
			m.Digest = d
		}
	}
	own.System = cmp.Or(c.System, own.System)
	if c.Parameters != nil {
		own.Parameters = c.Parameters
	}
	for _, name := range slices.Sorted(maps.Keys(c.Adapters)) {
		d, err := blob.ParseDigest(c.Adapters[name])
		if err != nil {
			return manageError(ctx, err)
		}
		if has, err := n.blobs.Has(d); err != nil || !has {
			return manageError(ctx, errors.Join(err, fmt.Errorf("adapter %s %w", d, blob.ErrNotFound)))
		}
		m.Adapters = append(m.Adapters, d)
	}
	if err := own.check(); err != nil {
		return err
	}
	path, err := n.blobs.Path(m.Digest)
	if err != nil {
		return manageError(ctx, err)
	}
	progress(api.Progress{Status: "reading the model's header"})
	if err := checkModel(path); err != nil {
		return manageError(ctx, err)
	}
	if m.Params, err = json.Marshal(own); err != nil {
		return manageError(ctx, err)
	}
	return manageError(ctx, n.named(m))
}

// HasBlob tells whether a file is stored.
func (n *Node) HasBlob(digest string) bool {
	d, err := blob.ParseDigest(digest)
	if err != nil || n.blobs == nil {
		return false
	}
	has, err := n.blobs.Has(d)
	return has && err == nil
}

// PutBlob stores a file.
func (n *Node) PutBlob(ctx context.Context, digest string, r io.Reader) error {
	if _, err := n.manages(); err != nil {
		return err
	}
	d, err := blob.ParseDigest(digest)
	if err == nil {
		_, err = n.blobs.Put(ctx, r, d, 0, nil)
	}
	return manageError(ctx, err)
}

// named gives what is stored a name, and serves it.
func (n *Node) named(m blob.Manifest) error {
	if err := n.storable(m.Model); err != nil {
		return err
	}
	if err := n.blobs.Set(m, true); err != nil {
		return err
	}
	n.syncModels()
	return nil
}

// checkModel refuses files that are no models. Where in the store the file lies says
// nothing to who sent it.
func checkModel(path string) error {
	_, err := engine.CheckGGUF(path)
	if errors.Is(err, engine.ErrNotModel) {
		why := strings.TrimPrefix(strings.ReplaceAll(err.Error(), path+": ", ""), engine.ErrNotModel.Error())
		return fmt.Errorf("%w%s", engine.ErrNotModel, why)
	}
	return err
}

// manages is the engine whose models can be changed.
func (n *Node) manages() (*engine.Local, error) {
	if n.local == nil {
		return nil, &api.Error{Status: http.StatusNotImplemented, Code: "not_implemented", Message: "the models of this node cannot be changed: it runs none itself"}
	}
	return n.local, nil
}

// configured tells whether the node was started with a model of that name.
func (n *Node) configured(m catalog.ModelID) bool {
	_, ok := n.fixed[m]
	return ok
}

// storable refuses names that a stored model cannot have.
func (n *Node) storable(m catalog.ModelID) error {
	if _, err := n.manages(); err != nil {
		return err
	}
	if n.configured(m) {
		return &api.Error{Status: http.StatusConflict, Code: "model_configured", Message: fmt.Sprintf("model %s is one that the node was started with; start it without --model %s=… or choose another name", m, m)}
	}
	return nil
}

// inStore refuses models that are not stored as what others are made from.
func (n *Node) inStore(from, to catalog.ModelID) error {
	if n.configured(from) {
		return &api.Error{Status: http.StatusConflict, Code: "not_stored", Message: fmt.Sprintf("model %s is a file that the node was started with; store it with: omx models import FILE --name %s", from, to)}
	}
	return nil
}

// manageError is what a client is told of an error.
func manageError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var known *api.Error
	if ctx.Err() != nil || errors.As(err, &known) {
		return cmp.Or(ctx.Err(), err)
	}
	e := &api.Error{Status: http.StatusInternalServerError, Code: "not_done", Message: err.Error()}
	for _, c := range []struct {
		is     error
		status int
		code   string
	}{
		{engine.ErrNoModel, http.StatusNotFound, "model_not_found"},
		{engine.ErrNoMemory, http.StatusServiceUnavailable, "no_memory"},
		{engine.ErrNoLibrary, http.StatusServiceUnavailable, "model_not_ready"},
		{engine.ErrNotModel, http.StatusBadRequest, "invalid_model"},
		{blob.ErrNotFound, http.StatusNotFound, "model_not_found"},
		{blob.ErrBadName, http.StatusBadRequest, "invalid_request"},
		{blob.ErrMismatch, http.StatusBadRequest, "digest_mismatch"},
		{blob.ErrTooLarge, http.StatusRequestEntityTooLarge, "too_large"},
		{blob.ErrExists, http.StatusConflict, "exists"},
		{blob.ErrBusy, http.StatusConflict, "busy"},
		{blob.ErrNoSpace, http.StatusInsufficientStorage, "no_space"},
	} {
		if errors.Is(err, c.is) {
			e.Status, e.Code = c.status, c.code
			break
		}
	}
	return e
}
