package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"omx/node/decide"
	"omx/policies/abi"
)

// Config bounds a journal. The zero value means the defaults.
type Config struct {
	MaxFileBytes int64  // default 16 MiB, from 128 KiB to 1 GiB
	MaxFiles     int    // default 8, from 1 to 10,000
	RingBytes    int    // memory for what is not written yet; default 4 MiB, from 128 KiB to 16 MiB
	Version      string // of omx, for the reader
}

const (
	defaultFileBytes = 16 << 20
	defaultFiles     = 8
	defaultRing      = 4 << 20
	leastBytes       = 128 << 10
	mostFileBytes    = 1 << 30
	mostFiles        = 10_000
	mostRing         = 2 * maxBlock
)

func (c *Config) check() error {
	c.MaxFileBytes = cmp.Or(c.MaxFileBytes, defaultFileBytes)
	c.MaxFiles = cmp.Or(c.MaxFiles, defaultFiles)
	c.RingBytes = cmp.Or(c.RingBytes, defaultRing)
	switch {
	case c.MaxFileBytes < leastBytes || c.MaxFileBytes > mostFileBytes:
		return fmt.Errorf("files of %d bytes: from %d to %d are possible", c.MaxFileBytes, leastBytes, mostFileBytes)
	case c.MaxFiles < 1 || c.MaxFiles > mostFiles:
		return fmt.Errorf("%d files: from 1 to %d are possible", c.MaxFiles, mostFiles)
	case c.RingBytes < leastBytes || c.RingBytes > mostRing:
		return fmt.Errorf("a ring of %d bytes: from %d to %d are possible", c.RingBytes, leastBytes, mostRing)
	}
	return nil
}

// Writer records decisions. Its methods may be called from any goroutine; those
// that record never wait for the disk and allocate nothing once views have been as
// large as they get. When the disk does not keep up, records are dropped and
// counted.
type Writer struct {
	files rotation
	wake  chan struct{} // a block is to be written
	// enough bytes for a block, if another is free: reading is fastest when blocks
	// fit the processor's cache, and a crash loses less.
	enough int

	mu     sync.Mutex
	enc    encoder // of the present block
	before uint64  // records lost before the present block
	lost   uint64  // records lost after it
	full   bool    // it takes no more, and there is no other yet
	spare  []byte  // the other block; nil while it is being written
	sealed sealed
	stats  Stats
	closed bool
}

// sealed is a block to be written.
type sealed struct {
	b             []byte // nil: there is none
	records, lost uint64
}

// Stats are what a Writer has done since it was opened.
type Stats struct {
	Records uint64 // taken
	Lost    uint64 // dropped, or taken and not written
	Bytes   int64  // written
	Err     error  // the last failure to write; nil after a success
}

// Open makes the folder, for its owner only, and begins a file in it with the first
// block that is written. The owner runs Run, and calls Flush every second or so.
func Open(dir string, c Config) (*Writer, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("open decision journal: %w", err)
	}
	r, err := newRotation(dir, c)
	if err != nil {
		return nil, fmt.Errorf("open decision journal: %w", err)
	}
	w := &Writer{files: r, wake: make(chan struct{}, 1)}
	// Two halves: one fills while the other is written.
	half := min(c.RingBytes/2, int(c.MaxFileBytes)-fileHead)
	w.enough = half / 8
	w.spare = make([]byte, 0, half)
	w.enc.restart(make([]byte, 0, half)[:blockHead])
	return w, nil
}

var _ decide.Journal = (*Writer)(nil)

// Decision records a decision with the view it was taken from.
func (w *Writer) Decision(t *decide.Taken) {
	p, ok := split(t.View)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !ok || t.Kind == 0 || int(t.Kind) >= kinds {
		w.drop()
		return
	}
	if !w.ready() {
		return
	}
	if w.enc.decision(t, p) || w.another() && w.enc.decision(t, p) {
		w.stats.Records++
		if len(w.enc.b) > w.enough && w.spare != nil {
			w.another()
		}
		return
	}
	w.spoil()
}

