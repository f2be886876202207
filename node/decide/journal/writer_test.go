package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"omx/policies/abi"
)

// Files are of bounded size and number, for their owner only; each can be read
// alone, and says which policy decides.
func TestRotation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	const size, most, decisions = 128 << 10, 3, 4000
	f := newFleet(1, abi.Route, 64, 128)
	digest := [32]byte{7}
	stats := write(t, dir, Config{MaxFileBytes: size, MaxFiles: most, RingBytes: 128 << 10, Version: "1.2"}, func(w *Writer) {
		w.Fresh(abi.Route, digest, []byte("a=1\n"), 4)
		for range decisions {
			w.Decision(f.taken(digest))
			waitIdle(w)
		}
	})
	if stats.Lost != 0 {
		t.Fatalf("%+v", stats)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", info.Mode(), err)
	}
	seqs, err := files(dir)
	if err != nil || len(seqs) != most || seqs[0] == 1 {
		t.Fatalf("files %v, %v", seqs, err)
	}
	for _, seq := range seqs {
		path := filepath.Join(dir, fileName(seq))
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 || info.Size() > size {
			t.Errorf("%s: %v, %d bytes, %v", path, info.Mode(), info.Size(), err)
		}
		var n, fresh, gaps int
		all(t, path, func(r *Record) {
			switch r.Type {
			case TypeDecision:
				n++
				if r.Decision.Digest != digest || fresh == 0 {
					t.Fatal("a decision before it is told which policy decides")
				}
			case TypeFresh:
				fresh++
				if string(r.Fresh.Params) != "a=1\n" || r.Fresh.Generation != 4 || !r.Fresh.Continued {
					t.Fatalf("%+v", r.Fresh)
				}
			case TypeGap:
				gaps++
			}
		})
		if n == 0 || gaps != 1 {
			t.Errorf("%s: %d decisions, %d gaps, want one for what came before", path, n, gaps)
		}
	}
	if gaps := records(t, dir, func(r *Record) bool { return r.Type == TypeGap }); gaps != 1 {
		t.Errorf("%d gaps in the folder, want one for the files that were deleted", gaps)
	}
}

// A second run goes on after the files of the first, and says that it began.
func TestSecondRun(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"1.0", "1.1"} {
		write(t, dir, Config{Version: version}, func(w *Writer) { w.Outcome(Outcome{ID: 1}) })
	}
	write(t, dir, Config{}, func(w *Writer) {}) // nothing to say, no file
	var versions []string
	all(t, dir, func(r *Record) {
		if r.Type == TypeStart {
			versions = append(versions, r.Start.Version)
		}
	})
	if got := strings.Join(versions, " "); got != "1.0 1.1" {
		t.Errorf("runs of versions %s", got)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("another file in the folder: %v", err)
	}
}

