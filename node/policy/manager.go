package policy

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"

	"omx/node/decide"
	"omx/policies"
	"omx/policies/abi"
)

// Config sets up a Manager.
type Config struct {
	// Dir is the folder for modules in use and what decides; it is made.
	Dir string
	// Verify checks a module's signatures and says who signed; nil: nobody has to.
	// Built-in policies are part of the program and need none.
	Verify func(code, signature []byte) (by []string, err error)
	// Log gets what an operator should know; nil discards.
	Log *slog.Logger
}

// Kinds are those that a node asks policies about.
var Kinds = []abi.Kind{abi.Admit, abi.Route, abi.Replicate}

// defaults decide where nothing else is said. Nothing moves where nobody says so: for
// replication there is none, and what decided before a restart does not any more.
var defaults = map[abi.Kind]string{abi.Admit: policies.DefaultAdmit, abi.Route: policies.DefaultRoute}

// Manager keeps a decider's policies. Safe for concurrent use.
type Manager struct {
	cfg     Config
	decider *decide.Decider

	mu    sync.Mutex
	state *state
	files []*file
	told  map[abi.Kind]uint64 // the generation of which it was told what was set aside
	fault string              // the last one of Repair that was told
}

// New opens the folder. A damaged state is told and begun anew.
func New(cfg Config, d *decide.Decider) (*Manager, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make policy folder: %w", err)
	}
	clearTemp(cfg.Dir)
	m := &Manager{cfg: cfg, decider: d, told: map[abi.Kind]uint64{}}
	var err error
	if m.state, err = readState(cfg.Dir); err != nil {
		cfg.Log.Error("what decided before is not known; the configured or default policies decide", "why", err)
	}
	return m, nil
}

// Configured is a policy that the operator's configuration names.
type Configured struct {
	Ref    string
	Params []byte
}

// Start puts the policies in charge that are configured, those that decided
// before the restart, or the default ones. A configured policy that cannot be
// used is an error; one that only decided before is told of and replaced.
func (m *Manager) Start(ctx context.Context, configured map[abi.Kind]Configured) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range Kinds {
		if err := m.start(ctx, k, configured[k]); err != nil {
			return err
		}
	}
	return m.save()
}

func (m *Manager) start(ctx context.Context, k abi.Kind, c Configured) error {
	ks := m.state.kind(k)
	if _, has := defaults[k]; !has && c.Ref == "" {
		*ks = kindState{}
		return nil
	}
	want, err := m.configured(k, ks, c)
	if err != nil {
		return err
	}
	named := want != nil
	if !named && ks.Active != nil {
		if want, err = ks.Active.module(m.cfg.Dir); err == nil {
			err = m.verify(want)
		}
		if err != nil {
			m.cfg.Log.Error("the policy that decided before cannot be used", "kind", k, "policy", ks.Active.Name, "why", err)
			want, ks.Active = nil, nil
		}
	}
	last := ks.Last
	if want != nil && ks.Active != nil && ks.Active.identity() != want.identity() {
		last = ks.Active // another one than before: that is what to go back to
	}
	m.warm(ctx, k, last)
	if want == nil {
		want = m.fallback(ctx, k, last)
	}
	if want != nil {
		err := m.use(ctx, k, want)
		if err != nil && named {
			return err
		}
		if err != nil {
			m.cfg.Log.Error("the policy that decided before cannot be used", "kind", k, "policy", want.Name, "why", err)
			if want = m.fallback(ctx, k, last); want != nil {
				if err := m.use(ctx, k, want); err != nil {
					return err
				}
			}
		}
	}
	if want != nil {
		if _, err := keep(m.cfg.Dir, want); err != nil {
			return err
		}
	}
	if ks.Shadow != nil {
		s, err := ks.Shadow.module(m.cfg.Dir)
		if err == nil {
			err = m.shadow(ctx, k, s)
		}
		if err != nil {
			m.cfg.Log.Error("the shadow policy cannot be used any more", "kind", k, "policy", ks.Shadow.Name, "why", err)
		}
	}
	m.note(k)
	return nil
}

// configured is the module that the configuration names, nil if it names none or
// the one that was rolled back.
func (m *Manager) configured(k abi.Kind, ks *kindState, c Configured) (*Module, error) {
	if c.Ref == "" {
		return nil, nil
	}
	m.watch(k, c) // before it is read: no change may fall in between
	want, err := m.find(c.Ref, k)
	if err != nil {
		return nil, err
	}
	want.Params = c.Params
	if ks.Out == want.identity() {
		m.cfg.Log.Error("the configured policy "+wasOut, "kind", k, "policy", c.Ref)
		return nil, nil
	}
	return want, nil
}

// wasOut says why a policy that is there does not decide.
const wasOut = "was rolled back or set aside before and does not decide; change the file or its parameters, or use: omx policy activate"

// warm puts the policy to go back to in charge for a moment: the next one that
// is used moves it to where it is kept warm.
func (m *Manager) warm(ctx context.Context, k abi.Kind, last *kept) {
	if last == nil {
		return
	}
	mod, err := last.module(m.cfg.Dir)
	if err == nil {
		err = m.use(ctx, k, mod)
	}
	if err != nil {
		m.cfg.Log.Error("the policy to go back to cannot be used any more", "kind", k, "policy", last.Name, "why", err)
	}
}

// fallback is what decides when nothing is configured or known: what is warm
// already, nil, or the default.
func (m *Manager) fallback(ctx context.Context, k abi.Kind, last *kept) *Module {
	if last != nil && m.decider.Active(k).Active.Digest != [32]byte{} {
		return nil
	}
	code, ok := policies.Builtin(defaults[k])
	if !ok {
		return nil
	}
	return &Module{Name: defaults[k], Code: code, builtin: true}
}

