package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"omx/node/catalog"
)

// Group joins engines behind one. A model that several of them have is that of
// the first one that can use it.
type Group struct{ engines []Engine }

// NewGroup returns an engine of these; it closes them.
func NewGroup(engines ...Engine) *Group { return &Group{engines} }

// Start starts those that need it, in their order.
func (g *Group) Start(ctx context.Context) error {
	for _, e := range g.engines {
		if s, ok := e.(interface{ Start(context.Context) error }); ok {
			if err := s.Start(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// pick is the first engine that can use the model, else the first that has it:
// that one says why it cannot.
func (g *Group) pick(id catalog.ModelID) (Engine, error) {
	var first Engine
	for _, e := range g.engines {
		for _, st := range e.Models() {
			if st.ID != id {
				continue
			}
			if st.Err == "" {
				return e, nil
			}
			if first == nil {
				first = e
			}
		}
	}
	if first == nil {
		return nil, fmt.Errorf("%w: %s is not one of this node's", ErrNoModel, id)
	}
	return first, nil
}

// Generate implements Engine.
func (g *Group) Generate(ctx context.Context, p *Prompt, emit func(Token) error) (Usage, error) {
	e, err := g.pick(p.Model)
	if err != nil {
		return Usage{}, err
	}
	return e.Generate(ctx, p, emit)
}

// Embed implements Engine.
func (g *Group) Embed(ctx context.Context, r *EmbedRequest) (Embeddings, error) {
	e, err := g.pick(r.Model)
	if err != nil {
		return Embeddings{}, err
	}
	return e.Embed(ctx, r)
}

// Count implements Engine.
func (g *Group) Count(ctx context.Context, p *Prompt) (int, error) {
	e, err := g.pick(p.Model)
	if err != nil {
		return 0, err
	}
	return e.Count(ctx, p)
}

// Models implements Engine: of each name the one that pick takes.
func (g *Group) Models() []Status {
	var all []Status
	for _, e := range g.engines {
		for _, st := range e.Models() {
			i := slices.IndexFunc(all, func(s Status) bool { return s.ID == st.ID })
			switch {
			case i < 0:
				all = append(all, st)
			case all[i].Err != "" && st.Err == "":
				all[i] = st
			}
		}
	}
	return all
}

// Close implements Engine.
func (g *Group) Close() error {
	var errs []error
	for _, e := range g.engines {
		errs = append(errs, e.Close())
	}
	return errors.Join(errs...)
}