// While the disk does not take anything, records are dropped, counted, and told
// as a gap where they would have been.
func TestOverload(t *testing.T) {
	dir := t.TempDir()
	w, err := Open(dir, Config{RingBytes: 128 << 10})
	if err != nil {
		t.Fatal(err)
	}
	f := newFleet(1, abi.Route, 16, 128)
	const decisions = 2000
	for n := range decisions { // nobody writes
		d := f.taken([32]byte{1})
		d.ID = uint64(n)
		w.Decision(d)
	}
	lost := w.Stats().Lost
	if lost == 0 || lost+w.Stats().Records != decisions {
		t.Fatalf("%+v of %d decisions", w.Stats(), decisions)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	waitIdle(w)
	d := f.taken([32]byte{1})
	d.ID = decisions
	w.Decision(d)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if w.Decision(d); w.Stats().Lost != lost+1 {
		t.Error("a decision after the end is not counted as lost")
	}
	next := uint64(0)
	all(t, dir, func(r *Record) {
		switch r.Type {
		case TypeGap:
			if r.Gap.Lost != lost || r.Gap.Damaged != nil {
				t.Errorf("a gap of %d, %d were lost", r.Gap.Lost, lost)
			}
			next += r.Gap.Lost
		case TypeDecision:
			if r.Decision.ID != next {
				t.Fatalf("decision %d follows, not %d", r.Decision.ID, next)
			}
			next++
		}
	})
	if next != decisions+1 {
		t.Errorf("%d decisions are accounted for, not %d", next, decisions+1)
	}
}

// A flush while the disk is busy loses nothing.
func TestFlushWhileBusy(t *testing.T) {
	w, err := Open(t.TempDir(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 10 { // nobody writes
		w.Outcome(Outcome{ID: uint64(n)})
		w.Flush()
	}
	if s := w.Stats(); s.Lost != 0 || s.Records != 10 {
		t.Errorf("%+v", s)
	}
}

// Many may record at a time; each finds its records in its order.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	const writers, each = 4, 300
	stats := write(t, dir, Config{}, func(w *Writer) {
		var wg sync.WaitGroup
		for i := range writers {
			f := newFleet(uint64(i), abi.Route, 3+i, 64)
			f.model = uint64(i)
			wg.Go(func() {
				for n := range each {
					d := f.taken([32]byte{byte(i)})
					d.ID, d.Fuel = uint64(n), uint64(i)
					w.Decision(d)
					if n%50 == 0 {
						w.Flush()
					}
				}
			})
		}
		wg.Wait()
	})
	var next [writers]uint64
	all(t, dir, func(r *Record) {
		if r.Type != TypeDecision {
			return
		}
		d := &r.Decision
		if i := d.Fuel; d.ID != next[i] || d.Digest != [32]byte{byte(i)} || int(abi.HeaderAt(d.View).Count) != 3+int(i) {
			t.Fatalf("decision %d of %d, want %d", d.ID, i, next[i])
		}
		next[d.Fuel]++
	})
	if next != [writers]uint64{each, each, each, each} || stats.Lost != 0 {
		t.Errorf("%v decisions, %+v", next, stats)
	}
}

// What does not fit a block at all, and what is no view, is lost and nothing else.
func TestTooLarge(t *testing.T) {
	dir := t.TempDir()
	large, small := newFleet(1, abi.Route, 4096, 256), newFleet(2, abi.Route, 4, 64)
	stats := write(t, dir, Config{RingBytes: 256 << 10}, func(w *Writer) {
		for range 20 {
			w.Decision(large.taken([32]byte{1}))
			waitIdle(w)
			w.Decision(small.taken([32]byte{1}))
			d := small.taken([32]byte{1})
			d.View = d.View[:100]
			w.Decision(d)
		}
	})
	if stats.Lost != 40 || stats.Records != 20 {
		t.Errorf("%+v", stats)
	}
	if n := records(t, dir, func(r *Record) bool { return r.Type == TypeDecision }); n != 20 {
		t.Errorf("%d small decisions of 20 are read back", n)
	}
}

// A folder that cannot be written to loses records and says why; when it can be
// again, the journal goes on.
func TestDiskFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	w, err := Open(dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	w.Outcome(Outcome{ID: 1})
	w.Flush()
	waitIdle(w)
	if s := w.Stats(); !errors.Is(s.Err, os.ErrNotExist) || s.Lost != 1 {
		t.Errorf("%+v", s)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w.Outcome(Outcome{ID: 2})
	stop()
	if err := <-done; err != nil {
		t.Errorf("after it can be written again: %v", err)
	}
	var ids []uint64
	lost := uint64(0)
	all(t, dir, func(r *Record) {
		lost += r.Gap.Lost
		if r.Type == TypeOutcome {
			ids = append(ids, r.Outcome.ID)
		}
		r.Gap.Lost = 0
	})
	if len(ids) != 1 || ids[0] != 2 || lost != 1 {
		t.Errorf("outcomes %v, %d lost", ids, lost)
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]Config{
		"small file": {MaxFileBytes: 1000}, "large file": {MaxFileBytes: 1 << 40}, "no files": {MaxFiles: -1},
		"many files": {MaxFiles: 1 << 20}, "small ring": {RingBytes: 100}, "large ring": {RingBytes: 1 << 30},
	} {
		if _, err := Open(t.TempDir(), c); err == nil || !strings.Contains(err.Error(), "are possible") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
