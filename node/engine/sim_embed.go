package engine

import (
	"context"
	"fmt"
	"math"
	"time"
)

// simDims is the length of a simulated embedding.
const simDims = 16

// Embed implements Engine: vectors are a function of the seed and the text.
func (s *Sim) Embed(ctx context.Context, r *EmbedRequest) (e Embeddings, err error) {
	began := time.Now()
	if err := r.check(); err != nil {
		return e, err
	}
	m := s.model(r.Model)
	if m == nil {
		return e, fmt.Errorf("%w: %s is not one of this node's", ErrNoModel, r.Model)
	}
	for _, text := range r.Input {
		n := (len(text) + 3) / 4
		if most := s.cfg.ContextTokens; n > most {
			if !r.Truncate {
				return e, fmt.Errorf("%w: it has %d tokens, at most %d are possible here", ErrTooLong, n, most)
			}
			n = most
		}
		e.PromptTokens += n
	}
	if err := m.gate.enter(ctx, r.Claim); err != nil {
		return e, err
	}
	defer m.gate.leave()
	e.QueueWait = time.Since(began)
	if err := s.wait(ctx, time.Now().Add(time.Duration(e.PromptTokens)*s.cfg.Prefill)); err != nil {
		return e, err
	}
	for _, text := range r.Input {
		e.Vectors = append(e.Vectors, s.vector(r.Query, text))
	}
	e.Total = time.Since(began)
	return e, nil
}

// vector is of length 1; a score if there is a query.
func (s *Sim) vector(query, text string) []float32 {
	seed := s.seed(&Prompt{Raw: query + "\x00" + text})
	dims := simDims
	if query != "" {
		dims = 1
	}
	v, sum := make([]float32, dims), 0.0
	for i := range v {
		x := float64(simHash(seed, uint64(i))>>11)/(1<<53) - 0.5
		v[i], sum = float32(x), sum+x*x
	}
	if query == "" {
		for i := range v {
			v[i] /= float32(math.Sqrt(sum))
		}
	}
	return v
}

// Count implements Engine.
func (s *Sim) Count(_ context.Context, p *Prompt) (int, error) {
	if err := p.check(); err != nil {
		return 0, err
	}
	if s.model(p.Model) == nil {
		return 0, fmt.Errorf("%w: %s is not one of this node's", ErrNoModel, p.Model)
	}
	return simTokens(p), nil
}
