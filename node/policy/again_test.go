package policy_test

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/node/policy"
	"omx/policies"
	"omx/policies/abi"
	"omx/policies/sign"
)

// poll looks after the policies once, and gives what was told.
func (r *rig) poll(t testing.TB) (told []policy.Event) {
	t.Helper()
	r.Poll(t.Context(), func(e policy.Event) { told = append(told, e) })
	return told
}

func (r *rig) activate(t testing.TB, k abi.Kind, name, params string) {
	t.Helper()
	m, err := r.Find(name, k)
	if err != nil {
		t.Fatal(err)
	}
	if params != "" {
		m.Params = []byte(params)
	}
	if err := r.Activate(t.Context(), k, m); err != nil {
		t.Fatal(err)
	}
}

// The same module with other parameters is another policy, also after a restart.
func TestParametersSurvive(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, nil)
	r.start(t, "")
	r.activate(t, abi.Admit, "token-bucket", "rate=50\n")
	r.activate(t, abi.Admit, "token-bucket", "rate=70\n")
	check := func(active, last string) {
		t.Helper()
		st := r.decider.Active(abi.Admit)
		if st.LastGood == nil {
			t.Fatal("there is no last good policy")
		}
		if a, l := string(st.Active.Policy.Params), string(st.LastGood.Policy.Params); a != active || l != last {
			t.Errorf("%q decides after %q, want %q after %q", a, l, active, last)
		}
	}
	check("rate=70\n", "rate=50\n")
	r = newRig(t, dir, nil)
	r.start(t, "")
	check("rate=70\n", "rate=50\n")
	if err := r.Rollback(abi.Admit); err != nil {
		t.Fatal(err)
	}
	r = newRig(t, dir, nil)
	r.start(t, "")
	check("rate=50\n", "rate=70\n")

	// What was rolled back was the parameters: others may be configured.
	for _, c := range [][2]string{{"rate=70\n", "rate=50\n"}, {"rate=90\n", "rate=90\n"}} {
		params, want := c[0], c[1]
		r = newRig(t, dir, nil)
		if err := r.Start(t.Context(), map[abi.Kind]policy.Configured{abi.Admit: {Ref: "token-bucket", Params: []byte(params)}}); err != nil {
			t.Fatal(err)
		}
		if got := string(r.decider.Active(abi.Admit).Active.Policy.Params); got != want {
			t.Errorf("configured with %q, %q decides; want %q", params, got, want)
		}
	}
}

// A module often arrives before its signature.
func TestSignatureArrivesLater(t *testing.T) {
	key, trust := ann(t)
	signed := func(file, name string, age int) {
		t.Helper()
		sig, err := sign.Sign(key, code(t, name), nil)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file+policy.SignatureSuffix, sig, age)
	}
	file := write(t, filepath.Join(t.TempDir(), "p.wasm"), code(t, "nearest"), 0)
	signed(file, "nearest", 0)
	r := newRig(t, t.TempDir(), trust.Verify)
	r.start(t, file)
	write(t, file, code(t, "random"), 1)
	if told := r.poll(t); len(told) != 1 || told[0].Err == nil {
		t.Fatalf("told %+v", told)
	}
	signed(file, "random", 1)
	if told := r.poll(t); len(told) != 1 || told[0].Err != nil || told[0].Digest != sha256.Sum256(code(t, "random")) {
		t.Fatalf("told %+v", told)
	}
}

// Giving a policy again that decides already must not lose the one to go back to.
func TestTheSameAgain(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "p.wasm"), code(t, "nearest"), 0)
	r := newRig(t, t.TempDir(), nil)
	r.start(t, file)
	write(t, file, code(t, "random"), 1)
	r.poll(t)
	before := r.decider.Active(abi.Route).Generation
	write(t, file, code(t, "random"), 2)
	if told := r.poll(t); len(told) != 0 {
		t.Errorf("told %+v", told)
	}
	if err := r.Activate(t.Context(), abi.Route, r.find(t, file)); err != nil {
		t.Fatal(err)
	}
	st := r.decider.Active(abi.Route)
	if st.Generation != before || st.LastGood == nil || st.LastGood.Digest != sha256.Sum256(code(t, "nearest")) {
		t.Errorf("generation %d after %d, last good %+v", st.Generation, before, st.LastGood)
	}
}

// A node starts although nothing that decided before is left, also if the
// configured policy was rolled back.
func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(t.TempDir(), "p.wasm"), code(t, "random"), 0)
	r := newRig(t, dir, nil)
	r.start(t, write(t, filepath.Join(t.TempDir(), "q.wasm"), code(t, "nearest"), 0))
	r.activate(t, abi.Route, file, "")
	if err := r.Rollback(abi.Route); err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
	for _, m := range modules {
		err = errors.Join(err, os.WriteFile(m, []byte("\x00asm"), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	r = newRig(t, dir, nil)
	r.start(t, file)
	r.decides(t, policies.DefaultRoute, "", "")
}

// Long names, as an order may bring, must not spoil the state.
func TestLongName(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, nil)
	r.start(t, "")
	if err := r.Activate(t.Context(), abi.Route, &policy.Module{Name: strings.Repeat("ö", 1<<20), Code: code(t, "nearest")}); err != nil {
		t.Fatal(err)
	}
	r = newRig(t, dir, nil)
	r.start(t, "")
	if a := r.decider.Active(abi.Route).Active; a.Digest != sha256.Sum256(code(t, "nearest")) {
		t.Errorf("%.20q decides; log: %s", a.Name, r.log.String())
	}
}

// What a crash leaves half written is cleared away.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	half := write(t, filepath.Join(dir, "state.json.123.tmp"), []byte("half"), 0)
	newRig(t, dir, nil).start(t, "")
	if _, err := os.Stat(half); err == nil {
		t.Error("the half-written file is still there")
	}
}
