package journal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"omx/node/decide"
	"omx/policies/abi"
)

// views are those of decisions that follow each other.
func (f *fleet) views(n int) (list [][]byte) {
	for range n {
		list = append(list, bytes.Clone(f.next()))
	}
	return list
}

func BenchmarkRecord(b *testing.B) {
	for _, rows := range []int{8, 64} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			f := newFleet(1, abi.Route, rows, 128)
			views := f.views(512)
			d := f.taken([32]byte{1})
			var e encoder
			room := make([]byte, 0, 2<<20)
			e.restart(room[:blockHead])
			written := 0
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				d.View = views[n%len(views)]
				p, _ := split(d.View)
				d.ID++
				if !e.decision(d, p) {
					written += len(e.b)
					e.restart(e.b)
				}
				n++
			}
			b.ReportMetric(float64(written+len(e.b))/float64(n), "B/decision")
		})
	}
}

// journalOf has a policy take decisions and records them.
func journalOf(b testing.TB, h *host, name string, rows, decisions int) string {
	dir := b.(interface{ TempDir() string }).TempDir()
	write(b, dir, Config{MaxFiles: 100}, func(w *Writer) {
		n := h.begin(newFleet(1, abi.Route, rows, 128), w, name, "")
		for i := range decisions {
			n.decide(b)
			if i%64 == 63 {
				waitIdle(w)
			}
		}
	})
	return dir
}

func BenchmarkReplay(b *testing.B) {
	const decisions = 100_000
	for _, policy := range []string{"expected-time", "nearest"} {
		for _, rows := range []int{8, 64} {
			for _, engine := range []string{"compiler", "interpreter"} {
				n := decisions
				if engine == "interpreter" {
					n /= 50
				}
				b.Run(fmt.Sprintf("%s/%d/%s", policy, rows, engine), func(b *testing.B) {
					h := newHost(b, engine == "interpreter")
					dir := journalOf(b, h, policy, rows, n)
					size := folderSize(b, dir)
					b.ResetTimer()
					b.ReportAllocs()
					for b.Loop() {
						r, err := Read(dir)
						if err != nil {
							b.Fatal(err)
						}
						rep, err := Replay(context.Background(), r, h.same, Options{Same: true})
						if err != nil || rep.Decisions() != uint64(n) || rep.Differ() != 0 {
							b.Fatalf("%+v: %v", rep, err)
						}
						r.Close()
					}
					each := float64(b.Elapsed()) / float64(n) / float64(b.N)
					b.ReportMetric(each, "ns/decision")
					b.ReportMetric(float64(time.Second)/each, "decisions/s")
					b.ReportMetric(float64(size)/float64(n), "B/decision")
				})
			}
		}
	}
}

// BenchmarkRead is replay without a policy.
func BenchmarkRead(b *testing.B) {
	for _, rows := range []int{8, 64} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			const n = 50_000
			dir := journalOf(b, newHost(b, false), "nearest", rows, n)
			for b.Loop() {
				r, err := Read(dir)
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = r.Next()
				}
				if err != io.EOF {
					b.Fatal(err)
				}
				r.Close()
			}
			b.ReportMetric(float64(b.Elapsed())/n/float64(b.N), "ns/decision")
		})
	}
}

func folderSize(t testing.TB, dir string) (n int64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// Recording takes no memory once views are as large as they get, also when a
// block ends.
func TestRecordAllocates(t *testing.T) {
	w, err := Open(t.TempDir(), Config{RingBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	f := newFleet(1, abi.Route, 64, 128)
	f.ext = "llama:3"
	views := f.views(64)
	d := f.taken([32]byte{1})
	ev := abi.Event{Kind: uint16(abi.EventDone)}
	n := 0
	record := func() {
		d.View = views[n%len(views)]
		n++
		ev.Now++
		w.Decision(d)
		w.Event(abi.Route, &ev)
		w.Outcome(Outcome{ID: 5})
		if w.spare == nil { // as Run does, without the disk
			w.spare, w.sealed = w.sealed.b, sealed{}
		}
	}
	for range 10_000 {
		record()
	}
	if a := testing.AllocsPerRun(10_000, record); a != 0 {
		t.Errorf("%v allocations per decision", a)
	}
	if s := w.Stats(); s.Lost != 0 || s.Records != uint64(3*n) {
		t.Errorf("%+v after %d decisions", s, n)
	}
}

var _ decide.Journal = (*Writer)(nil)
