package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"omx/node/api"
	"omx/node/catalog"
	"omx/node/engine"
	"omx/node/mesh"
)

// sink takes what an engine gives, for a client of this node or for a peer.
type sink interface {
	token(engine.Token) error
	vector([]float32) error
}

// work has this node's own engine do what is asked.
func (n *Node) work(ctx context.Context, w *wireRequest, out sink) (engine.Usage, error) {
	if w.Keep != nil && n.local != nil {
		if err := n.local.Keep(w.model(), *w.Keep); err != nil && !errors.Is(err, engine.ErrNoModel) { // it may be another server's
			return engine.Usage{}, err
		}
	}
	claim := engine.Claim{Priority: w.Priority, Class: w.Class, Tenant: w.Tenant}
	switch {
	case w.Embed != nil:
		w.Embed.Claim, w.Embed.Keep = claim, w.Keep
		e, err := n.engine.Embed(ctx, w.Embed)
		for _, v := range e.Vectors {
			if err == nil {
				err = out.vector(v)
			}
		}
		return engine.Usage{PromptTokens: e.PromptTokens, QueueWait: e.QueueWait, Total: e.Total}, err
	case w.Count:
		if err := n.defaults(w); err != nil {
			return engine.Usage{}, err
		}
		tokens, err := n.engine.Count(ctx, &w.Prompt)
		return engine.Usage{PromptTokens: tokens}, err
	}
	w.Prompt.Claim, w.Prompt.Keep = claim, w.Keep
	model := w.Prompt.Model
	if err := n.defaults(w); err != nil {
		return engine.Usage{}, err
	}
	usage, err := n.engine.Generate(ctx, &w.Prompt, out.token)
	if err == nil {
		if usage.Shifts > 0 && w.Prompt.NumKeep >= 0 { // the rest of it is forgotten
			w.chain.n = min(w.chain.n, w.Prompt.NumKeep/blockTokens)
		}
		n.remembered.put(model, &w.chain, n.slots(model))
	}
	return usage, err
}

// slots is how many requests of a model run at once here.
func (n *Node) slots(m catalog.ModelID) int {
	for _, h := range n.table.Snapshot().Holders(m) {
		if h.Self {
			return int(h.Load.Slots)
		}
	}
	return 0
}

// Embed makes embeddings, or scores, here or on another node.
func (n *Node) Embed(ctx context.Context, e *api.Embedding) (api.Vectors, error) {
	a := &answer{node: n, arrived: e.Arrived}
	err := n.run(ctx, a, &e.Chat, &wireRequest{Embed: &engine.EmbedRequest{Model: e.Model, Input: e.Input, Query: e.Query, Truncate: e.Truncate}})
	if err == nil && len(a.vectors) != len(e.Input) {
		err = apiError(ctx, fmt.Errorf("%w: %d vectors for %d texts", mesh.ErrProtocol, len(a.vectors), len(e.Input)))
	}
	if err != nil {
		return api.Vectors{}, err
	}
	return api.Vectors{Meta: a.meta(), Vectors: a.vectors, PromptTokens: a.usage.PromptTokens, Total: a.usage.Total}, nil
}

// CountTokens tells how many tokens a prompt has for its model.
func (n *Node) CountTokens(ctx context.Context, c *api.Chat) (int, error) {
	asked, err := prompt(c)
	if err != nil {
		return 0, err
	}
	a := &answer{node: n, arrived: c.Arrived}
	err = n.run(ctx, a, c, &wireRequest{Prompt: asked, Count: true})
	return a.usage.PromptTokens, err
}

// What crosses the mesh beside plain text is marked by its first byte.
const (
	extraToken  = 'T' // a token in JSON
	extraVector = 'V' // a vector: numbers of 4 bytes, little endian
)

// wireToken is a token with more to it than its text.
type wireToken struct {
	Text     string           `json:"text"`
	N        int              `json:"n"`
	Thought  bool             `json:"thought,omitempty"`
	Called   bool             `json:"called,omitempty"`
	Logprobs []engine.Logprob `json:"logprobs,omitempty"`
}

// peerSink sends to the peer that asked.
type peerSink struct {
	s     *mesh.ServerStream
	first func() // called once
	begun bool
}

func (p *peerSink) begin() {
	if !p.begun {
		p.begun = true
		p.first()
	}
}

func (p *peerSink) token(t engine.Token) error {
	p.begin()
	if !t.Thought && !t.Called && len(t.Logprobs) == 0 {
		return p.s.Token([]byte(t.Text), uint32(t.N))
	}
	data, err := json.Marshal(wireToken(t))
	if err != nil {
		return fmt.Errorf("encode token: %w", err)
	}
	return p.s.Extra(append([]byte{extraToken}, data...))
}

func (p *peerSink) vector(v []float32) error {
	p.begin()
	b := make([]byte, 1, 1+4*len(v))
	b[0] = extraVector
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return p.s.Extra(b)
}

// receive hands on what a peer has sent.
func receive(t mesh.Token, out sink) error {
	if len(t.Extra) == 0 {
		return out.token(engine.Token{Text: string(t.Text), N: int(t.N)})
	}
	data := t.Extra[1:]
	switch {
	case t.Extra[0] == extraToken:
		var w wireToken
		if err := json.Unmarshal(data, &w); err != nil || w.N < 0 {
			return fmt.Errorf("%w: a token that cannot be read", mesh.ErrProtocol)
		}
		return out.token(engine.Token(w))
	case t.Extra[0] == extraVector && len(data)%4 == 0:
		v := make([]float32, len(data)/4)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
		return out.vector(v)
	}
	return fmt.Errorf("%w: an unknown kind of piece", mesh.ErrProtocol)
}

// The same things in the API's words and in the engine's.

func apiToken(t engine.Token) api.Token {
	out := api.Token{Text: t.Text, N: t.N, Thought: t.Thought}
	for i := range t.Logprobs {
		l := api.Logprob{Text: t.Logprobs[i].Text, Logprob: t.Logprobs[i].Logprob}
		for _, top := range t.Logprobs[i].Top {
			l.Top = append(l.Top, api.TopLogprob(top))
		}
		out.Logprobs = append(out.Logprobs, l)
	}
	return out
}

func apiCalls(calls []engine.Call) []api.Call {
	var out []api.Call
	for _, c := range calls {
		out = append(out, api.Call(c))
	}
	return out
}

func engineCalls(calls []api.Call) []engine.Call {
	var out []engine.Call
	for _, c := range calls {
		out = append(out, engine.Call(c))
	}
	return out
}
