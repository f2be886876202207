package policy

import (
	"context"
	"errors"
	"fmt"
	"os"

	"omx/policies/abi"
	"omx/wasm"
)

// file is a configured policy that is watched for changes. Looking at the
// metadata of one file costs microseconds and works on every file system.
type file struct {
	kind   abi.Kind
	path   string
	params []byte
	ref    string
	seen   stamp
	bad    string // the last fault told
}

// stamp tells versions of a module and its signatures apart: these often arrive
// a moment later. Zeros: it is not there.
type stamp struct {
	module, signature struct{ mtime, size int64 }
}

func stampOf(path string) (s stamp) {
	if st, err := os.Stat(path); err == nil {
		s.module.mtime, s.module.size = st.ModTime().UnixNano(), st.Size()
	}
	if st, err := os.Stat(path + SignatureSuffix); err == nil {
		s.signature.mtime, s.signature.size = st.ModTime().UnixNano(), st.Size()
	}
	return s
}

// watch follows a configured reference if it is a file that may change.
func (m *Manager) watch(k abi.Kind, c Configured) {
	place, pin, _ := splitPin(c.Ref)
	st, err := os.Stat(place)
	if err != nil || st.IsDir() || pin != "" {
		return
	}
	m.files = append(m.files, &file{kind: k, path: place, params: c.Params, ref: c.Ref, seen: stampOf(place)})
}

// Event is a change that Poll found.
type Event struct {
	Kind   abi.Kind
	Name   string
	Digest [32]byte
	Err    error // the change was not made, or what decided was set aside
}

// Poll looks after the policies: files that changed take effect, what failed is
// replaced and told. It is called a few times a second, and takes as long as a
// changed policy takes to compile; tell must not call the Manager.
func (m *Manager) Poll(ctx context.Context, tell func(Event)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.repair(ctx, tell)
	for _, k := range Kinds {
		m.aside(k, tell)
	}
	for _, f := range m.files {
		m.reload(ctx, f, tell)
	}
}

// repair tells a fault once, and not each time that it is met.
func (m *Manager) repair(ctx context.Context, tell func(Event)) {
	err := m.decider.Repair(ctx)
	if err == nil {
		m.fault = ""
		return
	}
	if m.fault != err.Error() {
		m.fault = err.Error()
		tell(Event{Err: err})
	}
}

// aside notices that the decider has put a failing policy out of charge.
func (m *Manager) aside(k abi.Kind, tell func(Event)) {
	st := m.decider.Active(k)
	if st.SetAside == "" || m.told[k] == st.Generation {
		return
	}
	m.told[k] = st.Generation
	err := fmt.Errorf("policy %s failed too often and is set aside; %s decides until another is activated", st.SetAside, st.Active.Name)
	if werr := m.changed(k); werr != nil {
		err = fmt.Errorf("%w; %w", err, werr)
	}
	tell(Event{Kind: k, Name: st.Active.Name, Digest: st.Active.Digest, Err: err})
}

// reload takes a changed file into use. A version that cannot be used leaves
// the one before it deciding, and is told once.
func (m *Manager) reload(ctx context.Context, f *file, tell func(Event)) {
	now := stampOf(f.path)
	if now == f.seen {
		return
	}
	f.seen = now
	p, err := m.find(f.ref, f.kind)
	known := false
	if err == nil {
		p.Params = f.params
		known = m.decides(f.kind, p)
		if m.state.kind(f.kind).Out == p.identity() {
			err = errors.New("it " + wasOut) // the same bytes once more
		} else {
			err = m.activate(ctx, f.kind, p)
		}
	}
	switch {
	case err == nil:
		f.bad = ""
		if !known {
			tell(Event{Kind: f.kind, Name: p.label(), Digest: p.Digest()})
		}
	case f.bad != err.Error():
		f.bad = err.Error()
		tell(Event{Kind: f.kind, Name: f.path, Err: fmt.Errorf("policy not changed; the one before it goes on deciding: %w", err)})
	}
}

// ofKind is the one module of a list that decides a kind.
func ofKind(list []Module, k abi.Kind, ref string) (*Module, error) {
	if len(list) == 1 {
		return &list[0], nil // if it does not, the decider says so
	}
	var found *Module
	for i := range list {
		kinds, err := wasm.KindsOf(list[i].Code)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", list[i].Name, err)
		}
		for _, has := range kinds {
			if has != k {
				continue
			}
			if found != nil {
				return nil, fmt.Errorf("policy folder %s: %s and %s both decide %s; leave one there", ref, found.Name, list[i].Name, k)
			}
			found = &list[i]
		}
	}
	if found == nil {
		return nil, fmt.Errorf("policy folder %s has no module that decides %s", ref, k)
	}
	return found, nil
}
