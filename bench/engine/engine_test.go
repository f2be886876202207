package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"omx/bench/measure"
	"omx/node/engine"
	"omx/node/nodetest"
)

// The test program is its own worker and its own bare binding, as omx is. buntdb
// leaves a goroutine that looks twice a second whether its store is closed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		os.Exit(engine.RunWorker(context.Background(), os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) > 2 && os.Args[2] == BareArgs[1] {
		os.Exit(RunBare(os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/tidwall/buntdb.(*DB).backgroundManager"))
}

func options(t *testing.T) Options {
	t.Helper()
	return Options{EngineDirs: nodetest.EngineDirs(t), Threads: 1, Short: true}
}

func TestRun(t *testing.T) {
	r, err := Run(t.Context(), options(t), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Models) != 2 || len(r.Speed) != 2*9 {
		t.Fatalf("%d models, %d rates", len(r.Models), len(r.Speed))
	}
	for _, s := range r.Speed {
		if sum := s.Summary(); sum.Rate <= 0 || s.Samples[0].Ops < int64(shortCounts.tokens) {
			t.Errorf("%s by %s: %+v", s.Name, s.Variant, s.Samples)
		}
		// The race detector and other work slow the node down, but nothing that does
		// the same work is a hundred times as fast.
		if share := r.share(s.Name, s.Variant); share < 0.01 || share > 100 {
			t.Errorf("%s by %s: %v of bare", s.Name, s.Variant, share)
		}
	}
	for _, m := range r.Models {
		f := m.First
		if m.Bytes == 0 || f.Prompt < firstLetters || f.Bare.P50 <= 0 || f.Hop.P50 <= 0 || f.Plain.P50 <= 0 || f.Engine.P50 <= 0 || f.HTTP.P50 <= 0 || f.HTTP.P99 < f.HTTP.P50 || f.Own.P50 <= 0 || f.Own.P50 >= f.HTTP.P50 {
			t.Errorf("%s: %+v", m.Name, f)
		}
		if p := m.Prefix; p.Cached < leastCached || p.Tokens < shortCounts.letters/2 || p.First <= 0 || p.Second <= 0 {
			t.Errorf("%s: %+v", m.Name, p)
		}
	}
	if l := r.Recovery; l != nil && (l.Back <= 0 || !l.Up || l.Broken != 0 || l.GapBefore <= 0 || l.GapAfter <= 0) {
		t.Errorf("%+v", l)
	}
	asJSON := func(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
	for name, write := range map[string]func(io.Writer) error{"table": r.WriteTable, "markdown": r.WriteMarkdown, "json": asJSON, "gobench": r.WriteGobench} {
		var b bytes.Buffer
		if err := write(&b); err != nil || !strings.Contains(b.String(), variantHTTP) {
			t.Errorf("%s: %v\n%s", name, err, &b)
		}
		_, tables, _ := strings.Cut(b.String(), "\n") // the machine's line is as long as its name
		for line := range strings.Lines(tables) {
			if n := utf8.RuneCountInString(line) - 1; name == "table" && n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
	}
}

// All ways read the same prompt, and none takes a short answer for a long one.
func TestWays(t *testing.T) {
	dir := t.TempDir()
	for name, make := range map[string]func() (string, error){
		"demo":    func() (string, error) { return engine.DemoModel(dir) },
		"endless": func() (string, error) { return endless(dir) },
		"random":  func() (string, error) { path := filepath.Join(dir, "random.gguf"); return path, tinyShape.random(path) },
	} {
		path, err := make()
		if err != nil {
			t.Fatal(err)
		}
		r, err := newRig(t.Context(), options(t), path, t.Output())
		if err != nil {
			t.Fatal(err)
		}
		for _, by := range r.ways {
			const prompt = "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n"
			count, err := r.askBare(t.Context(), []string{prompt}, 0)
			if err != nil || count.prompt < 4 {
				t.Fatalf("%s: %d tokens, %v", name, count.prompt, err)
			}
			took, err := by.ask(t.Context(), []string{prompt, "and again"}, 100)
			short := name == "demo" && by.name != variantBare // the bare loop does not look for an end
			if short != (err != nil && strings.Contains(err.Error(), "100 were asked for")) || !short && err != nil {
				t.Errorf("%s by %s: %v", name, by.name, err)
			}
			if took.prompt != count.prompt && !short || took.first > took.whole {
				t.Errorf("%s by %s: %+v, the prompt has %d tokens", name, by.name, took, count.prompt)
			}
		}
		if err := r.close(); err != nil {
			t.Error(err)
		}
	}
}

func TestBareTellsWhatIsWrong(t *testing.T) {
	opt := options(t)
	lib, err := engine.Find(opt.EngineDirs...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := startBare(t.Context(), bareLoad{Library: lib.Dir, Model: "/nowhere.gguf", Slots: 1, Context: 64, Threads: 1}, io.Discard)
	if err == nil || c != nil {
		t.Error("a model that is not there was loaded")
	}
}

func TestRandomModel(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, path := range []string{a, b} {
		if err := tinyShape.random(path); err != nil {
			t.Fatal(err)
		}
	}
	h, err := engine.CheckGGUF(a)
	if err != nil || h.Architecture != "llama" || h.Context != tinyShape.context || h.Tensors != 3+9*tinyShape.layers {
		t.Errorf("%+v, %v", h, err)
	}
	first, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(b)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("the same shape gives two files (%v)", err)
	}
}

func TestHalf(t *testing.T) {
	for v, want := range map[float32]uint16{0: 0, 1: 0x3c00, -2: 0xc000, 0.5: 0x3800, 1.5: 0x3e00, 1e-9: 0} {
		if got := half(v); got != want {
			t.Errorf("half(%v) = %#x, want %#x", v, got, want)
		}
	}
	seen := map[rune]bool{}
	for b := range 256 {
		seen[byteRune(b)] = true
	}
	if len(seen) != 256 || byteRune(' ') != 'Ġ' || byteRune('\n') != 'Ċ' {
		t.Errorf("%d characters for 256 bytes", len(seen))
	}
}

func TestParent(t *testing.T) {
	if got := parentOf(os.Getpid()); got != os.Getppid() && got != 0 {
		t.Errorf("parent %d, want %d", got, os.Getppid())
	}
	if _, err := workerOf("/nowhere.gguf"); err == nil {
		t.Error("a worker of no model was found")
	}
}

// good is a result that misses nothing.
func good() *Result {
	r := &Result{Models: []*Model{{Name: "demo", Prefix: Prefix{Cached: 1, First: 100, Second: 10},
		First: First{Bare: Quantiles{time.Millisecond, 2 * time.Millisecond}, Own: Quantiles{200 * time.Microsecond, 900 * time.Microsecond}}}},
		Recovery: &Recovery{Back: time.Second, Up: true}}
	for _, w := range fullCounts.works() {
		for _, by := range []string{variantBare, variantEngine, variantHTTP} {
			// The machine became twice as slow between the turns.
			r.Speed = append(r.Speed, measure.Series{Name: "demo/" + w.row, Variant: by, Samples: []measure.Sample{{Wall: 100}, {Wall: 200}, {Wall: 201}}})
		}
	}
	return r
}

func TestCheck(t *testing.T) {
	slow := func(row, variant string, wall float64) func(r *Result) {
		return func(r *Result) {
			s := r.series("demo/"+row, variant)
			for i := range s.Samples {
				s.Samples[i].Wall *= wall
			}
		}
	}
	m := func(edit func(m *Model)) func(r *Result) { return func(r *Result) { edit(r.Models[0]) } }
	for want, edit := range map[string]func(r *Result){
		"": slow(rowOne, variantHTTP, 1.02),
		"demo/decode/1 by HTTP: 95.2 % of the bare binding's rate, the goal is 97 %": slow(rowOne, variantHTTP, 1.05),
		"demo/decode/4 by engine: 90.9 %":                                            slow(rowMany, variantEngine, 1.1),
		"demo/prefill by HTTP: 95.2 %":                                               slow(rowPrefill, variantHTTP, 1.05),
		"own part is 400 µs":                                                         m(func(m *Model) { m.First.Own.P50 = 400 * time.Microsecond }),
		"1 in 100 over 1.50 ms":                                                      m(func(m *Model) { m.First.Own.P99 = 1500 * time.Microsecond }),
		"demo/prefix: 90.0 % was not read again":                                     m(func(m *Model) { m.Prefix.Cached = 0.9 }),
		"takes 0.30x of the first's time":                                            m(func(m *Model) { m.Prefix.Second = 30 }),
		"answers again after 3 s":                                                    func(r *Result) { r.Recovery.Back = 3 * time.Second },
		"the node did not answer":                                                    func(r *Result) { r.Recovery.Up = false },
		"recovery: 1 answers":                                                        func(r *Result) { r.Recovery.Broken = 1 },
		"demo/decode/4 by HTTP: 0.0 % of the bare binding's rate":                    func(r *Result) { r.series("demo/"+rowMany, variantHTTP).Samples = nil },
	} {
		r := good()
		edit(r)
		if err := r.Check(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
