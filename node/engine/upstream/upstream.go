package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"omx/node/catalog"
	"omx/node/engine"
)

// server is how a server is asked, by one API.
type server interface {
	list(ctx context.Context) ([]found, error)
	generate(ctx context.Context, m found, p *engine.Prompt, a *answer) error
	embed(ctx context.Context, m found, r *engine.EmbedRequest) ([][]float32, int, error)
	count(ctx context.Context, m found, p *engine.Prompt) (int, error)
}

// found is a model as its server tells of it.
type found struct {
	name    string // there
	bytes   int64
	context int
	slots   int // requests that the server answers at once; 0: it does not say
	details engine.Details
}

// model is one that is listed.
type model struct {
	id      catalog.ModelID
	missing bool // it is asked for, but the server does not have it
	found
	speed *speed
}

// Upstream is an engine.Engine.
type Upstream struct {
	cfg    *settings
	caller *caller
	gate   engine.Gate
	run    context.Context // ends when this is closed
	cancel context.CancelFunc
	wg     sync.WaitGroup
	closed sync.Once
	doubt  chan struct{} // a request found that the server may be gone
	heard  atomic.Int64  // when the last piece of an answer came, Unix ns

	mu      sync.Mutex
	api     server // nil until it is known
	models  []model
	down    error // why it cannot be asked
	skipped map[string]bool
}

var errClosed = fmt.Errorf("%w: the engine is closed", engine.ErrLost)

// New checks the configuration; nobody is asked before Start.
func New(cfg Config) (*Upstream, error) {
	s, err := cfg.read()
	if err != nil {
		return nil, err
	}
	c := newCaller(s)
	run, cancel := context.WithCancel(context.Background())
	u := &Upstream{cfg: s, caller: c, gate: engine.NewGate(cmp.Or(s.Slots, defaultSlots), s.QueueLimit), run: run, cancel: cancel, doubt: make(chan struct{}, 1),
		down: fmt.Errorf("upstream %s has not answered yet", s.base), skipped: map[string]bool{}}
	for _, n := range s.names {
		u.models = append(u.models, model{id: n.id, found: found{name: n.theirs}, speed: new(speed)})
	}
	return u, nil
}

// Start begins to ask the server about its models, and returns at once. The end
// of ctx does not end that: Close does.
func (u *Upstream) Start(context.Context) error {
	if u.cfg.clear() && (u.cfg.Key != "" || u.cfg.KeyFile != "") {
		u.cfg.Log.Warn("the upstream's key can be read on the way to it; use https", "upstream", u.cfg.base)
	}
	u.wg.Go(func() { u.watch(u.run) })
	return nil
}

// usable is a model that can be asked for, and how.
func (u *Upstream) usable(id catalog.ModelID) (server, model, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch i := u.index(id); {
	case u.run.Err() != nil:
		return nil, model{}, errClosed
	case i < 0:
		return nil, model{}, fmt.Errorf("%w: %s is not one of upstream %s", engine.ErrNoModel, id, u.cfg.base)
	case u.why(&u.models[i]) != nil:
		return nil, model{}, fmt.Errorf("%w: %w", engine.ErrNoModel, u.why(&u.models[i]))
	default:
		return u.api, u.models[i], nil
	}
}

func (u *Upstream) index(id catalog.ModelID) int {
	for i := range u.models {
		if u.models[i].id == id {
			return i
		}
	}
	return -1
}

// why tells why a model cannot be used.
func (u *Upstream) why(m *model) error {
	if u.down == nil && m.missing {
		return fmt.Errorf("upstream %s has no model named %s", u.cfg.base, clean(m.name))
	}
	return u.down
}

// begin lets a request in; end must follow. The context ends with the request,
// with this engine, and when nothing comes for too long, and its cause says so.
func (u *Upstream) begin(ctx context.Context, c engine.Claim) (run context.Context, watch *time.Timer, end func(), err error) {
	if err := u.gate.Enter(ctx, c); err != nil {
		return nil, nil, nil, err
	}
	run, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(u.run, func() { cancel(errClosed) })
	watch = time.AfterFunc(u.cfg.Timeouts.First, func() {
		cancel(fmt.Errorf("%w: upstream %s has sent nothing new for too long", engine.ErrLost, u.cfg.base))
	})
	return run, watch, func() {
		watch.Stop()
		stop()
		cancel(nil)
		u.gate.Leave()
	}, nil
}

