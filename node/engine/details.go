package engine

import "omx/node/engine/gguf"

// need is about how much memory a model takes when it is loaded.
func need(cfg *LocalConfig, h gguf.Header) int64 { return h.Bytes }

// details is what a model's header says of it.
func details(h gguf.Header) Details {
	return Details{Family: h.Architecture, Trained: h.Context}
}
