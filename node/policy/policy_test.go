package policy_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"omx/node/decide"
	"omx/node/policy"
	"omx/policies"
	"omx/policies/abi"
	"omx/policies/sign"
	"omx/wasm"
)

// rig is a manager over a real decider and host; log is what it told.
type rig struct {
	*policy.Manager
	decider *decide.Decider
	log     bytes.Buffer
}

func newRig(t testing.TB, dir string, verify func(code, sig []byte) ([]string, error)) *rig {
	t.Helper()
	return newRigOf(t, dir, verify, func(string) error { return nil })
}

// newRigOf makes a rig whose host takes those policies only that are allowed.
func newRigOf(t testing.TB, dir string, verify func(code, sig []byte) ([]string, error), allowed func(name string) error) *rig {
	t.Helper()
	host, err := wasm.NewHost(t.Context(), wasm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	load := decide.HostLoader(host, wasm.Limits{}, nil)
	r := &rig{decider: decide.New(decide.Config{Load: func(ctx context.Context, p decide.Policy) (decide.Module, error) {
		if err := allowed(p.Name); err != nil {
			return nil, err
		}
		return load(ctx, p)
	}})}
	t.Cleanup(func() {
		if err := errors.Join(r.decider.Close(), host.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	if r.Manager, err = policy.New(policy.Config{Dir: dir, Verify: verify, Log: slog.New(slog.NewTextHandler(&r.log, nil))}, r.decider); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) start(t testing.TB, route string) {
	t.Helper()
	if err := r.Start(t.Context(), map[abi.Kind]policy.Configured{abi.Route: {Ref: route}}); err != nil {
		t.Fatal(err)
	}
}

// decides checks which policies there are for routing.
func (r *rig) decides(t testing.TB, active, last, shadow string) {
	t.Helper()
	st := r.decider.Active(abi.Route)
	name := func(l *decide.Loaded) string {
		if l == nil {
			return ""
		}
		return filepath.Base(l.Name)
	}
	if got := [3]string{name(&st.Active), name(st.LastGood), name(st.Shadow)}; got != [3]string{active, last, shadow} {
		t.Errorf("active, last good and shadow are %q, want %q; log: %s", got, [3]string{active, last, shadow}, r.log.String())
	}
}

func (r *rig) find(t testing.TB, ref string) *policy.Module {
	t.Helper()
	m, err := r.Find(ref, abi.Route)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func code(t testing.TB, name string) []byte {
	t.Helper()
	b, ok := policies.Builtin(name)
	if !ok {
		t.Fatalf("no built-in policy %s", name)
	}
	return b
}

// ann is a key for signing and the trust in it.
func ann(t testing.TB) (sign.Key, sign.Trust) {
	t.Helper()
	key, err := sign.NewKey(rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := sign.ParseTrust([]byte(key.Public().String() + " Ann\n"))
	if err != nil {
		t.Fatal(err)
	}
	return key, trust
}

// write puts a module into a file, with a time of its own so that the change
// shows.
func write(t testing.TB, file string, b []byte, age int) string {
	t.Helper()
	at := time.Unix(1_700_000_000+int64(age), 0)
	if err := errors.Join(os.WriteFile(file, b, 0o600), os.Chtimes(file, at, at)); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDefaultsDecide(t *testing.T) {
	r := newRig(t, t.TempDir(), nil)
	r.start(t, "")
	r.decides(t, policies.DefaultRoute, "", "")
	if a := r.decider.Active(abi.Admit).Active; a.Name != policies.DefaultAdmit {
		t.Errorf("admission is decided by %s", a.Name)
	}
}

// What decides, what decided before and what is tried survive a restart, also
// when the files they came from are gone.
func TestRestart(t *testing.T) {
	dir, src := t.TempDir(), t.TempDir()
	near := write(t, filepath.Join(src, "near.wasm"), code(t, "nearest"), 0)
	idle := write(t, filepath.Join(src, "idle.wasm"), code(t, "least-loaded"), 0)
	r := newRig(t, dir, nil)
	r.start(t, "")
	for _, ref := range []string{near, idle} {
		if err := r.Activate(t.Context(), abi.Route, r.find(t, ref)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Shadow(t.Context(), abi.Route, r.find(t, "random")); err != nil {
		t.Fatal(err)
	}
	r.decides(t, "idle.wasm", "near.wasm", "random")
	os.RemoveAll(src)

	r = newRig(t, dir, nil)
	r.start(t, "")
	r.decides(t, "idle.wasm", "near.wasm", "random")
	if err := r.Rollback(abi.Route); err != nil {
		t.Fatal(err)
	}
	r.decides(t, "near.wasm", "idle.wasm", "random")

	r = newRig(t, dir, nil)
	r.start(t, "")
	r.decides(t, "near.wasm", "idle.wasm", "random")
	if err := r.Promote(t.Context(), abi.Route); err != nil {
		t.Fatal(err)
	}
	r.decides(t, "random", "near.wasm", "")
	r = newRig(t, dir, nil)
	r.start(t, "")
	r.decides(t, "random", "near.wasm", "")
}

// A file that was rolled back does not decide again after a restart, until it
// changes.
func TestRollbackOfAConfiguredFile(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(t.TempDir(), "p.wasm"), code(t, "nearest"), 0)
	r := newRig(t, dir, nil)
	r.start(t, file)
	write(t, file, code(t, "random"), 1)
	var told []policy.Event
	r.Poll(t.Context(), func(e policy.Event) { told = append(told, e) })
	if len(told) != 1 || told[0].Err != nil || told[0].Digest != sha256.Sum256(code(t, "random")) {
		t.Fatalf("told %+v", told)
	}
	if err := r.Rollback(abi.Route); err != nil {
		t.Fatal(err)
	}
	r = newRig(t, dir, nil)
	r.start(t, file)
	if d := r.decider.Active(abi.Route).Active.Digest; d != sha256.Sum256(code(t, "nearest")) {
		t.Errorf("after the restart %x decides; log: %s", d, r.log.String())
	}
	if !strings.Contains(r.log.String(), "rolled back") {
		t.Errorf("log: %s", r.log.String())
	}
	write(t, file, code(t, "least-loaded"), 2)
	r.Poll(t.Context(), func(policy.Event) {})
	if d := r.decider.Active(abi.Route).Active.Digest; d != sha256.Sum256(code(t, "least-loaded")) {
		t.Errorf("the changed file does not decide, %x does", d)
	}
}

// Rubbish in the file leaves what decides, and is told once.
func TestWatch(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "p.wasm"), code(t, "nearest"), 0)
	r := newRig(t, t.TempDir(), nil)
	r.start(t, file)
	var told []policy.Event
	poll := func() { r.Poll(t.Context(), func(e policy.Event) { told = append(told, e) }) }
	poll()
	for age, rubbish := range [][]byte{[]byte("rubbish"), code(t, "nearest")[:100], code(t, "allow")} {
		write(t, file, rubbish, age+1)
		poll()
		poll()
		if len(told) != age+1 || told[age].Err == nil || !strings.Contains(told[age].Err.Error(), "goes on deciding") {
			t.Fatalf("told %+v", told)
		}
	}
	os.Remove(file)
	poll()
	poll()
	if len(told) != 4 {
		t.Errorf("told %+v", told)
	}
	r.decides(t, "p.wasm", "", "")
}

func TestFindRefuses(t *testing.T) {
	dir, empty := t.TempDir(), t.TempDir()
	near := write(t, filepath.Join(dir, "near.wasm"), code(t, "nearest"), 0)
	write(t, filepath.Join(dir, "random.wasm"), code(t, "random"), 0)
	sum := sha256.Sum256(code(t, "nearest"))
	pin := hex.EncodeToString(sum[:])
	r := newRig(t, t.TempDir(), nil)
	for ref, want := range map[string]string{
		"nowhere.wasm":                              "no such file, and no built-in policy",
		near + "@sha256:" + pin[:10]:                "64 hexadecimal digits",
		near + "@sha256:" + strings.Repeat("0", 64): "and not the pinned",
		dir + "@sha256:" + pin:                      "a folder cannot be pinned",
		empty:                                       "has no modules",
		dir:                                         "both decide route",
		"sha256:" + pin:                             "among those used before",
		"sha256:xyz":                                "64 hexadecimal digits",
	} {
		if m, err := r.Find(ref, abi.Route); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %q", ref, m, err, want)
		}
	}
	if m := r.find(t, near+"@sha256:"+pin); m.Name != near {
		t.Errorf("pinned: %s", m.Name)
	}
	r.start(t, "")
	if err := r.Activate(t.Context(), abi.Route, r.find(t, near)); err != nil {
		t.Fatal(err)
	}
	if m := r.find(t, "sha256:"+pin); m.Digest() != sum {
		t.Error("found another module by its digest")
	}
	// A folder with one module a kind.
	os.Remove(filepath.Join(dir, "random.wasm"))
	write(t, filepath.Join(dir, "allow.wasm"), code(t, "allow"), 0)
	if m := r.find(t, dir); m.Name != near {
		t.Errorf("the folder gives %s", m.Name)
	}
}

func TestSignatures(t *testing.T) {
	key, trust := ann(t)
	file := write(t, filepath.Join(t.TempDir(), "p.wasm"), code(t, "nearest"), 0)
	dir := t.TempDir()
	r := newRig(t, dir, trust.Verify)
	if err := r.Start(t.Context(), map[abi.Kind]policy.Configured{abi.Route: {Ref: file}}); err == nil || !strings.Contains(err.Error(), "not signed") {
		t.Errorf("unsigned: %v", err)
	}
	sig, err := sign.Sign(key, code(t, "nearest"), nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file+policy.SignatureSuffix, sig, 0)
	r = newRig(t, dir, trust.Verify)
	r.start(t, file)
	r.decides(t, "p.wasm", "", "")
	// A changed file keeps the signed one deciding.
	write(t, file, code(t, "random"), 1)
	var told error
	r.Poll(t.Context(), func(e policy.Event) { told = e.Err })
	if told == nil || !strings.Contains(told.Error(), "changed after Ann signed it") {
		t.Errorf("told %v", told)
	}
	r.decides(t, "p.wasm", "", "")
	// And so it is after a restart, from the kept module and its signature.
	r = newRig(t, dir, trust.Verify)
	r.start(t, "")
	r.decides(t, "p.wasm", "", "")
}

// A damaged folder costs what was in it, and no more.
func TestDamage(t *testing.T) {
	for name, damage := range map[string]func(dir, digest string) error{
		"module": func(dir, digest string) error {
			return os.WriteFile(filepath.Join(dir, digest+".wasm"), []byte("\x00asm rubbish"), 0o600)
		},
		"module gone": func(dir, digest string) error { return os.Remove(filepath.Join(dir, digest+".wasm")) },
	} {
		dir := t.TempDir()
		r := newRig(t, dir, nil)
		r.start(t, "")
		file := write(t, filepath.Join(t.TempDir(), "random.wasm"), code(t, "random"), 0)
		for _, p := range []string{"nearest", file} {
			if err := r.Activate(t.Context(), abi.Route, r.find(t, p)); err != nil {
				t.Fatal(err)
			}
		}
		if err := damage(dir, fmt.Sprintf("%x", sha256.Sum256(code(t, "random")))); err != nil {
			t.Fatal(err)
		}
		r = newRig(t, dir, nil)
		r.start(t, "")
		if a := r.decider.Active(abi.Route).Active.Name; a != "nearest" || !strings.Contains(r.log.String(), "cannot be used") {
			t.Errorf("%s: %s decides; log: %s", name, a, r.log.String())
		}
	}
	dir := t.TempDir()
	r := newRig(t, dir, nil)
	r.start(t, "nearest")
	if err := os.WriteFile(filepath.Join(dir, "state.json"), []byte("00000000\n{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = newRig(t, dir, nil)
	r.start(t, "")
	r.decides(t, policies.DefaultRoute, "", "")
	if !strings.Contains(r.log.String(), "damaged") {
		t.Errorf("log: %s", r.log.String())
	}
}

// The folder does not grow with every policy that was ever tried.
func TestFolderIsBounded(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, nil)
	r.start(t, "")
	for i := range 100 {
		m := r.find(t, "nearest")
		m = &policy.Module{Name: fmt.Sprint(i), Code: wasm.AppendMetadata(m.Code, fmt.Appendf(nil, "%d", i))}
		if err := r.Activate(t.Context(), abi.Route, m); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
	if err != nil || len(files) > 40 {
		t.Errorf("%d modules are kept, %v", len(files), err)
	}
	r.decides(t, "99", "98", "")
}