// Generate implements engine.Engine.
func (u *Upstream) Generate(ctx context.Context, p *engine.Prompt, emit func(engine.Token) error) (engine.Usage, error) {
	began := time.Now()
	if err := p.Check(); err != nil {
		return engine.Usage{}, err
	}
	if p.Begun != nil { // no server's API has a way to go on and be sure that nothing is said twice
		return engine.Usage{}, fmt.Errorf("%w: another server's model does not go on with an answer", engine.ErrCannot)
	}
	api, m, err := u.usable(p.Model)
	if err != nil {
		return engine.Usage{}, err
	}
	run, watch, end, err := u.begin(ctx, p.Place())
	if err != nil {
		return engine.Usage{QueueWait: time.Since(began), Total: time.Since(began)}, err
	}
	defer end()
	a := newAnswer(run, p, emit, began, watch, u.cfg.Timeouts.Idle, &u.heard)
	err = api.generate(run, m.found, p, a)
	if err == nil {
		err = a.finish()
	}
	a.measure(m.speed)
	a.usage.Total = time.Since(began)
	switch {
	case a.gone != nil:
		return a.usage, a.gone
	case errors.Is(err, errStopped):
		return a.usage, nil
	}
	return a.usage, u.fault(ctx, run, err)
}

// fault is an error as engines tell it.
func (u *Upstream) fault(ctx, run context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case run.Err() != nil:
		return context.Cause(run)
	case known(err):
		return err
	}
	select { // whether the server is there at all
	case u.doubt <- struct{}{}:
	default:
	}
	return fmt.Errorf("%w: upstream %s: %w", engine.ErrLost, u.cfg.base, err)
}

// known reports errors that are in the engine's words already.
func known(err error) bool {
	for _, e := range []error{engine.ErrNoModel, engine.ErrBusy, engine.ErrLost, engine.ErrTooLong, engine.ErrBadPrompt, engine.ErrCannot} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Embed implements engine.Engine.
func (u *Upstream) Embed(ctx context.Context, r *engine.EmbedRequest) (e engine.Embeddings, err error) {
	began := time.Now()
	if err := r.Check(); err != nil {
		return e, err
	}
	api, m, err := u.usable(r.Model)
	if err != nil {
		return e, err
	}
	run, _, end, err := u.begin(ctx, r.Claim)
	if err != nil {
		return e, err
	}
	defer end()
	e.QueueWait = time.Since(began)
	e.Vectors, e.PromptTokens, err = api.embed(run, m.found, r)
	if err == nil {
		err = check(e.Vectors, len(r.Input), r.Query != "")
	}
	e.PromptTokens = tokens(e.PromptTokens)
	e.Total = time.Since(began)
	return e, u.fault(ctx, run, err)
}

// check looks whether vectors are what was asked for, and makes their length 1.
func check(vectors [][]float32, want int, scores bool) error {
	if len(vectors) != want {
		return fmt.Errorf("%w: %d vectors for %d texts", errGarbage, len(vectors), want)
	}
	for _, v := range vectors {
		sum := 0.0
		for _, x := range v {
			sum += float64(x) * float64(x)
		}
		if len(v) == 0 || len(v) > maxVector || len(v) != len(vectors[0]) || scores && len(v) != 1 || math.IsNaN(sum) || math.IsInf(sum, 0) {
			return fmt.Errorf("%w: a vector of %d numbers", errGarbage, len(v))
		}
		for i := range v {
			if !scores && sum > 0 {
				v[i] = float32(float64(v[i]) / math.Sqrt(sum))
			}
		}
	}
	return nil
}

// Count implements engine.Engine.
func (u *Upstream) Count(ctx context.Context, p *engine.Prompt) (int, error) {
	if err := p.Check(); err != nil {
		return 0, err
	}
	api, m, err := u.usable(p.Model)
	if err != nil {
		return 0, err
	}
	run, cancel := context.WithTimeout(ctx, u.cfg.Timeouts.Check)
	defer cancel()
	defer context.AfterFunc(u.run, cancel)()
	n, err := api.count(run, m.found, p)
	if err != nil && ctx.Err() == nil && u.run.Err() != nil {
		return 0, errClosed
	}
	if err != nil && ctx.Err() == nil && run.Err() != nil {
		return 0, fmt.Errorf("%w: upstream %s does not count tokens in time", engine.ErrLost, u.cfg.base)
	}
	return n, u.fault(ctx, run, err)
}

// Models implements engine.Engine. All show the load of the whole server, as far
// as it comes from here.
func (u *Upstream) Models() []engine.Status {
	load := u.gate.Load()
	u.mu.Lock()
	defer u.mu.Unlock()
	all := make([]engine.Status, len(u.models))
	for i := range u.models {
		m := &u.models[i]
		all[i] = engine.Status{ID: m.id, Bytes: m.bytes, State: catalog.Loaded, Load: load, Speed: m.speed.now(), Context: m.context, Details: m.details}
		if err := u.why(m); err != nil {
			all[i].State, all[i].Err = catalog.OnDisk, err.Error()
		}
	}
	return all
}

// Close implements engine.Engine. It may be called more than once, and before
// Start.
func (u *Upstream) Close() error {
	u.closed.Do(func() {
		u.cancel()
		u.gate.Close(errClosed)
		u.wg.Wait()
		u.caller.client.CloseIdleConnections()
	})
	return nil
}
