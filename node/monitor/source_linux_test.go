package monitor

import (
	"math"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLinuxFigures(t *testing.T) {
	m := open(t, Config{Dir: t.TempDir()})
	r := m.Read()
	if want := Memory | Resident | Disk; !r.Has(want) {
		t.Fatalf("known %v, want %v", r.Known, want)
	}
	if r.Has(CPU) || r.Has(Self) {
		t.Errorf("shares of time after one sample: %v", r.Known)
	}
	if r.MemAvailable > r.MemTotal || r.MemTotal == 0 || r.DiskFree > r.DiskTotal || r.RSS < uint64(os.Getpagesize()) || r.RSS > r.MemTotal {
		t.Errorf("%+v", r)
	}
	if r.CPUs == 0 {
		t.Error("no processors")
	}
}

// The share of this process is checked against the time it really used.
func TestShareOfProcessor(t *testing.T) {
	used := func() time.Duration {
		var ru unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
			t.Fatal(err)
		}
		return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	}
	m := open(t, Config{})
	// The first sample was a moment ago; begin at the next window.
	for begin := time.Now(); time.Since(begin) < minWindow+time.Millisecond; {
		time.Sleep(time.Millisecond)
	}
	m.Full()
	start, busy := time.Now(), used()
	for used()-busy < 300*time.Millisecond {
	}
	m.Full()
	elapsed, spent := time.Since(start), used()-busy
	r := m.Read()
	if !r.Has(CPU | Self) {
		t.Fatalf("known %v", r.Known)
	}
	want := 100 * float64(spent) / float64(elapsed)
	if math.Abs(r.Self-want) > 10 {
		t.Errorf("this process uses %.1f %% of a processor, want %.1f", r.Self, want)
	}
	// The machine was at least as busy as we were; hundredths of a second and
	// what ran between the readings are the margin.
	if least := want/float64(r.CPUs) - 10; r.CPU < least || r.CPU > 100 {
		t.Errorf("machine %.1f %% busy, want at least %.1f", r.CPU, least)
	}
}
