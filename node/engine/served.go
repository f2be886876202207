package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"omx/node/catalog"
	"omx/node/engine/frame"
	"omx/node/engine/gguf"
	"omx/node/engine/library"
)

// served is one model of Local: run loads it when it is wanted, watches its worker
// and starts that again, and unloads it when it was idle for long enough.
type served struct {
	cfg    *LocalConfig
	file   ModelFile
	gate   *gate
	memory *budget
	wake   chan struct{} // somebody comes, or what is wanted has changed
	stop   context.CancelFunc
	ended  chan struct{} // closed when run has

	mu     sync.Mutex
	now    Status // but for Load
	header gguf.Header
	proc   *process
	keep   time.Duration // how long it stays loaded when nobody asks; below 0 for good
	wanted bool          // it is to be loaded though nobody waits
	yield  bool          // it is to be unloaded when nobody is in: another model needs the memory
}

func newServed(cfg *LocalConfig, memory *budget, file ModelFile) *served {
	s := &served{cfg: cfg, file: file, gate: newGate(cfg.Slots, cfg.QueueLimit), memory: memory, wake: make(chan struct{}, 1), stop: func() {},
		ended: make(chan struct{}), now: Status{ID: file.ID, Pinned: file.Pin, Writes: true}, keep: file.Keep, wanted: file.Preload}
	if s.keep == 0 {
		s.keep = cfg.KeepAlive
	}
	s.gate.knock = s.poke
	return s
}

func (s *served) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *served) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.now
	st.Load, st.Wait = s.gate.load(), s.gate.wouldWait()
	if st.State == catalog.Loaded && s.keep >= 0 && !s.file.Pin {
		st.Expires = s.gate.lastUsed().Add(s.keep)
	}
	return st
}

func (s *served) isPinned() bool { return s.file.Pin }

// set changes state; why is nil when all is well.
func (s *served) set(state catalog.State, proc *process, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.State, s.now.Err, s.proc = state, "", proc
	if why != nil {
		s.now.Err = why.Error()
	}
}

func (s *served) setSpeed(r frame.Rates) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Speed = catalog.Speed{PrefillNS: r.PrefillNS, DecodeUS: r.DecodeUS}
}

func (s *served) setProgress(l frame.Loading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Progress = l.PerMille
}

// open reads the model's header, and begins to find its digest.
func (s *served) open(ctx context.Context, digest *sync.WaitGroup) error {
	header, err := gguf.Check(s.file.Path)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.header = header
	s.now.Bytes, s.now.Memory = header.Bytes, need(s.cfg, header).Total()
	s.now.Details = details(header)
	s.now.Embeds = header.Pooling != "rank" // until it is loaded and says so itself
	s.now.Writes = header.Causal && header.Pooling != "rank" && header.Pooling != "cls"
	if st, err := os.Stat(s.file.Path); err == nil {
		s.now.Modified = st.ModTime()
	}
	if s.now.Digest = s.file.Digest; s.now.Digest == "" {
		digest.Go(func() { s.digest(ctx) }) // a large file takes as long to read as to load
	}
	return nil
}

