package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"omx/node/api"
	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/engine"
	"omx/node/engine/grammar"
	"omx/node/events"
	"omx/policies/abi"
)

var (
	// errSlow ends a try whose first token takes too long.
	errSlow = errors.New("no token in time")
	// errLate ends a request whose answer has not begun by its deadline.
	errLate = errors.New("the answer did not begin by the deadline")
)

// Chat answers a client's request, here or on another node: admission, routing,
// then the picks in their order until one delivers a first token.
func (n *Node) Chat(ctx context.Context, c *api.Chat, reply api.Reply) (api.Result, error) {
	asked, err := prompt(c)
	if err != nil {
		return api.Result{}, err
	}
	a := &answer{node: n, reply: reply, arrived: c.Arrived}
	err = n.run(ctx, a, c, &wireRequest{Prompt: asked, Said: said(c)})
	return a.result(), err
}

// run has a request answered, here or on another node.
func (n *Node) run(ctx context.Context, a *answer, c *api.Chat, w *wireRequest) error {
	now, snap := n.now(), n.table.Snapshot()
	req := n.request(c)
	w.chain.of(&w.Prompt)
	w.chain.blocks(&req)
	if v := n.decider.Admit(now, snap, &req); v.Action >= abi.Shed {
		n.emit(events.RequestShed, n.id, c.Model, uint64(v.Wait.Microseconds()), 0)
		return refusal(v)
	}

	var picks decide.Picks
	began := time.Now()
	n.decider.Route(now, snap, &req, &picks)
	took := time.Since(began)
	if picks.N == 0 {
		return n.noPick(snap, c.Model)
	}

	a.picks, w.Keep = &picks, c.KeepAlive
	w.ID, w.Tenant, w.Priority, w.Class, w.PromptTokens = req.ID, req.Tenant, req.Priority, req.Class, req.Prompt
	tries := 0
	var err error
	for i := range picks.List() {
		pick := &picks.Pick[i]
		tries++
		req.Attempt = w.Attempt
		if err = n.try(ctx, a, &req, pick, w); err == nil || a.begun || ctx.Err() != nil || isFinal(err) {
			break
		}
		w.Attempt++
		n.log.Debug("trying the next node", "request", req.ID, "failed", pick.Node.Short(), "why", err)
		n.emit(events.Failover, pick.Node, c.Model, uint64(tries), 0)
	}
	n.ended(picks.ID, a.outcome(tries, took, err), time.Since(c.Arrived))
	if err == nil {
		n.emit(events.RequestDone, a.by, c.Model, uint64(a.ttft.Microseconds()), uint64(a.usage.OutputTokens))
	} else {
		n.emit(events.RequestFailed, a.by, c.Model, uint64(time.Since(a.arrived).Microseconds()), 0)
	}
	return apiError(ctx, err)
}

// answer is what becomes of one request: it passes tokens on to the client and
// remembers who answered and when the first came.
type answer struct {
	node    *Node
	reply   api.Reply // nil: what comes is kept
	arrived time.Time
	picks   *decide.Picks
	by      catalog.NodeID // who is answering
	first   func()         // called at the first token of a try
	begun   bool           // the client has seen something: no other node may answer
	ttft    time.Duration
	usage   engine.Usage
	vectors [][]float32
}

// token hands one piece of the answer to the client.
func (a *answer) token(t engine.Token) error {
	if !a.begun {
		a.begun, a.ttft = true, time.Since(a.arrived)
		a.first()
		if err := a.begin(); err != nil {
			return err
		}
	}
	return a.reply.Token(apiToken(t))
}

// vector keeps one: a client gets all at once.
func (a *answer) vector(v []float32) error {
	a.vectors = append(a.vectors, v)
	return nil
}

func (a *answer) begin() error {
	if a.reply == nil {
		return nil
	}
	return a.reply.Begin(a.meta())
}

func (a *answer) meta() api.Meta {
	return api.Meta{Node: a.by, NodeName: a.node.nameOf(a.by), Decision: strconv.FormatUint(a.picks.ID, 10), Policy: policyName(a.picks.By), TTFT: a.ttft}
}

func (a *answer) result() api.Result {
	u := a.usage
	return api.Result{PromptTokens: u.PromptTokens, CachedTokens: u.CachedTokens, OutputTokens: u.OutputTokens, Finish: string(u.Finish),
		Stop: u.Stop, Calls: apiCalls(u.Calls), QueueWait: u.QueueWait, TTFT: a.ttft, Total: time.Since(a.arrived)}
}

func (a *answer) outcome(tries int, took time.Duration, err error) decide.Outcome {
	o := decide.Outcome{Done: true, Node: a.by, Tries: tries, Took: took, TTFT: a.ttft, Tokens: a.usage.OutputTokens}
	if err != nil {
		o.Err = err.Error()
	}
	return o
}

// try runs the request on one node.
func (n *Node) try(ctx context.Context, a *answer, req *decide.Request, pick *decide.Pick, w *wireRequest) error {
	tctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	wait := n.cfg.FirstToken
	if req.Deadline > 0 {
		w.Deadline = max(req.Deadline-n.now(), 1)
		wait = min(wait, time.Duration(w.Deadline)*time.Microsecond)
	}
	timer := time.AfterFunc(wait, func() { cancel(errSlow) })
	defer timer.Stop()
	began, first := time.Now(), time.Duration(0)
	a.by, a.first = pick.Node, func() {
		timer.Stop()
		first = time.Since(began)
		n.decider.First(n.now(), req, pick, catalog.Micros(first.Microseconds()))
	}

	n.decider.Sent(n.now(), req, pick)
	var err error
	a.vectors = nil
	if pick.Self {
		a.usage, err = n.work(tctx, w, a)
	} else {
		a.usage, err = n.askPeer(tctx, pick.Node, w, a)
	}
	if errors.Is(context.Cause(tctx), errSlow) {
		err = errSlow
		if req.Deadline > 0 && n.now() >= req.Deadline {
			err = errLate
		}
	}
	failed := err != nil && ctx.Err() == nil && isFault(err)
	n.decider.Ended(n.now(), req, pick, ended(began, first, a.usage.OutputTokens, failed))
	if failed && !pick.Self {
		n.table.SetSuspect(pick.Node, true)
		n.table.Publish()
		n.emit(events.PeerSuspect, pick.Node, catalog.ModelID{}, 0, 0)
	}
	if err == nil && !a.begun { // an answer without a token: the client still needs its beginning
		a.begun, a.ttft = true, time.Since(a.arrived)
		return a.begin()
	}
	return err
}

// ended is how a try went that began at a moment and took until now.
func ended(began time.Time, first time.Duration, output int, failed bool) decide.End {
	return decide.End{Failed: failed, Busy: first == 0 && !failed && output == 0, First: catalog.Micros(first.Microseconds()),
		Took: catalog.Micros(time.Since(began).Microseconds()), Output: uint32(max(output, 0))}
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

// prompt is the engine's form of a client's request.
func prompt(c *api.Chat) (engine.Prompt, error) {
	p := engine.Prompt{Model: c.Model, Scope: c.Tenant.Handle(), Raw: c.Raw, MaxTokens: c.MaxTokens, Stop: c.Stop, Temperature: 0.8, TopP: 0.95, TopK: 40}
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
	set(&p.Seed, c.Seed)
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
