package api

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"omx/node/catalog"
)

// Manager changes which models this node has and holds ready. Errors that a
// client should understand are *Error. A model may be named that no node knows.
type Manager interface {
	// LoadModel makes a model ready for requests and returns when it is. It stays so
	// for keep after the last request; nil: as the node is configured, below 0: for
	// good.
	LoadModel(ctx context.Context, m catalog.ModelID, keep *time.Duration) error
	// UnloadModel frees a model's memory once the requests under way have ended.
	UnloadModel(ctx context.Context, m catalog.ModelID) error
	// PullModel fetches a model: source is a URL or hf.co/OWNER/REPO:FILE, or "" for
	// what the model's own name says. Digest is its SHA-256 in hex, or "".
	PullModel(ctx context.Context, m catalog.ModelID, source, digest string, progress func(Progress)) error
	CopyModel(ctx context.Context, from, to catalog.ModelID) error
	DeleteModel(ctx context.Context, m catalog.ModelID) error
	CreateModel(ctx context.Context, c *Creation, progress func(Progress)) error
	// HasBlob and PutBlob are of files by their SHA-256, "sha256:" and 64 digits.
	HasBlob(digest string) bool
	PutBlob(ctx context.Context, digest string, r io.Reader) error
}

// Creation is a model to be made of files that are there already.
type Creation struct {
	Model    catalog.ModelID
	From     catalog.ModelID   // or zero
	Files    map[string]string // name to digest; GGUF files
	Adapters map[string]string // name to digest; LoRA adapters
	// System, Template and Parameters are defaults of requests to it, as Ollama's
	// Modelfile has them; "" and nil for none.
	System, Template string
	Parameters       json.RawMessage
}

// Progress of something that takes long.
type Progress struct {
	Status      string // in words: "downloading", "verifying", "done"
	Digest      string
	Done, Total int64 // bytes; Total 0: not known
}