// Event records what the policy that decides kind was told.
func (w *Writer) Event(kind abi.Kind, e *abi.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if int(kind) >= kinds || !w.ready() {
		return
	}
	if w.enc.putEvent(kind, e) || w.another() && w.enc.putEvent(kind, e) {
		w.stats.Records++
		return
	}
	w.spoil()
}

// Fresh records that from here an instance without any state decides kind.
func (w *Writer) Fresh(kind abi.Kind, digest [32]byte, params []byte, generation uint64) {
	w.policy(kind, digest, params, generation, 0)
}

// Resumes records that from here an instance with the state that it had decides
// kind: one that did before.
func (w *Writer) Resumes(kind abi.Kind, digest [32]byte, params []byte, generation uint64) {
	w.policy(kind, digest, params, generation, isContinued)
}

func (w *Writer) policy(kind abi.Kind, digest [32]byte, params []byte, generation uint64, flags byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if int(kind) >= kinds || len(params) > maxParams {
		w.drop()
		return
	}
	w.enc.begins(kind, digest, params, generation) // also if it is lost: later blocks tell
	if !w.ready() {
		return
	}
	if w.enc.fresh(kind, flags) || w.another() && w.enc.fresh(kind, flags) {
		w.stats.Records++
		return
	}
	w.spoil()
}

// Outcome records how the request of a decision ended.
func (w *Writer) Outcome(o Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ready() {
		return
	}
	if w.enc.putOutcome(&o) || w.another() && w.enc.putOutcome(&o) {
		w.stats.Records++
		return
	}
	w.spoil()
}

// Flush hands what was recorded to Run, so that a crash loses little.
func (w *Writer) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.enc.records > 0 && w.spare != nil {
		w.another()
	}
}

// Stats tells what was done so far.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stats
}

func (w *Writer) drop() {
	w.lost++
	w.stats.Lost++
}

// ready tells whether a record can be taken.
func (w *Writer) ready() bool {
	if w.closed || w.full && !w.another() {
		w.drop()
		return false
	}
	return true
}

// spoil ends the present block after a record that did not fit: half of it may
// have gone into what the next is compared with.
func (w *Writer) spoil() {
	w.drop()
	w.full = true
}

// another seals the present block and begins the next; false if that is still
// being written.
func (w *Writer) another() bool {
	if w.spare == nil {
		w.full = true
		return false
	}
	w.full = false
	next := w.enc.b
	if w.enc.records > 0 {
		w.sealed = sealed{w.enc.b, w.enc.records, w.before}
		next, w.spare = w.spare, nil
		select {
		case w.wake <- struct{}{}:
		default: // Run is awake
		}
		w.before = 0
	}
	w.before += w.lost
	w.lost = 0
	w.enc.restart(next)
	return true
}

// Run writes what is recorded until ctx ends, and then what is left. Records after
// that are dropped. It returns the last failure, if nothing was written since.
func (w *Writer) Run(ctx context.Context) error {
	for done := false; !done; {
		select {
		case <-w.wake:
		case <-ctx.Done():
			done = true
		}
		w.write()
	}
	w.mu.Lock()
	w.closed = true
	w.full = false
	if w.enc.records > 0 {
		w.another()
	}
	w.mu.Unlock()
	w.write()
	return errors.Join(w.Stats().Err, w.files.close())
}

// write writes the sealed block, if there is one.
func (w *Writer) write() {
	w.mu.Lock()
	s := w.sealed
	w.mu.Unlock()
	if s.b == nil {
		return
	}
	putBlockHead(s.b, s.records, s.lost)
	err := w.files.write(s.b)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sealed, w.spare = sealed{}, s.b
	w.stats.Err = err
	if err != nil {
		w.before += s.records + s.lost // the present block is the next
		w.stats.Lost += s.records
		return
	}
	w.stats.Bytes += int64(len(s.b))
}