// find is the module of a reference that decides a kind.
func (m *Manager) find(ref string, k abi.Kind) (*Module, error) {
	list, err := Find(ref, m.cfg.Dir)
	if err != nil {
		return nil, err
	}
	return ofKind(list, k, ref)
}

func (m *Manager) verify(p *Module) error {
	if m.cfg.Verify == nil || p.builtin {
		return nil
	}
	name, _, _ := strings.Cut(p.Name, "@"+digestPrefix)
	if code, ok := policies.Builtin(name); ok && bytes.Equal(code, p.Code) {
		return nil
	}
	if _, err := m.cfg.Verify(p.Code, p.Signature); err != nil {
		return fmt.Errorf("policy %s: %w", p.Name, err)
	}
	return nil
}

// use puts a verified module in charge.
func (m *Manager) use(ctx context.Context, k abi.Kind, p *Module) error {
	if err := m.verify(p); err != nil {
		return err
	}
	return m.decider.Use(ctx, k, decide.Policy{Name: p.label(), Code: p.Code, Params: p.Params})
}

func (m *Manager) shadow(ctx context.Context, k abi.Kind, p *Module) error {
	if err := m.verify(p); err != nil {
		return err
	}
	return m.decider.Shadow(ctx, k, decide.Policy{Name: p.label(), Code: p.Code, Params: p.Params})
}

// note takes what the decider has into the state.
func (m *Manager) note(k abi.Kind) {
	ks, st := m.state.kind(k), m.decider.Active(k)
	if st.SetAside != "" && st.Generation != ks.Generation && ks.Active != nil {
		ks.Out = ks.Active.identity()
	}
	name := func(l *decide.Loaded) *kept {
		if l == nil || l.Digest == [32]byte{} {
			return nil
		}
		for _, p := range []*kept{ks.Active, ks.Last, ks.Shadow} {
			if p != nil && p.identity() == identityOf(l) {
				return p
			}
		}
		p, err := keep(m.cfg.Dir, &Module{Name: l.Name, Code: l.Policy.Code, Params: l.Policy.Params})
		if err != nil {
			m.cfg.Log.Error("policy not kept; after a restart it must be given again", "policy", l.Name, "why", err)
			return nil
		}
		return p
	}
	ks.Active, ks.Last, ks.Shadow, ks.Generation = name(&st.Active), name(st.LastGood), name(st.Shadow), st.Generation
}

func identityOf(l *decide.Loaded) string {
	return identity(hex.EncodeToString(l.Digest[:]), string(l.Policy.Params))
}

// changed is what follows each change.
func (m *Manager) changed(k abi.Kind) error {
	m.note(k)
	return m.save()
}

// save writes what decides, and removes what it no longer needs.
func (m *Manager) save() error {
	if err := m.state.write(m.cfg.Dir); err != nil {
		return err
	}
	m.state.trim(m.cfg.Dir)
	return nil
}

// Activate puts a policy in charge of a kind; the one before it stays warm.
func (m *Manager) Activate(ctx context.Context, k abi.Kind, p *Module) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.activate(ctx, k, p)
}

// activate leaves a policy as it is that decides already: to put it in charge
// once more would lose its state, and the policy to go back to.
func (m *Manager) activate(ctx context.Context, k abi.Kind, p *Module) error {
	var err error
	if m.decides(k, p) {
		err = m.verify(p)
	} else {
		err = m.use(ctx, k, p)
	}
	if err != nil {
		return err
	}
	m.state.kind(k).Out = ""
	return m.kept(k, p)
}

func (m *Manager) decides(k abi.Kind, p *Module) bool {
	a := m.decider.Active(k).Active
	return identityOf(&a) == p.identity()
}

// kept keeps a module that was just given, with its signature.
func (m *Manager) kept(k abi.Kind, p *Module) error {
	if _, err := keep(m.cfg.Dir, p); err != nil {
		return fmt.Errorf("policy %s is in use, but must be given again after a restart: %w", p.label(), err)
	}
	return m.changed(k)
}

// Shadow has a policy decide beside the one in charge; nil for none.
func (m *Manager) Shadow(ctx context.Context, k abi.Kind, p *Module) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p == nil {
		if err := m.decider.Shadow(ctx, k, decide.Policy{}); err != nil {
			return err
		}
		return m.changed(k)
	}
	if err := m.shadow(ctx, k, p); err != nil {
		return err
	}
	return m.kept(k, p)
}

// Promote puts the shadow in charge.
func (m *Manager) Promote(ctx context.Context, k abi.Kind) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	ks := m.state.kind(k)
	if ks.Shadow == nil {
		return fmt.Errorf("promote %s policy: there is no shadow; set one with: omx policy shadow", k)
	}
	p, err := ks.Shadow.module(m.cfg.Dir)
	if err != nil {
		return err
	}
	if err := m.activate(ctx, k, p); err != nil {
		return err
	}
	return errors.Join(m.decider.Shadow(ctx, k, decide.Policy{}), m.changed(k))
}

// Rollback puts the policy that decided before back in charge, at once.
func (m *Manager) Rollback(k abi.Kind) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.decider.Active(k).Active
	if err := m.decider.Rollback(k); err != nil {
		return err
	}
	m.state.kind(k).Out = identityOf(&out)
	return m.changed(k)
}

// Status is what there is for each kind.
func (m *Manager) Status() []decide.Status {
	var list []decide.Status
	for _, k := range Kinds {
		list = append(list, m.decider.Active(k))
	}
	return list
}

// Find is the module of a reference that decides a kind.
func (m *Manager) Find(ref string, k abi.Kind) (*Module, error) { return m.find(ref, k) }