// run keeps the model served until ctx ends or it has to be set aside.
func (s *served) run(ctx context.Context) {
	defer close(s.ended)
	log := s.cfg.Log.With("model", s.file.ID)
	var digest sync.WaitGroup
	defer digest.Wait()
	if err := s.open(ctx, &digest); err != nil {
		s.setAside(err)
		log.Error("model cannot be used", "why", err)
		return
	}
	var crashes []time.Time
	backoff, said := firstBackoff, ""
	for {
		if !s.rest(ctx) {
			s.setAside(fmt.Errorf("%w: the engine is closed", ErrLost))
			return
		}
		err := s.serve(ctx)
		wait := libraryEvery
		switch {
		case ctx.Err() != nil:
			continue // rest says so
		case err == nil: // it was unloaded
			log.Info("model unloaded")
			continue
		case errors.Is(err, ErrNoMemory):
			log.Warn("model not loaded", "why", err)
			s.set(catalog.OnDisk, nil, nil)
			s.unwant()
			s.gate.shed(err) // last: whoever is told sees it as it is
			continue
		case errors.Is(err, ErrNoLibrary):
			if said != err.Error() { // it is looked for again and again
				log.Warn("engine libraries cannot be used", "why", err)
			}
			said = err.Error()
		case errors.Is(err, ErrNoModel):
			s.setAside(err)
			log.Error("model cannot be used", "why", err)
			return
		default:
			now := time.Now()
			crashes = append(crashes, now)
			for now.Sub(crashes[0]) > crashWindow {
				crashes = crashes[1:]
			}
			if len(crashes) >= maxCrashes {
				err = fmt.Errorf("%w: %s, after %d crashes within %v; the last: %w", ErrNoModel, SetAside, len(crashes), crashWindow, err)
				s.setAside(err)
				log.Error("model set aside", "why", err)
				return
			}
			if len(crashes) == 1 {
				backoff = firstBackoff
			}
			wait, backoff = backoff, min(2*backoff, maxBackoff)
			s.set(catalog.Loading, nil, err)
			log.Warn("worker lost; it starts again", "why", err, "in", wait)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// rest waits until the model is wanted; false: the engine is closed.
func (s *served) rest(ctx context.Context) bool {
	for {
		s.mu.Lock()
		wanted := s.wanted
		s.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return false
		case wanted || s.gate.busy():
			return true
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		}
	}
}

// setAside refuses what waits and comes.
func (s *served) setAside(why error) {
	if !errors.Is(why, ErrLost) && !errors.Is(why, ErrNoLibrary) && !errors.Is(why, ErrNoModel) {
		why = fmt.Errorf("%w: %w", ErrNoModel, why)
	}
	s.set(catalog.OnDisk, nil, why)
	s.gate.close(why)
}

// serve loads the model and runs one worker until it ends; the error says why, nil
// that the model was unloaded.
func (s *served) serve(ctx context.Context) error {
	lib, err := library.Find(s.cfg.LibraryDirs...)
	if err != nil {
		s.setAside(err)
		return err
	}
	s.gate.set(false)
	s.mu.Lock()
	s.now.State, s.now.Progress = catalog.Loading, 0 // what was wrong stays in sight until it is loaded
	s.yield = false
	s.mu.Unlock()
	placed, err := s.place(ctx, lib)
	if err != nil {
		return err
	}
	if err := s.reserve(ctx, placed.Host); err != nil {
		return err
	}
	defer s.memory.give(s)
	p, err := startProcess(s.cfg.Exe, s.cfg.WorkerArgs, s.gate.leave, s.setSpeed, s.setProgress)
	if err != nil {
		return err
	}
	defer p.stop()
	info, failure, err := p.load(ctx, frame.LoadConfig{Model: s.file.Path, Library: lib.Dir, Slots: s.cfg.Slots,
		Context: s.cfg.ContextTokens, Threads: s.cfg.Threads, Adapters: s.file.Adapters, State: s.stateDir(), GPULayers: placed.GPULayers, Split: placed.Split})
	if err != nil {
		return err
	}
	if failure != nil {
		p.stop() // its last words say more
		return s.refused(failure, p.stderr.lastLines())
	}
	s.mu.Lock()
	s.now.Memory, s.now.VRAM, s.now.GPULayers = placed.Host, 0, placed.GPULayers
	for _, n := range placed.Device {
		s.now.Memory, s.now.VRAM = s.now.Memory+n, s.now.VRAM+n
	}
	s.now.Context, s.now.Embeds, s.now.Writes = info.Context, info.Embeds, info.Context > 0
	s.mu.Unlock()
	s.set(catalog.Loaded, p, nil)
	s.gate.touch()
	s.gate.set(true)
	err = s.watch(ctx, p)
	s.gate.set(false)
	if err == nil {
		s.saveState(ctx, p)
		s.set(catalog.OnDisk, nil, nil)
		return nil
	}
	s.set(catalog.Loading, nil, err)
	return err
}

// watch waits until the worker ends or hangs, or the model is to be unloaded.
func (s *served) watch(ctx context.Context, p *process) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.ended:
			return p.why
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-s.wake:
		}
		if p.hangs(s.cfg.HangTimeout) {
			s.cfg.Log.Warn("worker hangs; it is ended", "model", s.file.ID, "silent for", s.cfg.HangTimeout)
			p.kill(false)
		}
		done, next := s.idle()
		if done {
			return nil
		}
		timer.Reset(min(next, s.cfg.HangTimeout/4))
	}
}

// idle shuts the gate if the model is to be unloaded now; else it says when to look
// again.
func (s *served) idle() (done bool, next time.Duration) {
	s.mu.Lock()
	keep, wanted, yield := s.keep, s.wanted, s.yield
	s.wanted = false // it is loaded
	s.mu.Unlock()
	switch {
	case yield:
		keep = 0
	case wanted || keep < 0 || s.file.Pin:
		return false, s.cfg.HangTimeout
	}
	return s.gate.shutIdle(keep)
}

// reserve takes the memory that the model needs, from other models if need be: those
// that are idle make room at once, others when their requests have ended.
func (s *served) reserve(ctx context.Context, need int64) error {
	for {
		ok, evict, news := s.memory.take(s, need)
		if ok {
			return nil
		}
		if len(evict) == 0 {
			return s.memory.refusal(need)
		}
		for _, other := range evict {
			other.giveWay()
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// giveWay unloads the model once nobody is in.
func (s *served) giveWay() {
	s.mu.Lock()
	s.yield = true
	s.mu.Unlock()
	s.poke()
}

// want has the model loaded and changes how long it is kept, if keep is not nil.
func (s *served) want(keep *time.Duration) {
	s.mu.Lock()
	s.wanted = true
	if keep != nil {
		s.keep = *keep
	}
	s.mu.Unlock()
	s.gate.touch()
	s.poke()
}

func (s *served) unwant() {
	s.mu.Lock()
	s.wanted = false
	s.mu.Unlock()
}

// refused is what a worker's failure to load means.
func (s *served) refused(f *frame.Failure, lastLines string) error {
	if f.Code == frame.NoLibrary {
		err := fmt.Errorf("%w%s", ErrNoLibrary, strings.TrimPrefix(f.Message, ErrNoLibrary.Error()))
		s.setAside(err)
		return err
	}
	return fmt.Errorf("%w: %s%s", ErrNoModel, f.Message, lastLines)
}

// digest finds the SHA-256 of the model file.
func (s *served) digest(ctx context.Context) {
	f, err := os.Open(s.file.Path)
	if err != nil {
		return // the worker will say so
	}
	defer f.Close()
	h := sha256.New()
	for ctx.Err() == nil {
		_, err := io.CopyN(h, f, 4<<20)
		if errors.Is(err, io.EOF) {
			s.mu.Lock()
			s.now.Digest = hex.EncodeToString(h.Sum(nil))
			s.mu.Unlock()
			return
		}
		if err != nil {
			s.cfg.Log.Warn("model file cannot be read", "model", s.file.ID, "why", err)
			return
		}
	}
}
