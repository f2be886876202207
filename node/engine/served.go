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

// served is one model of Local: its worker is started, watched and started again
// by run.
type served struct {
	cfg  *LocalConfig
	file ModelFile
	gate *gate

	mu   sync.Mutex
	now  Status // but for Load
	proc *process
}

func newServed(cfg *LocalConfig, file ModelFile) *served {
	return &served{cfg: cfg, file: file, gate: newGate(cfg.Slots, cfg.QueueLimit), now: Status{ID: file.ID}}
}

func (s *served) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.now
	st.Load = s.gate.load()
	return st
}

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

// run keeps the model served until ctx ends or it has to be set aside.
func (s *served) run(ctx context.Context) {
	log := s.cfg.Log.With("model", s.file.ID)
	s.set(catalog.Loading, nil, nil)
	header, err := gguf.Check(s.file.Path)
	if err != nil {
		s.setAside(err)
		log.Error("model cannot be used", "why", err)
		return
	}
	s.mu.Lock()
	s.now.Bytes = header.Bytes
	s.mu.Unlock()
	var digest sync.WaitGroup // a large file takes as long to read as to load
	defer digest.Wait()
	digest.Go(func() { s.digest(ctx) })

	var crashes []time.Time
	backoff, said := firstBackoff, ""
	for {
		err := s.serve(ctx)
		wait := libraryEvery
		switch {
		case ctx.Err() != nil:
			s.setAside(fmt.Errorf("%w: the engine is closed", ErrLost))
			return
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
				err = fmt.Errorf("%w: set aside until the node starts again, after %d crashes within %v; the last: %w", ErrNoModel, len(crashes), crashWindow, err)
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

// setAside refuses what waits and comes.
func (s *served) setAside(why error) {
	if !errors.Is(why, ErrLost) && !errors.Is(why, ErrNoLibrary) && !errors.Is(why, ErrNoModel) {
		why = fmt.Errorf("%w: %w", ErrNoModel, why)
	}
	s.set(catalog.OnDisk, nil, why)
	s.gate.close(why)
}

// serve runs one worker until it ends; the error says why and is never nil.
func (s *served) serve(ctx context.Context) error {
	lib, err := library.Find(s.cfg.LibraryDirs...)
	if err != nil {
		s.setAside(err)
		return err
	}
	s.gate.set(false)
	s.mu.Lock()
	s.now.State = catalog.Loading // what was wrong stays in sight until it is loaded
	s.mu.Unlock()
	p, err := startProcess(s.cfg.Exe, s.cfg.WorkerArgs, s.gate.leave, s.setSpeed, func(frame.Loading) {})
	if err != nil {
		return err
	}
	defer p.stop()
	info, failure, err := p.load(ctx, frame.LoadConfig{Model: s.file.Path, Library: lib.Dir, Slots: s.cfg.Slots,
		Context: s.cfg.ContextTokens, Threads: s.cfg.Threads})
	if err != nil {
		return err
	}
	if failure != nil {
		p.stop() // its last words say more
		return s.refused(failure, p.stderr.lastLines())
	}
	s.mu.Lock()
	s.now.Context = info.Context
	s.mu.Unlock()
	s.set(catalog.Loaded, p, nil)
	s.gate.set(true)
	select {
	case <-p.ended:
		err = p.why
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.gate.set(false)
	s.set(catalog.Loading, nil, err)
	return err
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
