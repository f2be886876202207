package seed

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"omx/bench/measure"
	"omx/node/monitor"
)

// usage is what the older designs report about a machine.
type usage struct {
	at                    time.Time
	cpu                   float64
	memTotal, memFree     uint64
	heap, disk, rx, tx    uint64
	goroutines, processes int
}

// naiveSample reads whole files, splits them into words and stops the program
// for the heap's size. The processor's share is the average since boot.
func naiveSample() (u usage) {
	if b, err := os.ReadFile("/proc/stat"); err == nil {
		for _, line := range strings.Split(string(b), "\n") {
			f := strings.Fields(line)
			if len(f) < 5 || f[0] != "cpu" {
				continue
			}
			var total, idle float64
			for i, word := range f[1:] {
				v, err := strconv.ParseFloat(word, 64)
				if err != nil {
					continue
				}
				if total += v; i == 3 {
					idle = v
				}
			}
			u.cpu = 100 * (total - idle) / total
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		for _, line := range strings.Split(string(b), "\n") {
			f := strings.Fields(line)
			if len(f) < 2 {
				continue
			}
			v, err := strconv.ParseUint(f[1], 10, 64)
			if err != nil {
				continue
			}
			switch f[0] {
			case "MemTotal:":
				u.memTotal = v << 10
			case "MemAvailable:":
				u.memFree = v << 10
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.heap, u.goroutines, u.at = m.Alloc, runtime.NumGoroutine(), time.Now()
	return u
}

// reportMonitor asks the Go runtime only, and makes up the rest: the share of
// the processor is the number of garbage collections modulo 100, the use of the
// disk a tenth of the heap, the traffic 100 KiB for each peer. It offers each
// update to a channel that nobody in its benchmark reads, and starts a goroutine
// once that is full.
type reportMonitor struct {
	cur     usage
	updates chan *usage
	peers   func() int
}

func newReportMonitor() *reportMonitor {
	return &reportMonitor{updates: make(chan *usage, 100), peers: func() int { return 100 }}
}

func (r *reportMonitor) update() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.cur.heap = m.Alloc
	r.cur.cpu = float64(m.NumGC % 100)
	r.cur.disk = m.Alloc / 10
	r.cur.rx = uint64(r.peers()) * 100 << 10
	r.cur.tx = r.cur.rx
	r.cur.at = time.Now()
	select {
	case r.updates <- &r.cur:
	default:
		go func() {}()
	}
}

func repeat(op func()) *measure.Run {
	return &measure.Run{Op: func(_ *measure.Worker, n int) {
		for range n {
			op()
		}
	}}
}

func naiveUpdate(int) (*measure.Run, error) {
	return repeat(func() { naiveSample() }), nil
}

func reportUpdate(int) (*measure.Run, error) {
	return repeat(newReportMonitor().update), nil
}

func omxMonitor(op func(*monitor.Monitor)) startFunc {
	return func(int) (*measure.Run, error) {
		m, err := monitor.New(monitor.Config{})
		if err != nil {
			return nil, err
		}
		run := repeat(func() { op(m) })
		run.Close = func() string { m.Close(); return "" }
		return run, nil
	}
}
