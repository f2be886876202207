package monitor

import (
	"context"
	"errors"
	"fmt"
	"runtime/metrics"
	"sync"
	"time"
)

// Config of a Monitor. The zero value is usable.
type Config struct {
	Dir        string        // whose file system to watch; empty means the current folder
	LightEvery time.Duration // 100 ms to 1 min; 0 means DefaultLight
	FullEvery  time.Duration // LightEvery to 1 h; 0 means DefaultFull
}

const (
	// DefaultLight: decisions that look at load want it no older than about the
	// time a request takes.
	DefaultLight = time.Second
	// DefaultFull: totals and free disk change slowly, and whoever has just
	// written a model to disk can ask for a sample.
	DefaultFull = time.Minute
)

func (c *Config) setDefaults() {
	if c.Dir == "" {
		c.Dir = "."
	}
	if c.LightEvery == 0 {
		c.LightEvery = DefaultLight
	}
	if c.FullEvery == 0 {
		c.FullEvery = max(DefaultFull, c.LightEvery)
	}
}

// Validate lists every field out of range.
func (c Config) Validate() error {
	c.setDefaults()
	var errs []error
	if c.LightEvery < 100*time.Millisecond || c.LightEvery > time.Minute {
		errs = append(errs, fmt.Errorf("light sample every %v: choose 100ms to 1m", c.LightEvery))
	}
	if c.FullEvery < c.LightEvery || c.FullEvery > time.Hour {
		errs = append(errs, fmt.Errorf("full sample every %v: choose %v, the light one's, to 1h", c.FullEvery, c.LightEvery))
	}
	return errors.Join(errs...)
}

// Monitor samples and publishes. Make one with New, run it with Run, end it
// with Close. All methods may be called from several goroutines.
type Monitor struct {
	cfg Config
	pub published

	mu   sync.Mutex // one sample at a time
	cur  Reading
	src  source
	rt   [2]metrics.Sample
	done bool
}

// New opens what it will read and takes one full sample. What cannot be read
// here is left out of Reading.Known; only a configuration out of range and a
// folder that cannot be opened are errors.
func New(cfg Config) (*Monitor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure monitor: %w", err)
	}
	cfg.setDefaults()
	m := &Monitor{cfg: cfg}
	if err := m.src.open(cfg.Dir); err != nil {
		return nil, fmt.Errorf("open monitor: %w", err)
	}
	m.rt[0].Name = "/sched/goroutines:goroutines"
	m.rt[1].Name = "/memory/classes/heap/objects:bytes"
	m.Full()
	return m, nil
}

// Read returns the last reading. It takes tens of nanoseconds, allocates nothing
// and never samples.
func (m *Monitor) Read() Reading { return m.pub.load() }

// Light takes a light sample now and publishes it.
func (m *Monitor) Light() { m.sample(false) }

// Full takes a full sample now, a light one included, and publishes it.
func (m *Monitor) Full() { m.sample(true) }

func (m *Monitor) sample(full bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done {
		return
	}
	now := time.Now()
	if full {
		m.src.full(&m.cur)
		m.cur.FullAt = now.UnixMicro()
	}
	m.src.light(&m.cur, now)
	metrics.Read(m.rt[:])
	if m.rt[0].Value.Kind() == metrics.KindUint64 && m.rt[1].Value.Kind() == metrics.KindUint64 {
		m.cur.Goroutines, m.cur.Heap = m.rt[0].Value.Uint64(), m.rt[1].Value.Uint64()
		m.cur.Known |= Runtime
	}
	m.cur.At = now.UnixMicro()
	m.pub.store(&m.cur)
}

// Run samples at the configured intervals until ctx ends, and returns nil then.
func (m *Monitor) Run(ctx context.Context) error {
	light := time.NewTicker(m.cfg.LightEvery)
	defer light.Stop()
	full := time.NewTicker(m.cfg.FullEvery)
	defer full.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-full.C:
			m.Full()
		case <-light.C:
			m.Light()
		}
	}
}

// Close releases the files. Read keeps giving the last reading.
func (m *Monitor) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.done {
		m.done = true
		m.src.close()
	}
}
