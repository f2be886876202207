package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"omx/node/catalog"
	"omx/node/engine/worker"
)

// ModelFile is a model to serve.
type ModelFile struct {
	ID   catalog.ModelID
	Path string // of a GGUF file
}

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
	models []*served
	cancel context.CancelFunc
	wg     sync.WaitGroup
	closed sync.Once
}

// NewLocal checks the configuration; nothing is read or started before Start.
func NewLocal(cfg LocalConfig) (*Local, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Local{cfg: cfg, cancel: func() {}}
	for _, m := range cfg.Models {
		l.models = append(l.models, newServed(&l.cfg, m))
	}
	return l, nil
}

// Start begins to load the models and returns at once; Models shows how far they
// are, and requests wait meanwhile. The values of ctx are kept, its end is not:
// Close ends what Start began.
func (l *Local) Start(ctx context.Context) error {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	for _, m := range l.models {
		l.wg.Go(func() { m.run(run) })
	}
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
	for _, m := range l.models {
		if m.file.ID == id {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%w: %s is not one of this node's", ErrNoModel, id)
}

// Models implements Engine.
func (l *Local) Models() []Status {
	all := make([]Status, len(l.models))
	for i, m := range l.models {
		all[i] = m.status()
	}
	return all
}

// Close implements Engine. It may be called more than once, and before Start.
func (l *Local) Close() error {
	l.closed.Do(func() {
		for _, m := range l.models {
			m.gate.close(fmt.Errorf("%w: the engine is closed", ErrLost))
		}
		l.cancel()
		l.wg.Wait()
	})
	return nil
}
