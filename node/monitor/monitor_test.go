package monitor

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"omx/node/nodetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, cfg Config) *Monitor {
	t.Helper()
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		ok   bool
	}{
		{"zero", Config{}, true},
		{"slow", Config{LightEvery: time.Minute, FullEvery: time.Hour}, true},
		{"only light given", Config{LightEvery: time.Minute}, true},
		{"too quick", Config{LightEvery: time.Millisecond}, false},
		{"negative", Config{LightEvery: -1}, false},
		{"full more often than light", Config{LightEvery: time.Second, FullEvery: 500 * time.Millisecond}, false},
		{"too seldom", Config{FullEvery: 2 * time.Hour}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.cfg.Validate(); (err == nil) != tt.ok {
				t.Errorf("%v", err)
			}
		})
	}
	if m, err := New(Config{Dir: "/does/not/exist"}); err == nil {
		m.Close()
		t.Error("a folder that is not there was accepted")
	}
}

func TestRuntimeFigures(t *testing.T) {
	m := open(t, Config{Dir: t.TempDir()})
	r := m.Read()
	if !r.Has(Runtime) || r.Goroutines < 2 || r.Heap == 0 {
		t.Errorf("%+v", r)
	}
	if age := time.Since(time.UnixMicro(r.At)); age < 0 || age > time.Minute || r.FullAt != r.At {
		t.Errorf("age %v, at %d, full at %d", age, r.At, r.FullAt)
	}
	if s := (CPU | Disk | Runtime).String(); s != "cpu,disk,runtime" {
		t.Errorf("fields %q", s)
	}
	if fieldsEnd != 1<<len(fieldNames) {
		t.Error("a field has no name")
	}
}

func TestRun(t *testing.T) {
	m := open(t, Config{LightEvery: 100 * time.Millisecond, FullEvery: 200 * time.Millisecond})
	start := m.Read()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	nodetest.Eventually(t, "a full sample, and a light one after it", func() bool {
		r := m.Read()
		return r.FullAt != start.FullAt && r.At != r.FullAt
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	m.Close()
	m.Close()
	last := m.Read()
	m.Full() // closed: does nothing
	if m.Read() != last {
		t.Error("a closed monitor still samples")
	}
}

// Readers see one reading or another, never a mixture.
func TestPublishedIsNotTorn(t *testing.T) {
	var p published
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := uint64(1); ; i++ {
			select {
			case <-stop:
				return
			default:
				f := float64(i)
				p.store(&Reading{int64(i), int64(i), Field(i), f, f, i, i, i, i, i, i, i, i})
			}
		}
	})
	for range 4 {
		wg.Go(func() {
			for range 20_000 {
				r := p.load()
				i := uint64(r.At)
				f := float64(i)
				if want := (Reading{int64(i), int64(i), Field(i), f, f, i, i, i, i, i, i, i, i}); r != want {
					t.Errorf("torn: %+v", r)
					return
				}
			}
		})
	}
	time.AfterFunc(200*time.Millisecond, func() { close(stop) })
	wg.Wait()
}

func TestAllocs(t *testing.T) {
	m := open(t, Config{})
	var sink Reading
	for _, tt := range []struct {
		name string
		f    func()
	}{
		{"Read", func() { sink = m.Read() }},
		{"Light", m.Light},
		{"Full", m.Full},
	} {
		if n := testing.AllocsPerRun(200, tt.f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", tt.name, n)
		}
	}
	_ = sink
}

func BenchmarkRead(b *testing.B) {
	m := open(b, Config{})
	b.ReportAllocs()
	for b.Loop() {
		m.Read()
	}
}

func BenchmarkLight(b *testing.B) {
	m := open(b, Config{})
	b.ReportAllocs()
	for b.Loop() {
		m.Light()
	}
}

func BenchmarkFull(b *testing.B) {
	m := open(b, Config{})
	b.ReportAllocs()
	for b.Loop() {
		m.Full()
	}
}
