package api

import (
	"context"
	"errors"
	"strings"

	"omx/node/catalog"
)

// named has models found by the names that clients use: name and name:latest are
// the same. What is asked for is without the tag; only where nobody has that is
// the other name looked for, so that a request costs no list of models.
type named struct {
	Chatter
	inspect Inspector
}

func (n *named) Chat(ctx context.Context, c *Chat, reply Reply) (Result, error) {
	r, err := n.Chatter.Chat(ctx, c, reply)
	if n.other(&c.Model, err) {
		return n.Chatter.Chat(ctx, c, reply)
	}
	return r, err
}

func (n *named) Embed(ctx context.Context, e *Embedding) (Vectors, error) {
	v, err := n.Chatter.Embed(ctx, e)
	if n.other(&e.Model, err) {
		return n.Chatter.Embed(ctx, e)
	}
	return v, err
}

func (n *named) CountTokens(ctx context.Context, c *Chat) (int, error) {
	k, err := n.Chatter.CountTokens(ctx, c)
	if n.other(&c.Model, err) {
		return n.Chatter.CountTokens(ctx, c)
	}
	return k, err
}

// other gives a model that was not found its other name, if there is one of it.
func (n *named) other(id *catalog.ModelID, err error) bool {
	if err == nil {
		return false
	}
	var e *Error
	if !errors.As(err, &e) || e.Code != codeNoModel {
		return false
	}
	m := find(n.inspect, id.String())
	if m == nil || m.ID == id.String() {
		return false
	}
	tagged, err := catalog.ParseModelID(m.ID)
	if err != nil {
		return false
	}
	*id = tagged
	return true
}

// find finds a model by a name that clients use for it; nil where there is none.
func find(i Inspector, name string) *ModelView {
	models, plain := i.Models(), strings.TrimSuffix(name, latest)
	var found *ModelView
	for k := range models {
		m := &models[k]
		if m.ID == plain || found == nil && strings.TrimSuffix(m.ID, latest) == plain {
			found = m
		}
	}
	return found
}

// codeNoModel is what clients expect for a model that nobody has.
const codeNoModel = "model_not_found"
