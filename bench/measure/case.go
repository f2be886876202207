package measure

// Case is one variant of one piece of work.
type Case struct {
	Name    string // of the work: "pool/use/100"; letters, digits, '/', '-', '_'
	Variant string // of how it is done
	Workers int    // goroutines doing it at once; 0 means one per processor used

	// Start prepares one measurement. It is not timed.
	Start func(workers int) (*Run, error)
}

// Run is one prepared measurement. Op or Once is set.
type Run struct {
	// Op does the work n times. Several workers call it at once.
	Op func(w *Worker, n int)
	// Drain, if set, waits for what Op has left behind. It is timed.
	Drain func()
	// Once does the work a single time and says itself, by the timer, which part
	// of that counts.
	Once func(t *Timer)
	// Close, if set, cleans up. It is not timed. What it returns is shown beside
	// the figures.
	Close func() (note string)
}

// Worker is one goroutine that does the work.
type Worker struct {
	Index, Workers int // Index is 0 to Workers-1
	Next           int // for Op's own use, 0 at the start

	_ [104]byte // workers write Next: keep them off one another's cache lines
}

// Sample is one measurement of one case. Times are nanoseconds. The rate of all
// workers together is 1e9/Wall operations a second.
type Sample struct {
	Ops    int64   `json:"ops"`
	Wall   float64 `json:"ns_per_op"`
	CPU    float64 `json:"cpu_ns_per_op"` // of the whole process; 0 where unknown
	Bytes  float64 `json:"bytes_per_op"`
	Allocs float64 `json:"allocs_per_op"`
	P50    float64 `json:"p50_ns"` // 0 for work that is done once
	P99    float64 `json:"p99_ns"`
}

// Series is all samples of one case.
type Series struct {
	Name    string   `json:"name"`
	Variant string   `json:"variant"`
	Procs   int      `json:"procs"`
	Workers int      `json:"workers"`
	Samples []Sample `json:"samples"`
	Note    string   `json:"note,omitempty"`
}
