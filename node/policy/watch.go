package policy

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"time"

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
	mtime  time.Time
	size   int64
	bad    string // the last fault told
}

// watch follows a configured reference if it is a file that may change.
func (m *Manager) watch(k abi.Kind, c Configured) {
	place, pin, _ := splitPin(c.Ref)
	st, err := os.Stat(place)
	if err != nil || st.IsDir() || pin != "" {
		return
	}
	m.files = append(m.files, &file{kind: k, path: place, params: c.Params, ref: c.Ref, mtime: st.ModTime(), size: st.Size()})
}

// Event is a change that Poll found.
type Event struct {
	Kind   abi.Kind
	Name   string
	Digest [32]byte
	Err    error // the change was not made, or what decided was set aside
}

// Poll looks after the policies: files that changed take effect, what failed is
// replaced and told. It is called a few times a second.
func (m *Manager) Poll(ctx context.Context, tell func(Event)) {
	if err := m.decider.Repair(ctx); err != nil {
		tell(Event{Err: err})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range Kinds {
		m.aside(k, tell)
	}
	for _, f := range m.files {
		m.reload(ctx, f, tell)
	}
}

// aside notices that the decider has put a failing policy out of charge.
func (m *Manager) aside(k abi.Kind, tell func(Event)) {
	st, ks := m.decider.Active(k), m.state.kind(k)
	if st.SetAside == "" || ks.Active == nil || ks.Active.Digest == hex.EncodeToString(st.Active.Digest[:]) {
		return
	}
	ks.Out = ks.Active.Digest
	err := fmt.Errorf("policy %s failed too often and is set aside; %s decides until another is activated", st.SetAside, st.Active.Name)
	if werr := m.changed(k); werr != nil {
		err = fmt.Errorf("%w; %w", err, werr)
	}
	tell(Event{Kind: k, Name: st.Active.Name, Digest: st.Active.Digest, Err: err})
}

// reload takes a changed file into use. A version that cannot be used leaves
// the one before it deciding, and is told once.
func (m *Manager) reload(ctx context.Context, f *file, tell func(Event)) {
	st, err := os.Stat(f.path)
	if err == nil && st.ModTime().Equal(f.mtime) && st.Size() == f.size {
		return
	}
	var p *Module
	if err == nil {
		f.mtime, f.size = st.ModTime(), st.Size()
		if p, err = m.find(f.ref, f.kind); err == nil {
			p.Params = f.params
			if err = m.use(ctx, f.kind, p); err == nil {
				m.state.kind(f.kind).Out = ""
				err = m.kept(f.kind, p)
			}
		}
	}
	if err == nil {
		f.bad = ""
		tell(Event{Kind: f.kind, Name: p.Name, Digest: p.Digest()})
		return
	}
	if f.bad != err.Error() {
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
