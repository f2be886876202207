package measure

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9 {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestSummary(t *testing.T) {
	s := Series{Samples: []Sample{{Wall: 10, Allocs: 1}, {Wall: 40, Allocs: 1}, {Wall: 20, Allocs: 1}}}
	sum := s.Summary()
	near(t, "median", sum.Wall.Median, 20)
	near(t, "spread", sum.Wall.Spread, 0.75)
	near(t, "spread of what is constant", sum.Allocs.Spread, 0)
	near(t, "rate", sum.Rate, 5e7)
	if empty := (&Series{}).Summary(); empty != (Summary{}) {
		t.Errorf("summary of nothing: %+v", empty)
	}
}

func TestFormat(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Nanos(0), "0 ns"}, {Nanos(1.9), "1.90 ns"}, {Nanos(23.46), "23.5 ns"}, {Nanos(999.4), "999 ns"},
		{Nanos(999.6), "1 µs"}, {Nanos(1234), "1.23 µs"}, {Nanos(3.63e8), "363 ms"}, {Nanos(-1234), "-1.23 µs"}, {Nanos(5e12), "5,000 s"},
		{Times(4.62), "4.62x"}, {Times(18322), "18,322x"}, {Times(math.Inf(1)), "-x"},
		{Count(-1234567), "-1,234,567"}, {Count(999), "999"}, {PerOp(0.9), "0"}, {PerOp(1), "1"}, {PerOp(24721.3), "24,721"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestTable(t *testing.T) {
	table := Table{Head: []string{"", "ns/op", "±"}, Rows: [][]string{{"a title that is long"}, {"one", "1.5 µs", "3%"}, {"eleven", "2|", ""}}}
	var text, md bytes.Buffer
	if err := errors.Join(table.WriteText(&text), table.WriteMarkdown(&md)); err != nil {
		t.Fatal(err)
	}
	wantText := "          ns/op  ±\na title that is long\n  one    1.5 µs 3%\n  eleven     2|\n"
	if text.String() != wantText {
		t.Errorf("got\n%q, want\n%q", text.String(), wantText)
	}
	wantMD := "|  | ns/op | ± |\n|---|---:|---:|\n| a title that is long |  |  |\n| one | 1.5 µs | 3% |\n| eleven | 2\\| |  |\n"
	if md.String() != wantMD {
		t.Errorf("got\n%s, want\n%s", md.String(), wantMD)
	}
}

func TestWrap(t *testing.T) {
	text := Wrap("eins zwei µµµµ drei unendlichlangeswort vier", "> ", 12)
	want := "> eins zwei\n> µµµµ drei\n> unendlichlangeswort\n> vier\n"
	if text != want {
		t.Errorf("got\n%s, want\n%s", text, want)
	}
	for line := range strings.Lines(Wrap(strings.Repeat("word ", 100), "", 40)) {
		if n := utf8.RuneCountInString(line) - 1; n > 40 {
			t.Errorf("line of %d columns", n)
		}
	}
}

// Variants take turns, each measurement is closed, and what was counted is what
// was done.
func TestCases(t *testing.T) {
	var order []string
	var open, calls, drained atomic.Int64
	make := func(variant string, workers int) Case {
		return Case{Name: "work", Variant: variant, Workers: workers, Start: func(n int) (*Run, error) {
			order = append(order, variant)
			if workers != 0 && n != workers {
				t.Errorf("%d workers, want %d", n, workers)
			}
			open.Add(1)
			return &Run{
				Op:    func(_ *Worker, n int) { calls.Add(int64(n)) },
				Drain: func() { drained.Add(1) },
				Close: func() string { open.Add(-1); return "closed " + variant },
			}, nil
		}}
	}
	once := Case{Name: "once", Variant: "c", Workers: 1, Start: func(int) (*Run, error) {
		order = append(order, "c")
		return &Run{Once: func(timer *Timer) {
			timer.Start()
			time.Sleep(2 * time.Millisecond)
			timer.Stop(1)
		}}, nil
	}}
	before := runtime.GOMAXPROCS(0)
	all, err := Cases(context.Background(), []Case{make("a", 0), make("b", 3), once}, Config{Duration: time.Millisecond, Repeats: 2, Procs: []int{1, 2}}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "abcabcabcabc" {
		t.Errorf("order %s", got)
	}
	if runtime.GOMAXPROCS(0) != before {
		t.Error("GOMAXPROCS is not what it was")
	}
	if open.Load() != 0 || drained.Load() == 0 {
		t.Errorf("%d runs left open, drained %d times", open.Load(), drained.Load())
	}
	counted := int64(0)
	for _, s := range all {
		if len(s.Samples) != 2 {
			t.Errorf("%s/%s: %d samples", s.Name, s.Variant, len(s.Samples))
		}
		for _, x := range s.Samples {
			if x.Ops <= 0 || x.Wall <= 0 {
				t.Errorf("%s/%s: %+v", s.Name, s.Variant, x)
			}
			if s.Variant != "c" {
				counted += x.Ops
			} else if x.Wall < 2e6 {
				t.Errorf("2 ms measured as %v ns", x.Wall)
			}
		}
		if s.Variant != "c" && s.Note != "closed "+s.Variant {
			t.Errorf("note %q", s.Note)
		}
	}
	if counted > calls.Load() || counted == 0 { // the others warmed up and gave latencies
		t.Errorf("%d operations counted, %d done", counted, calls.Load())
	}
	if all[0].Workers != 1 || all[3].Workers != 2 || all[1].Workers != 3 {
		t.Errorf("workers %d %d %d", all[0].Workers, all[3].Workers, all[1].Workers)
	}
}

// One operation of known cost: the figures must be near it.
func TestFiguresAreTrue(t *testing.T) {
	var sink []byte
	c := Case{Name: "alloc", Variant: "v", Workers: 1, Start: func(int) (*Run, error) {
		return &Run{Op: func(_ *Worker, n int) {
			for range n {
				sink = make([]byte, 1024)
				for begin := time.Now(); time.Since(begin) < 20*time.Microsecond; {
				}
			}
		}}, nil
	}}
	all, err := Cases(context.Background(), []Case{c}, Config{Duration: 50 * time.Millisecond, Repeats: 3}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	_ = sink
	s := all[0].Summary()
	if s.Wall.Median < 20e3 || s.P50.Median < 19e3 || s.P99.Median < s.P50.Median {
		t.Errorf("20 µs measured as %+v", s)
	}
	if PerOp(s.Allocs.Median) != "1" || s.Bytes.Median < 1024 || s.Bytes.Median > 1100 {
		t.Errorf("1 allocation of 1024 B measured as %+v", s)
	}
	if runtime.GOOS == "linux" && s.CPU.Median < 15e3 {
		t.Errorf("20 µs of processor time measured as %v ns", s.CPU.Median)
	}
}

// A wall time from elsewhere replaces the timer's own.
func TestStopAt(t *testing.T) {
	var timer Timer
	timer.Start()
	timer.StopAt(4, time.Hour)
	if s := timer.sample; s.Ops != 4 || s.Wall != float64(time.Hour)/4 {
		t.Errorf("4 operations in an hour measured as %+v", s)
	}
}

func TestErrors(t *testing.T) {
	ok := Case{Name: "x", Variant: "y", Start: func(int) (*Run, error) { return &Run{Op: func(*Worker, int) {}}, nil }}
	for _, cfg := range []Config{{Duration: time.Hour}, {Duration: 1}, {Repeats: -1}, {Repeats: 1e6}, {Procs: []int{0}}, {Procs: []int{2, 2}}} {
		if _, err := Cases(context.Background(), []Case{ok}, cfg, io.Discard); err == nil {
			t.Errorf("%+v accepted", cfg)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Cases(ctx, []Case{ok}, Config{}, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	bad := Case{Name: "bad", Variant: "y", Start: func(int) (*Run, error) { return nil, io.ErrUnexpectedEOF }}
	if _, err := Cases(context.Background(), []Case{bad}, Config{}, io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "bad") {
		t.Errorf("start failed: %v", err)
	}
}

// The form is that of https://go.dev/design/14313-benchmark-format.
func TestGobench(t *testing.T) {
	var b bytes.Buffer
	all := []Series{{Name: "pool/use/100", Variant: "omx", Procs: 2, Samples: []Sample{{Ops: 10, Wall: 1.5, Allocs: 0.2}, {Ops: 1, Wall: 3.6e8, Bytes: 1e9}}}}
	if err := WriteGobench(&b, "Seed", Here(), all); err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^(Benchmark[A-Z]\S*-2 \d+( [0-9.e+]+ [a-zA-Z0-9-]+(/op)?)+|[a-z]+: .*)$`)
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for _, l := range lines {
		if !form.MatchString(l) {
			t.Errorf("line %q", l)
		}
	}
	if want := "BenchmarkSeed/pool/use/100/variant=omx-2 10 1.5 ns/op 0 cpu-ns/op 0 B/op 0 allocs/op 0 p50-ns 0 p99-ns"; len(lines) != 6 || lines[4] != want {
		t.Errorf("%d lines, got %q", len(lines), lines[4])
	}
}

func TestMachine(t *testing.T) {
	m := Here()
	if m.Cores < 1 || m.Go == "" || m.OS != runtime.GOOS || !strings.Contains(m.String(), m.Go) {
		t.Errorf("%+v", m)
	}
	if runtime.GOOS == "linux" && (m.Kernel == "" || m.Load == "") {
		t.Errorf("%+v", m)
	}
	for load, want := range map[string]bool{"": false, "0.99 9 9": false, "1.01 0 0": true, "x": false} {
		if got := (Machine{Cores: 2, Load: load}).Busy(); got != want {
			t.Errorf("load %q on 2 cores: busy %v", load, got)
		}
	}
	for in, want := range map[string]string{"0.05 0.01 0.00 2/89 9035": "0.05 0.01 0.00", "": "", "1 2": ""} {
		if got := loadAverage(in); got != want {
			t.Errorf("load of %q is %q", in, got)
		}
	}
}
