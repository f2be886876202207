package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"omx/node/catalog"
	"omx/node/engine/frame"
	"omx/node/engine/worker"
)

// ModelFile is a model to serve.
type ModelFile struct {
	ID     catalog.ModelID
	Path   string // of a GGUF file
	Digest string // SHA-256 of the file, hex; "" has it found
	// Adapters are LoRA adapters to put onto the model.
	Adapters []Adapter
	// Preload has it loaded from the start, not when the first request comes.
	Preload bool
	// Pin keeps it in memory, once loaded, whatever other models need.
	Pin bool
	// Keep is how long it stays loaded when nobody asks; 0 as the engine is
	// configured, below 0 for good.
	Keep time.Duration
}

// Adapter is a LoRA adapter.
type Adapter = frame.Adapter

// LocalConfig says what Local runs and how. The zero value of a field means its
// default.
type LocalConfig struct {
	// Models are served in this order; at most 64.
	Models []ModelFile
	// LibraryDirs are searched in order for the engine libraries.
	LibraryDirs []string
	// Exe is the program that is started as a worker; default this one.
	Exe string
	// WorkerArgs are its arguments; default "worker". It must call RunWorker.
	WorkerArgs []string
	// Slots is how many requests of one model run at once; default 4, at most 64.
	Slots int
	// QueueLimit is how many more may wait per model; default 64.
	QueueLimit int
	// ContextTokens is the room of one request, prompt and answer, in tokens;
	// default 2048. A model made for less gets less.
	ContextTokens int
	// Threads of one model; default one per physical core.
	Threads int
	// Memory is how many bytes the models that are loaded may take together, as
	// estimated; 0: no limit.
	Memory int64
	// KeepAlive is how long a model stays loaded when nobody asks; default 5 minutes,
	// below 0 for good.
	KeepAlive time.Duration
	// StateDir is a folder for what models remember of conversations while they are
	// unloaded: it takes the place of reading them again. It is emptied by Start and
	// Close. "": nothing is kept.
	StateDir string
	// NoGPU leaves GPUs alone. Otherwise as many layers as fit go there, and the rest
	// stays in the machine's own memory.
	NoGPU bool
	// HangTimeout is for how long a worker may say nothing while it has requests,
	// before it is ended and started again; default 2 minutes.
	HangTimeout time.Duration
	// Log gets what an operator should know; default discards.
	Log *slog.Logger
}

// Validate lists all that is wrong at once.
func (c *LocalConfig) Validate() error {
	var errs []error
	within := func(what string, v, low, high int) {
		if v < low || v > high {
			errs = append(errs, fmt.Errorf("engine: %s must be between %d and %d, not %d", what, low, high, v))
		}
	}
	within("slots", c.Slots, 1, worker.MaxSlots)
	within("queue limit", c.QueueLimit, 1, 1<<16)
	within("context tokens", c.ContextTokens, 16, 1<<20)
	within("threads", c.Threads, 0, 1024)
	within("number of models", len(c.Models), 0, maxModels)
	if c.Memory < 0 || c.HangTimeout < 0 {
		errs = append(errs, errors.New("engine: memory and hang timeout must not be below 0"))
	}
	seen := map[catalog.ModelID]bool{}
	for _, m := range c.Models {
		if m.ID.IsZero() {
			errs = append(errs, fmt.Errorf("engine: model file %s has no name", m.Path))
		} else if seen[m.ID] {
			errs = append(errs, fmt.Errorf("engine: model %s is configured twice", m.ID))
		}
		seen[m.ID] = true
	}
	return errors.Join(errs...)
}

func (c LocalConfig) withDefaults() (LocalConfig, error) {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.Slots, 4)
	def(&c.QueueLimit, 64)
	def(&c.ContextTokens, 2048)
	if c.KeepAlive == 0 {
		c.KeepAlive = defaultKeepAlive
	}
	if c.HangTimeout == 0 {
		c.HangTimeout = defaultHang
	}
	if c.Exe == "" {
		var err error
		if c.Exe, err = os.Executable(); err != nil {
			return c, fmt.Errorf("find this program: %w", err)
		}
	}
	if len(c.WorkerArgs) == 0 {
		c.WorkerArgs = []string{"worker"}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, c.Validate()
}

// Local runs models in worker processes on this machine.
type Local struct {
	cfg    LocalConfig
	memory *budget
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.RWMutex
	models []*served // in the order they were configured or added
	run    context.Context
	closed bool
}

// NewLocal checks the configuration; nothing is read or started before Start.
func NewLocal(cfg LocalConfig) (*Local, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Local{cfg: cfg, memory: newBudget(cfg.Memory), cancel: func() {}}
	for _, m := range cfg.Models {
		l.models = append(l.models, newServed(&l.cfg, l.memory, m))
	}
	return l, nil
}

