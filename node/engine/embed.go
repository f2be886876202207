package engine

import (
	"context"
	"fmt"
)

// Embed implements Engine.
func (l *Local) Embed(context.Context, *EmbedRequest) (Embeddings, error) {
	return Embeddings{}, fmt.Errorf("%w: embeddings", ErrCannot)
}

// Count implements Engine.
func (l *Local) Count(context.Context, *Prompt) (int, error) {
	return 0, fmt.Errorf("%w: counting tokens", ErrCannot)
}
