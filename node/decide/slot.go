package decide

import (
	"context"
	"fmt"
	"sync"

	"omx/node/catalog"
	"omx/policies/abi"
)

// A policy that spoils this many instances within this span is set aside.
const (
	MaxFaults   = 3
	FaultWindow = 60 * 1_000_000 // µs
)

// slot is where the policy of one kind sits.
type slot struct {
	mu    sync.Mutex
	guest Guest // nil: the built-in rule decides
	name  string
	code  []byte

	generation uint64 // grows with each swap
	decisions  uint64
	faults     uint64 // decisions the policy failed
	spoiled    [MaxFaults]catalog.Micros
	aside      bool

	scratch [headRoom]byte // where the built-in rule reads its view
}

const headRoom = abi.HeaderSize + MaxCandidates*(abi.RowSize+4)

// Status is which policy decides a kind, and how it has done.
type Status struct {
	Name       string   `json:"name"`
	Digest     [32]byte `json:"-"`
	Generation uint64   `json:"generation"` // how often the policy was changed
	Decisions  uint64   `json:"decisions"`
	Faults     uint64   `json:"faults"`    // decisions it failed; the built-in rule took them
	SetAside   bool     `json:"set_aside"` // too many faults: the built-in rule decides
}

func (s *slot) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Name: Builtin, Generation: s.generation, Decisions: s.decisions, Faults: s.faults, SetAside: s.aside}
	if s.guest != nil {
		st.Name, st.Digest = s.name, s.guest.Info().Digest
	}
	return st
}

// swap puts a guest in, nil for none, and closes the one before. No decision is
// under way in either: decisions hold the lock.
func (s *slot) swap(g Guest, name string, code []byte) error {
	s.mu.Lock()
	old := s.guest
	s.guest, s.name, s.code = g, name, code
	s.generation++
	s.faults, s.spoiled, s.aside = 0, [MaxFaults]catalog.Micros{}, false
	s.mu.Unlock()
	if old == nil {
		return nil
	}
	return old.Close()
}

func (s *slot) source() Source {
	if s.guest == nil {
		return Source{Policy: Builtin}
	}
	return Source{Policy: s.name, Digest: s.guest.Info().Digest}
}

func (s *slot) fallback(asked abi.Status) Source {
	return Source{Policy: Builtin, Status: asked}
}

// view is the guest's window for n rows, or why there is none.
func (s *slot) view(k abi.Kind, n int) ([]byte, abi.Status) {
	if s.guest == nil || s.aside || s.guest.Spoiled() {
		return nil, abi.NotReady
	}
	b, err := s.guest.View(k, n)
	if err != nil || len(b) < abi.Size(n) {
		return nil, abi.NotReady
	}
	return b, abi.OK
}

func (s *slot) call(k abi.Kind, viewLen int) (abi.Answer, uint64, abi.Status) {
	a, fuel, err := s.guest.Call(k, viewLen)
	if err != nil {
		return 0, fuel, statusOf(err)
	}
	return a, fuel, a.Status()
}

// fault counts how a decision of the policy ended.
func (s *slot) fault(status abi.Status) {
	s.decisions++
	if status >= 16 {
		s.faults++
	}
}

func (s *slot) repair(ctx context.Context, load Loader, now catalog.Micros) error {
	s.mu.Lock()
	if s.guest == nil || s.aside || !s.guest.Spoiled() {
		s.mu.Unlock()
		return nil
	}
	name, code, generation := s.name, s.code, s.generation
	copy(s.spoiled[:], s.spoiled[1:])
	s.spoiled[MaxFaults-1] = now
	if oldest := s.spoiled[0]; oldest != 0 && now-oldest < FaultWindow {
		s.aside = true
	}
	aside := s.aside
	s.mu.Unlock()
	if aside {
		return fmt.Errorf("policy %s failed %d times within a minute and is set aside; the built-in rule decides until it is replaced", name, MaxFaults)
	}

	g, err := load(ctx, name, code)
	if err != nil {
		return fmt.Errorf("reload policy %s: %w", name, err)
	}
	s.mu.Lock()
	old := g // closed below if somebody swapped in the meantime
	if s.generation == generation {
		old, s.guest = s.guest, g
	}
	s.mu.Unlock()
	return old.Close()
}
