package node

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"omx/node/api"
	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/engine"
	"omx/node/engine/grammar"
	"omx/policies/abi"
)

// Chat answers a client's request, here or on another node: admission, routing,
// then the picks in their order until one delivers a first token; if that one is
// lost, another goes on.
func (n *Node) Chat(ctx context.Context, c *api.Chat, reply api.Reply) (api.Result, error) {
	asked, err := prompt(c)
	if err != nil {
		return api.Result{}, err
	}
	a := &answer{node: n, reply: reply, arrived: c.Arrived, hedged: n.cfg.Hedge}
	err = n.run(ctx, a, c, &wireRequest{Prompt: asked, Said: said(c)})
	return a.result(), err
}

func (n *Node) request(c *api.Chat) decide.Request {
	seed := uint64(0)
	id := n.requests.Add(1)
	if c.Seed != nil {
		seed = uint64(*c.Seed)
	}
	return decide.Request{
		ID: id, Priority: c.Priority, Class: c.Class, Deadline: deadline(c), Model: c.Model, Tenant: c.Tenant.Handle(),
		Prompt: uint32(c.EstimatedPromptTokens), Estimated: true,
		MaxOut: uint32(max(c.MaxTokens, 0)), Streamed: c.Stream, Affinity: affinity(c), Seed: seed ^ id*0x9e3779b97f4a7c15,
	}
}

// deadline is the moment by which the answer must have begun, 0 for none.
func deadline(c *api.Chat) catalog.Micros {
	if c.Deadline <= 0 {
		return 0
	}
	return catalog.Micros(c.Arrived.Add(c.Deadline).UnixMicro())
}

// affinityBytes of a prompt's beginning tell which conversations belong together:
// about the length of a system prompt.
const affinityBytes = 1024

// affinity hashes the prompt's beginning, keyed by the tenant so that nobody can
// learn by it what another asks.
func affinity(c *api.Chat) uint64 {
	h := fnvStart
	for key := c.Tenant.Handle(); key != 0; key >>= 8 {
		h = (h ^ key&0xff) * fnvPrime
	}
	left := affinityBytes
	add := func(text string) {
		text = text[:min(len(text), left)]
		left -= len(text)
		for i := range len(text) {
			h = (h ^ uint64(text[i])) * fnvPrime
		}
	}
	add(c.Raw)
	for i := range c.Messages {
		add(c.Messages[i].Content)
	}
	return max(h, 1)
}

// FNV-1a, of which the standard library's form allocates for each request.
const (
	fnvStart uint64 = 14695981039346656037
	fnvPrime uint64 = 1099511628211
)

// numKeep is how many tokens of a prompt stay when its context shifts: enough for what
// later ones look at for want of something better (Xiao et al., "Efficient Streaming
// Language Models with Attention Sinks", 2023). Ollama has the same.
const numKeep = 4

// seedZero stands for a client's seed 0.
const seedZero = 0x9e3779b9

// prompt is the engine's form of a client's request.
func prompt(c *api.Chat) (engine.Prompt, error) {
	p := engine.Prompt{Model: c.Model, Scope: c.Tenant.Handle(), Raw: c.Raw, MaxTokens: c.MaxTokens, Stop: c.Stop, Temperature: 0.8, TopP: 0.95, TopK: 40, Shift: c.Shift, NumKeep: numKeep}
	for i := range c.Messages {
		m := &c.Messages[i]
		p.Messages = append(p.Messages, engine.Message{Role: m.Role, Content: m.Content, Thinking: m.Thinking, Calls: engineCalls(m.Calls), CallID: m.CallID, Name: m.Name})
	}
	p.Tools, p.Choice, p.OneCall, p.Think, p.Logprobs = c.Tools, engine.Choice(c.Choice), c.OneCall, c.Think, c.Logprobs
	set(&p.Temperature, c.Temperature)
	set(&p.TopP, c.TopP)
	set(&p.TopK, c.TopK)
	set(&p.MinP, c.MinP)
	set(&p.PresencePenalty, c.PresencePenalty)
	set(&p.FrequencyPenalty, c.FrequencyPenalty)
	set(&p.RepeatPenalty, c.RepeatPenalty)
	set(&p.RepeatLast, c.RepeatLast)
	set(&p.NumKeep, c.NumKeep)
	set(&p.Seed, c.Seed)
	switch {
	case p.Seed != 0:
	case c.Seed != nil: // 0 is a seed to clients, and none to engines
		p.Seed = seedZero
	default: // all that may answer draw alike
		p.Seed = rand.Uint32()
	}
	var err error
	p.Schema = c.Format
	switch string(c.Format) {
	case "":
	case `"json"`:
		p.Grammar = grammar.JSON()
	default:
		if p.Grammar, err = grammar.FromSchema(c.Format); err != nil {
			err = &api.Error{Status: http.StatusBadRequest, Code: "invalid_request", Message: err.Error()}
		}
	}
	return p, err
}

// set takes what the client said, if it did.
func set[T any](to *T, said *T) {
	if said != nil {
		*to = *said
	}
}

// refusal is what a client is told when admission does not let it in.
func refusal(v decide.Verdict) error {
	reason := fmt.Sprintf("policy %s, reason %d", v.By.Policy, v.Reason)
	if v.Action == abi.Reject {
		return &api.Error{Status: http.StatusForbidden, Code: "rejected", Message: "admission does not allow this request (" + reason + ")"}
	}
	return &api.Error{Status: http.StatusTooManyRequests, Code: "overloaded", RetryAfter: v.Wait,
		Message: "this node is full; try again later (" + reason + ")"}
}

// noPick says why nobody can answer: nobody has the model, or nobody may.
func (n *Node) noPick(s *catalog.Snapshot, m catalog.ModelID) error {
	if len(s.Holders(m)) > 0 {
		return &api.Error{Status: http.StatusServiceUnavailable, Code: "no_candidate", RetryAfter: time.Second,
			Message: fmt.Sprintf("no node can take a request for model %s now; try again later", m)}
	}
	for _, own := range n.engine.Models() {
		if own.ID == m && own.Err != "" {
			return &api.Error{Status: http.StatusServiceUnavailable, Code: "model_not_ready",
				Message: fmt.Sprintf("this node has model %s but cannot use it: %s", m, own.Err)}
		}
	}
	for _, known := range s.Nodes {
		if !known.Up && slices.ContainsFunc(known.Placements, func(p catalog.Placement) bool { return p.Model == m }) {
			return &api.Error{Status: http.StatusServiceUnavailable, Code: "no_candidate", RetryAfter: time.Second,
				Message: fmt.Sprintf("no node that has model %s is up now; try again later", m)}
		}
	}
	return &api.Error{Status: http.StatusNotFound, Code: "model_not_found",
		Message: fmt.Sprintf("no node of this mesh that is up has a model named %s; GET /v1/models lists those there are", m)}
}

func policyName(s decide.Source) string {
	if s.Digest == [32]byte{} {
		return s.Policy
	}
	var digits [12]byte
	hex.Encode(digits[:], s.Digest[:len(digits)/2])
	return s.Policy + "@" + string(digits[:])
}