// Start begins to load the models that are to be preloaded and returns at once;
// Models shows how far they are, and requests wait meanwhile. The values of ctx are
// kept, its end is not: Close ends what Start began.
func (l *Local) Start(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.clearState(); err != nil {
		return err
	}
	l.run, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, m := range l.models {
		l.begin(m)
	}
	return nil
}

// begin runs a model until it is removed or the engine is closed.
func (l *Local) begin(m *served) {
	ctx, stop := context.WithCancel(l.run)
	m.stop = stop
	l.wg.Go(func() {
		defer stop()
		m.run(ctx)
	})
}

// Add serves one more model. One of the same name and file is left as it is; of
// another file it is replaced, once its requests have ended.
func (l *Local) Add(f ModelFile) error {
	if f.ID.IsZero() {
		return errors.New("a model needs a name")
	}
	for {
		l.mu.Lock()
		old := l.lookup(f.ID)
		switch {
		case l.closed || l.run == nil:
			l.mu.Unlock()
			return fmt.Errorf("%w: the engine is closed", ErrLost)
		case old != nil && old.file.Path == f.Path && old.file.Digest == f.Digest && slices.Equal(old.file.Adapters, f.Adapters):
			l.mu.Unlock()
			return nil
		case old == nil && len(l.models) >= maxModels:
			l.mu.Unlock()
			return fmt.Errorf("this node has %d models already, as many as it can; remove one first", maxModels)
		case old == nil:
			m := newServed(&l.cfg, l.memory, f)
			l.models = append(l.models, m)
			l.begin(m)
			l.mu.Unlock()
			return nil
		}
		l.mu.Unlock()
		l.Remove(f.ID)
	}
}

// Remove serves a model no more: its requests end with ErrLost. It returns once its
// worker has ended, false if there is no such model.
func (l *Local) Remove(id catalog.ModelID) bool {
	l.mu.Lock()
	m := l.lookup(id)
	if m == nil {
		l.mu.Unlock()
		return false
	}
	l.models = slices.DeleteFunc(l.models, func(x *served) bool { return x == m })
	l.mu.Unlock()
	m.stop()
	<-m.ended
	return true
}

// Load makes a model ready and returns when it is. It is kept for keep after its last
// request; nil as it was, below 0 for good.
func (l *Local) Load(ctx context.Context, id catalog.ModelID, keep *time.Duration) error {
	m, err := l.find(id)
	if err != nil {
		return err
	}
	m.want(keep)
	return m.gate.pass(ctx)
}

// Unload frees a model's memory once nobody uses it; the next request loads it again.
func (l *Local) Unload(id catalog.ModelID) error {
	m, err := l.find(id)
	if err != nil {
		return err
	}
	m.giveWay()
	return nil
}

// Keep changes how long a model is kept after its last request, without loading it.
func (l *Local) Keep(id catalog.ModelID, keep time.Duration) error {
	m, err := l.find(id)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.keep = keep
	m.mu.Unlock()
	m.poke()
	return nil
}

// Generate implements Engine.
func (l *Local) Generate(ctx context.Context, p *Prompt, emit func(Token) error) (Usage, error) {
	if err := p.check(); err != nil {
		return Usage{}, err
	}
	m, err := l.find(p.Model)
	if err != nil {
		return Usage{}, err
	}
	return m.generate(ctx, p, emit)
}

func (l *Local) find(id catalog.ModelID) (*served, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if m := l.lookup(id); m != nil {
		return m, nil
	}
	if l.closed {
		return nil, fmt.Errorf("%w: the engine is closed", ErrLost)
	}
	return nil, fmt.Errorf("%w: %s is not one of this node's", ErrNoModel, id)
}

func (l *Local) lookup(id catalog.ModelID) *served {
	for _, m := range l.models {
		if m.file.ID == id {
			return m
		}
	}
	return nil
}

// Models implements Engine.
func (l *Local) Models() []Status {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make([]Status, len(l.models))
	for i, m := range l.models {
		all[i] = m.status()
	}
	return all
}

// Close implements Engine. It may be called more than once, and before Start.
func (l *Local) Close() error {
	l.mu.Lock()
	l.closed = true
	models := l.models
	l.mu.Unlock()
	for _, m := range models {
		m.gate.close(fmt.Errorf("%w: the engine is closed", ErrLost))
	}
	l.cancel()
	l.wg.Wait()
	return l.clearState()
}

// clearState removes what models remember: it holds for this run only, since files
// that a crash has torn would make answers wrong.
func (l *Local) clearState() error {
	if l.cfg.StateDir == "" {
		return nil
	}
	if err := os.RemoveAll(l.cfg.StateDir); err != nil {
		return fmt.Errorf("remove saved conversations: %w", err)
	}
	return nil
}
