package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"omx/node/catalog"
	"omx/node/engine/text"
)

// SimConfig says what a Sim pretends to be. The zero value of a field means its
// default.
type SimConfig struct {
	// Models are those it answers for; Load, Speed, Context and State are its own.
	Models []Status
	// Slots is how many requests of one model run at once; default 4.
	Slots int
	// QueueLimit is how many more may wait per model; default 64.
	QueueLimit int
	// ContextTokens is the room of one request; default 2048.
	ContextTokens int
	// Prefill is the time for one prompt token, Decode for one output token;
	// default none at all.
	Prefill, Decode time.Duration
	// Output is the length of every answer in tokens; default: 4 to 67, as the
	// prompt decides.
	Output int
	// Seed changes all answers.
	Seed uint64
}

// Sim answers without a model: output token i is a function of the seed, the
// prompt and i alone, and its pace is set. It waits by timers only, so it keeps
// to virtual time where there is one.
type Sim struct {
	cfg    SimConfig
	models []*simModel
	closed chan struct{}
	once   sync.Once
}

type simModel struct {
	Status
	gate *gate
	ran  atomic.Bool
}

// NewSim returns a running engine; it has no goroutines of its own.
func NewSim(cfg SimConfig) (*Sim, error) {
	for _, f := range []struct {
		v   *int
		def int
	}{{&cfg.Slots, 4}, {&cfg.QueueLimit, 64}, {&cfg.ContextTokens, 2048}} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	if cfg.Slots < 0 || cfg.QueueLimit < 0 || cfg.ContextTokens < 2 || cfg.Prefill < 0 || cfg.Decode < 0 || cfg.Output < 0 || len(cfg.Models) > maxModels {
		return nil, errors.New("simulated engine: a figure is out of range")
	}
	s := &Sim{cfg: cfg, closed: make(chan struct{})}
	for _, m := range cfg.Models {
		m.State, m.Context = catalog.Loaded, cfg.ContextTokens
		g := newGate(cfg.Slots, cfg.QueueLimit)
		g.set(true)
		s.models = append(s.models, &simModel{Status: m, gate: g})
	}
	return s, nil
}

// Generate implements Engine.
func (s *Sim) Generate(ctx context.Context, p *Prompt, emit func(Token) error) (u Usage, err error) {
	began := time.Now()
	defer func() { u.Total = time.Since(began) }()
	if err := p.check(); err != nil {
		return u, err
	}
	m := s.model(p.Model)
	if m == nil {
		return u, fmt.Errorf("%w: %s is not one of this node's", ErrNoModel, p.Model)
	}
	u.PromptTokens = simTokens(p)
	if limit := s.cfg.ContextTokens - 1; u.PromptTokens > limit {
		return u, fmt.Errorf("%w: it has %d tokens, at most %d are possible here", ErrTooLong, u.PromptTokens, limit)
	}
	if err := m.gate.enter(ctx, p.claim()); err != nil {
		u.QueueWait = time.Since(began)
		return u, err
	}
	defer m.gate.leave()
	u.QueueWait = time.Since(began)
	defer m.ran.Store(true)

	seed := s.seed(p)
	natural := s.cfg.Output
	if natural == 0 {
		natural = 4 + int(simHash(seed, ^uint64(0))%64)
	}
	room := s.cfg.ContextTokens - u.PromptTokens
	limit := room
	if p.Shift {
		limit = ShiftContexts * s.cfg.ContextTokens
	}
	if p.MaxTokens > 0 {
		limit = min(limit, p.MaxTokens)
	}
	u.Finish = FinishStop
	if limit < natural {
		natural, u.Finish = limit, FinishLength
	}
	var begun Begun
	if p.Begun != nil {
		begun = *p.Begun
	}
	if begun.Tokens >= room && begun.Tokens < limit {
		return u, fmt.Errorf("%w: an answer whose context has shifted cannot be gone on with", ErrCannot)
	}
	start := time.Now().Add(time.Duration(u.PromptTokens+begun.Tokens) * s.cfg.Prefill)
	// What has been said elsewhere is said again to the buffer, but not given.
	buf, pending, said := text.New(p.Stop), -begun.Tokens, len(begun.Text)
	give := func(out string) error {
		known := min(said, len(out))
		said, out = said-known, out[known:]
		if out == "" {
			return nil
		}
		if u.TTFT == 0 {
			u.TTFT = time.Since(began)
		}
		n := max(pending, 0)
		pending -= n
		return emit(Token{Text: out, N: n})
	}
	for i := range natural {
		if err := s.wait(ctx, start.Add(time.Duration(i+1-begun.Tokens)*s.cfg.Decode)); err != nil {
			return u, err
		}
		u.OutputTokens++
		pending++
		out, stopped := buf.Add([]byte(simWords[simHash(seed, uint64(i))%uint64(len(simWords))]))
		if err := give(out); err != nil {
			return u, err
		}
		if stopped {
			u.Finish = FinishStop
			return u, nil
		}
	}
	return u, give(buf.Flush())
}

// wait waits until a moment.
func (s *Sim) wait(ctx context.Context, until time.Time) error {
	var due <-chan time.Time
	if d := time.Until(until); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		due = timer.C
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closed:
			return fmt.Errorf("%w: the engine is closed", ErrLost)
		default:
		}
		if due == nil {
			return nil
		}
		select {
		case <-due:
			return nil
		case <-ctx.Done():
		case <-s.closed:
		}
	}
}

func (s *Sim) model(id catalog.ModelID) *simModel {
	for _, m := range s.models {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// Models implements Engine.
func (s *Sim) Models() []Status {
	all := make([]Status, len(s.models))
	for i, m := range s.models {
		all[i] = m.Status
		all[i].Load = m.gate.load()
		if m.ran.Load() {
			all[i].Speed = catalog.Speed{PrefillNS: uint32(max(s.cfg.Prefill, 1)), DecodeUS: uint32(max(s.cfg.Decode.Microseconds(), 1))}
		}
	}
	return all
}

// Close implements Engine.
func (s *Sim) Close() error {
	s.once.Do(func() {
		for _, m := range s.models {
			m.gate.close(fmt.Errorf("%w: the engine is closed", ErrLost))
		}
		close(s.closed)
	})
	return nil
}

// simTokens counts four bytes as a token and four tokens for each turn.
func simTokens(p *Prompt) int {
	n := (len(p.Raw) + 3) / 4
	for i := range p.Messages {
		n += 4 + (len(p.Messages[i].Content)+3)/4
	}
	return n
}

// seed is of all that decides an answer.
func (s *Sim) seed(p *Prompt) uint64 {
	seed := simText(simText(s.cfg.Seed, ""), p.Raw)
	for i := range p.Messages {
		seed = simText(simText(seed, p.Messages[i].Role), p.Messages[i].Content)
	}
	if p.Temperature > 0 {
		seed = simHash(seed, uint64(p.Seed)+1)
	}
	return seed
}

// simText goes on with a hash by a text and its length (FNV-1a).
func simText(h uint64, text string) uint64 {
	h ^= 14695981039346656037
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return simHash(h, uint64(len(text)))
}

// simHash is the i-th number of splitmix64 begun at seed.
func simHash(seed, i uint64) uint64 {
	x := seed + (i+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

var simWords = [...]string{" time", " work", " node", " field", " stone", " a", " the", " of", " river", " light", " café", " and", ".", " house", " keeps", " runs"}
