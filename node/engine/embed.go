package engine

import (
	"context"
)

// Embed implements Engine.
func (l *Local) Embed(ctx context.Context, r *EmbedRequest) (Embeddings, error) {
	if err := r.check(); err != nil {
		return Embeddings{}, err
	}
	m, err := l.find(r.Model)
	if err != nil {
		return Embeddings{}, err
	}
	return m.embed(ctx, r)
}

// Count implements Engine.
func (l *Local) Count(ctx context.Context, p *Prompt) (int, error) {
	if err := p.check(); err != nil {
		return 0, err
	}
	m, err := l.find(p.Model)
	if err != nil {
		return 0, err
	}
	return m.count(ctx, p)
}
