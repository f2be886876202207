package wasm

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"omx/policies/abi"
)

// goGuest builds a policy of testdata that is written in Go.
func goGuest(t testing.TB, name string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "go.wasm")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", out, "./testdata/"+name+"/main.go")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, b)
	}
	code, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// A policy in Go, with all that its run-time library wants, decides by nothing
// but its view: in the compiler as in the interpreter, again and again.
func TestGoGuest(t *testing.T) {
	code := goGuest(t, "goguest")
	dir := t.TempDir()
	if _, err := newHost(t, Config{}).Load(t.Context(), "go", code, Limits{}); !errors.Is(err, ErrModule) || !strings.Contains(err.Error(), "--policy-large") {
		t.Errorf("loaded without the allowance: %v", err)
	}
	var answers [][]abi.Answer
	var fuels [][]uint64
	for _, c := range []Config{{CacheDir: dir}, {CacheDir: dir}, {Interpreter: true}} {
		m, err := newHost(t, c).Compile(t.Context(), "go", code, Limits{Large: true})
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		i, err := m.New(t.Context(), InstanceConfig{Log: func(level int, line string) { lines = append(lines, line) }})
		if err != nil {
			t.Fatal(err)
		}
		var as []abi.Answer
		var fs []uint64
		for seed := range uint64(20) {
			v := sample(t, i, abi.Route, 64)
			h := abi.HeaderAt(v)
			h.Seed, h.Now = seed, 1000+seed
			a, fuel, err := i.Call(abi.Route, len(v), 64)
			if err != nil || a.Status() != abi.OK {
				t.Fatalf("seed %d: %v, %v", seed, a.Status(), err)
			}
			as, fs = append(as, a), append(fs, fuel)
		}
		answers, fuels = append(answers, as), append(fuels, fs)
		if len(lines) != 20 || !strings.HasSuffix(lines[0], " of 64 ") {
			t.Errorf("log %q", lines)
		}
		if i.MemoryBytes() > 16<<20 {
			t.Errorf("takes %d bytes", i.MemoryBytes())
		}
	}
	for n := 1; n < len(answers); n++ {
		if !slices.Equal(answers[n], answers[0]) || !slices.Equal(fuels[n], fuels[0]) {
			t.Errorf("run %d: answers %v, fuel %v; run 0 %v, %v", n, answers[n], fuels[n], answers[0], fuels[0])
		}
	}
	if len(slices.Compact(slices.Sorted(slices.Values(answers[0])))) < 5 {
		t.Errorf("answers %v do not follow from the seed", answers[0])
	}
	t.Logf("fuel of a decision: %d", fuels[0][0])
}

// What a policy logs and counts is kept within bounds, and it pays for it.
func TestLogAndCount(t *testing.T) {
	m, err := newHost(t, Config{}).Compile(t.Context(), "flood", corpus(t, "run")["log-flood"], Limits{})
	if err != nil {
		t.Fatal(err)
	}
	logged := 0
	i, err := m.New(t.Context(), InstanceConfig{Log: func(_ int, line string) { logged += len(line) }})
	if err != nil {
		t.Fatal(err)
	}
	sample(t, i, abi.Route, 8)
	if _, _, err := i.Call(abi.Route, abi.Size(abi.Route, 8), 8); err != nil || i.Counters()[3] != 2 {
		t.Errorf("counters %v, %v", i.Counters(), err)
	}
	if _, _, err := retry(t, i); !errors.Is(err, ErrOutOfFuel) {
		t.Errorf("flood: %v", err)
	}
	if logged > maxLog || i.LogLost() == 0 && logged > 0 {
		t.Errorf("logged %d bytes, %d lines lost", logged, i.LogLost())
	}
}

// One instance's state is not another's, and closing the module closes both.
func TestInstancesShareNothing(t *testing.T) {
	m, err := newHost(t, Config{}).Compile(t.Context(), "counts", corpus(t, "run")["log-flood"], Limits{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := m.New(t.Context(), InstanceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.New(t.Context(), InstanceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for n, i := range []*Instance{a, a, b, a} {
		v := sample(t, i, abi.Route, 8)
		if _, _, err := i.Call(abi.Route, len(v), 8); err != nil {
			t.Fatalf("call %d: %v", n, err)
		}
	}
	if a.Counters()[3] != 6 || b.Counters()[3] != 2 {
		t.Errorf("counters %v and %v", a.Counters(), b.Counters())
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.View(abi.Route, 8); !errors.Is(err, ErrClosed) {
		t.Errorf("view after the module was closed: %v", err)
	}
	if _, err := m.New(t.Context(), InstanceConfig{}); !errors.Is(err, ErrClosed) {
		t.Errorf("instance of a closed module: %v", err)
	}
}

func TestSamples(t *testing.T) {
	code := builtin(t, "nearest")
	i := loadBuiltin(t, "nearest", true)
	v := slices.Clone(sample(t, i, abi.Route, 8))
	right := Sample{Kind: abi.Route, View: v, Answer: abi.Pack(abi.OK, 0)}
	wrong := Sample{Kind: abi.Route, View: v, Answer: abi.Pack(abi.OK, 5)}
	h := newHost(t, Config{})
	for name, c := range map[string]struct {
		samples []Sample
		want    string
	}{
		"right":   {[]Sample{right, right}, ""},
		"wrong":   {[]Sample{right, wrong}, "to sample 2 that it carries"},
		"no view": {[]Sample{{Kind: abi.Route, View: v[:40]}}, "is no view of its kind"},
		"many":    {slices.Repeat([]Sample{right}, maxSamples+1), "more than 64 samples"},
	} {
		_, err := h.Load(t.Context(), name, AppendSamples(code, c.samples), Limits{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	cut := AppendSamples(code, []Sample{right})
	list, err := Samples(cut)
	if err != nil || len(list) != 1 || !slices.Equal(list[0].View, v) || list[0].Answer != right.Answer {
		t.Errorf("read back %d samples, %v", len(list), err)
	}
	m, err := h.Compile(t.Context(), "named", AppendMetadata(code, []byte(`{"name":"near"}`)), Limits{})
	if err != nil || string(m.Info().Metadata) != `{"name":"near"}` {
		t.Errorf("metadata: %v", err)
	}
}
