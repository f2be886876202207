package measure

import (
	"runtime"
	"time"
)

// Timer measures the section between Start and Stop.
type Timer struct {
	begin      time.Time
	cpu        time.Duration
	mem, after runtime.MemStats
	sample     Sample
}

// Start begins the section.
func (t *Timer) Start() {
	runtime.ReadMemStats(&t.mem) // stops the program: outside the section
	t.cpu = processTime()
	t.begin = time.Now()
}

// Stop ends the section, in which n operations were done.
func (t *Timer) Stop(n int64) { t.StopAt(n, time.Since(t.begin)) }

// StopAt is Stop for work whose wall time was taken nearer to it, such as by the
// process that did it.
func (t *Timer) StopAt(n int64, wall time.Duration) {
	cpu := processTime() - t.cpu
	runtime.ReadMemStats(&t.after)
	ops := float64(max(n, 1))
	t.sample = Sample{
		Ops:    n,
		Wall:   float64(wall) / ops,
		CPU:    float64(cpu) / ops,
		Bytes:  float64(t.after.TotalAlloc-t.mem.TotalAlloc) / ops,
		Allocs: float64(t.after.Mallocs-t.mem.Mallocs) / ops,
	}
}
