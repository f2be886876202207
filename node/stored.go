package node

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"omx/node/api"
	"omx/node/blob"
	"omx/node/catalog"
	"omx/node/engine"
)

// modelParams are defaults of requests to a stored model, as its manifest has them.
type modelParams struct {
	// System is said first in conversations that have no system message.
	System string `json:"system,omitempty"`
	// Parameters are options as Ollama calls them, of which those known are used.
	Parameters json.RawMessage `json:"parameters,omitempty"`
}

// options are the parameters that are used.
type options struct {
	Temperature      *float32 `json:"temperature"`
	TopP             *float32 `json:"top_p"`
	TopK             *int     `json:"top_k"`
	MinP             *float32 `json:"min_p"`
	RepeatPenalty    *float32 `json:"repeat_penalty"`
	PresencePenalty  *float32 `json:"presence_penalty"`
	FrequencyPenalty *float32 `json:"frequency_penalty"`
	RepeatLast       *int     `json:"repeat_last_n"`
	NumPredict       *int     `json:"num_predict"`
	NumKeep          *int     `json:"num_keep"`
	Seed             *uint32  `json:"seed"`
	Stop             stopTexts
}

// stopTexts are one text or a list.
type stopTexts []string

func (s *stopTexts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*s = stopTexts{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(s))
}

func (p *modelParams) check() error {
	if p.Parameters == nil {
		return nil
	}
	if err := json.Unmarshal(p.Parameters, new(options)); err != nil {
		return &api.Error{Status: http.StatusBadRequest, Code: "invalid_request", Param: "parameters", Message: fmt.Sprintf("parameters: cannot be read: %v", err)}
	}
	return nil
}

// apply puts the defaults into a request, where the client has not said otherwise.
func (p *modelParams) apply(w *wireRequest) error {
	if p.System != "" && len(w.Prompt.Messages) > 0 && w.Prompt.Messages[0].Role != "system" {
		w.Prompt.Messages = append([]engine.Message{{Role: "system", Content: p.System}}, w.Prompt.Messages...)
	}
	if p.Parameters == nil {
		return nil
	}
	var o options
	if err := json.Unmarshal(p.Parameters, &o); err != nil {
		return fmt.Errorf("parameters of the model: %w", err)
	}
	q, said := &w.Prompt, w.Said
	defaultTo(said, saidTemperature, &q.Temperature, o.Temperature)
	defaultTo(said, saidTopP, &q.TopP, o.TopP)
	defaultTo(said, saidTopK, &q.TopK, o.TopK)
	defaultTo(said, saidMinP, &q.MinP, o.MinP)
	defaultTo(said, saidRepeat, &q.RepeatPenalty, o.RepeatPenalty)
	defaultTo(said, saidPresence, &q.PresencePenalty, o.PresencePenalty)
	defaultTo(said, saidFrequency, &q.FrequencyPenalty, o.FrequencyPenalty)
	defaultTo(said, saidLast, &q.RepeatLast, o.RepeatLast)
	defaultTo(said, saidSeed, &q.Seed, o.Seed)
	defaultTo(said, saidKeep, &q.NumKeep, o.NumKeep)
	if o.NumPredict != nil && q.MaxTokens == 0 {
		q.MaxTokens = max(*o.NumPredict, 0)
	}
	if len(q.Stop) == 0 {
		q.Stop = o.Stop
	}
	return nil
}

// What a client has said of how tokens are drawn, in a wireRequest.
const (
	saidTemperature = 1 << iota
	saidTopP
	saidTopK
	saidMinP
	saidRepeat
	saidPresence
	saidFrequency
	saidLast
	saidSeed
	saidKeep
)

func defaultTo[T any](said, what uint32, to *T, def *T) {
	if said&what == 0 && def != nil {
		*to = *def
	}
}

// said is what a client has said.
func said(c *api.Chat) uint32 {
	return is(c.Temperature, saidTemperature) | is(c.TopP, saidTopP) | is(c.TopK, saidTopK) | is(c.MinP, saidMinP) |
		is(c.RepeatPenalty, saidRepeat) | is(c.PresencePenalty, saidPresence) | is(c.FrequencyPenalty, saidFrequency) |
		is(c.RepeatLast, saidLast) | is(c.Seed, saidSeed) |
		is(c.NumKeep, saidKeep)
}

func is[T any](said *T, what uint32) uint32 {
	if said == nil {
		return 0
	}
	return what
}

// stored is what the engine serves of the store.
type stored struct {
	generation uint64
	params     map[catalog.ModelID]modelParams
}

// syncModels has the engine serve what is stored, and no more of that which is not.
func (n *Node) syncModels() {
	if n.local == nil {
		return
	}
	list, err := n.blobs.Names()
	if err != nil {
		n.log.Error("stored models cannot be read", "why", err)
		return
	}
	n.syncing.Lock()
	defer n.syncing.Unlock()
	was := n.stored.Load()
	if was != nil && was.generation == list.Generation {
		return
	}
	now := &stored{generation: list.Generation, params: map[catalog.ModelID]modelParams{}}
	for _, err := range list.Damaged {
		n.log.Error("a stored model cannot be used; pull or import it again, or remove it", "why", err)
	}
	for _, m := range list.Models {
		if n.configured(m.Model) {
			continue // what the node was started with goes first
		}
		if err := n.serve(&m, now); err != nil {
			n.log.Error("a stored model cannot be used", "model", m.Model, "why", err)
		}
	}
	n.stored.Store(now)
	if was != nil {
		for id := range was.params {
			if _, still := now.params[id]; !still {
				n.local.Remove(id)
			}
		}
	}
	n.publishSelf()
}

func (n *Node) serve(m *blob.Manifest, now *stored) error {
	var p modelParams
	if m.Params != nil {
		if err := json.Unmarshal(m.Params, &p); err != nil {
			return fmt.Errorf("read its parameters: %w", err)
		}
	}
	path, err := n.blobs.Path(m.Digest)
	if err != nil {
		return err
	}
	f := engine.ModelFile{ID: m.Model, Path: path, Digest: m.Digest.Hex(), Preload: slices.Contains(n.cfg.Preload, m.Model.String())}
	for _, d := range m.Adapters {
		a, err := n.blobs.Path(d)
		if err != nil {
			return err
		}
		f.Adapters = append(f.Adapters, engine.Adapter{Path: a, Scale: 1})
	}
	now.params[m.Model] = p
	return n.local.Add(f)
}

// sweepBlobs removes what crashes and clients have left in the store.
func (n *Node) sweepBlobs() {
	if n.blobs == nil {
		return
	}
	switch w, err := n.blobs.GC(keepBlobs); {
	case err != nil:
		n.log.Warn("unused model files stay", "why", err)
	case w.Bytes > 0:
		n.log.Info("removed unused model files", "files", w.Blobs+w.Partials, "bytes", w.Bytes)
	}
}

// defaults puts those of a stored model into a request that this node serves.
func (n *Node) defaults(w *wireRequest) error {
	s := n.stored.Load()
	if s == nil || w.Embed != nil {
		return nil
	}
	p, ok := s.params[w.Prompt.Model]
	if !ok {
		return nil
	}
	return p.apply(w)
}
