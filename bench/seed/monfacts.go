package seed

import (
	"context"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"omx/bench/measure"
	"omx/node/monitor"
)

// pauses counts how often a thousand samples stop the whole program.
func pauses() (Fact, error) {
	f := Fact{Name: "monitor/pauses", Title: "program stops by 1,000 samples"}
	const samples = 1000
	count := func(sample func()) float64 {
		before := stops()
		for range samples {
			sample()
		}
		return float64(stops() - before)
	}
	m, err := monitor.New(monitor.Config{})
	if err != nil {
		return f, err
	}
	defer m.Close()
	f.Naive = count(func() { naiveSample() })
	f.Report = count(newReportMonitor().update)
	f.Omx = count(m.Full)
	return f, nil
}

// stops is how often the program was stopped so far for another reason than to
// collect garbage.
func stops() (n uint64) {
	s := []metrics.Sample{{Name: "/sched/pauses/total/other:seconds"}}
	metrics.Read(s)
	if s[0].Value.Kind() == metrics.KindFloat64Histogram {
		for _, c := range s[0].Value.Float64Histogram().Counts {
			n += c
		}
	}
	return n
}

// wrongCPU keeps one processor busy and tells by how many points each design's
// share of the machine's processors is wrong then. The truth is the kernel's
// account of all of them, in another file than the one omx reads, and at least
// what this program was charged for. Over a short while the kernel counts too
// coarsely to judge by.
func wrongCPU(ctx context.Context, load time.Duration, judge bool) (Fact, error) {
	f := Fact{Name: "monitor/truth", Title: "points the share of processors is off", Most: 5}
	if !judge {
		f.Most = 100
	}
	m, err := monitor.New(monitor.Config{})
	if err != nil {
		return f, err
	}
	defer m.Close()
	var before, after ticks
	var known bool
	spin := measure.Case{Name: f.Name, Variant: "spin", Workers: 1, Start: func(int) (*measure.Run, error) {
		return &measure.Run{Once: func(timer *measure.Timer) {
			m.Light()
			before, known = busyTicks()
			timer.Start()
			for began := time.Now(); time.Since(began) < load; {
				runtime.KeepAlive(began)
			}
			timer.Stop(1)
			after, _ = busyTicks()
			m.Light()
		}}, nil
	}}
	spun, err := measure.Cases(ctx, []measure.Case{spin}, measure.Config{Repeats: 1}, io.Discard)
	if err != nil {
		return f, err
	}
	r, omx := newReportMonitor(), m.Read()
	if !known || after.all == before.all || !omx.Has(monitor.CPU) {
		return Fact{Name: f.Name}, nil // the system does not tell
	}
	truth := 100 * float64(after.busy-before.busy) / float64(after.all-before.all)
	charged := 100 * spun[0].Samples[0].CPU / spun[0].Samples[0].Wall / float64(omx.CPUs)
	wrongBy := func(share float64) float64 { return max(math.Abs(share-truth), charged-share) }
	r.update()
	f.Naive, f.Report, f.Omx = wrongBy(naiveSample().cpu), wrongBy(r.cur.cpu), wrongBy(omx.CPU)
	return f, nil
}

type ticks struct{ busy, all uint64 }

// busyTicks reads the kernel's account of processor time.
func busyTicks() (t ticks, ok bool) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t, false
	}
	line, _, _ := strings.Cut(string(b), "\n")
	words := strings.Fields(line)
	if len(words) < 9 || words[0] != "cpu" {
		return t, false
	}
	for i, w := range words[1:9] { // the two after it are counted in the first two
		v, err := strconv.ParseUint(w, 10, 64)
		if err != nil {
			return t, false
		}
		t.all += v
		if i != 3 { // idle
			t.busy += v
		}
	}
	return t, true
}
