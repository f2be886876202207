package journal

import (
	"context"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"omx/node/decide"
	"omx/policies/abi"
)

// fleet makes views such as a node gives: between two decisions the request is
// another, and a few nodes have changed.
type fleet struct {
	rng   *rand.Rand
	shape abi.Shape
	model uint64
	rows  []abi.Row
	now   uint64
	view  []byte
	ext   string
}

func newFleet(seed uint64, k abi.Kind, rows, stride int) *fleet {
	f := &fleet{rng: rand.New(rand.NewPCG(seed, 1)), shape: abi.Shape{Kind: k, Rows: rows, Stride: stride}, model: 7, now: 3_600_000_000}
	if k == abi.Replicate {
		f.shape.Models, f.shape.Copies = 5, 7 // 7 copies: the last chunk is not whole
	}
	f.rows = make([]abi.Row, rows)
	for i := range f.rows {
		r := &f.rows[i]
		r.Node, r.Flags, r.Slots, r.LoadAt = uint64(i)+1, abi.Loaded, 4, f.clock()
		r.Prefill, r.Decode, r.SpeedAt = 200_000+1000*uint32(i), 20_000+100*uint32(i), f.clock()
		r.RTT, r.RTTAt, r.Zone = 500+200*uint32(i), f.clock(), uint32(i%3)
		r.MemFree, r.MemTotal, r.MachineAt = 4096, 16384, f.clock()
	}
	return f
}

func (f *fleet) clock() uint32 { return uint32(f.now / 1000) }

// step lets time pass: two nodes tell of their load, one was sent a request.
func (f *fleet) step() {
	f.now += f.rng.Uint64N(20_000)
	for range 2 {
		r := &f.rows[f.rng.IntN(len(f.rows))]
		r.Queued, r.Running, r.LoadAt = f.rng.Uint32N(8), f.rng.Uint32N(4), f.clock()
	}
	r := &f.rows[f.rng.IntN(len(f.rows))]
	r.InFlight, r.InFlightTokens, r.UsedAt = f.rng.Uint32N(4), f.rng.Uint32N(4000), f.clock()
}

// next is the view of the next decision.
func (f *fleet) next() []byte {
	f.step()
	f.shape.Ext = 0
	if f.ext != "" {
		f.shape.Ext = abi.ItemSize(len(f.ext))
	}
	if size := f.shape.Size(); len(f.view) < size {
		f.view = make([]byte, size)
	}
	b := f.view[:f.shape.Size()]
	clear(b)
	h := abi.Begin(b, &f.shape)
	h.Now, h.Clock, h.ViewAt, h.Seed, h.Request = f.now, f.clock(), f.clock()-5, f.rng.Uint64(), f.rng.Uint64()
	h.Model, h.Tenant, h.Session, h.Affinity, h.Entry = f.model, 3, f.rng.Uint64(), f.rng.Uint64(), 1
	h.Prompt, h.MaxOut, h.ExpectOut = f.rng.Uint32N(4000), 512, 128
	h.Nodes, h.NodesUp, h.Replicas = uint32(len(f.rows)), uint32(len(f.rows)), uint32(len(f.rows))
	for i := range f.rows {
		abi.PutRow(b, f.shape.Stride, i, &f.rows[i])
	}
	for i := range f.shape.Models {
		abi.PutModel(b, h, i, &abi.Model{Model: uint64(i) + 1, Bytes: 5 << 30, Copies: 2, Least: 2, Demand1h: f.rng.Uint32N(50)})
	}
	for i := range f.shape.Copies {
		abi.PutCopy(b, h, i, &abi.Copy{Model: uint16(i % 5), Node: uint16(i % len(f.rows)), State: uint32(abi.StateOnDisk), Part: 1000, UsedAt: f.clock()})
	}
	if f.ext != "" {
		abi.PutItem(b[h.Ext:], abi.TagModelName, f.ext)
	}
	return b
}

// taken is a decision on the next view with any answer.
func (f *fleet) taken(digest [32]byte) *decide.Taken {
	t := &decide.Taken{Kind: f.shape.Kind, View: f.next(), Digest: digest, Fuel: 600 + f.rng.Uint64N(100)}
	t.Result = make([]byte, len(f.shape.Results(t.View)))
	switch t.Kind {
	case abi.Route:
		t.ID, t.Answer = f.rng.Uint64(), abi.Pack(abi.OK, f.rng.Uint32N(uint32(len(f.rows))))
		for i, scores := 0, uint32s(t.Result, len(f.rows)); i < len(scores); i++ {
			if scores[i] = f.rng.Uint32N(1 << (4 + f.rng.Uint32N(28))); f.rng.IntN(8) == 0 {
				scores[i] = abi.Never
			}
		}
	case abi.Admit:
		t.Answer = abi.Pack(abi.OK, abi.PackVerdict(abi.Shed, uint8(f.rng.Uint32N(5)), 7))
	case abi.Replicate:
		t.Answer = abi.Pack(abi.OK, f.rng.Uint32N(4))
		for i := range 3 * abi.StepSize {
			t.Result[i] = byte(f.rng.Uint32())
		}
	}
	return t
}

// write records what record does, into a folder.
func write(t testing.TB, dir string, c Config, record func(w *Writer)) Stats {
	t.Helper()
	w, err := Open(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	record(w)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return w.Stats()
}

// all reads a journal to its end.
func all(t testing.TB, path string, each func(r *Record)) *Reader {
	t.Helper()
	r, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return r
		}
		if err != nil {
			t.Fatal(err)
		}
		each(rec)
	}
}

// records counts the records of a journal that are so.
func records(t testing.TB, path string, so func(r *Record) bool) (n int) {
	t.Helper()
	all(t, path, func(r *Record) {
		if so(r) {
			n++
		}
	})
	return n
}

// waitIdle waits until what was flushed is written.
func waitIdle(w *Writer) {
	for {
		w.mu.Lock()
		idle := w.spare != nil
		w.mu.Unlock()
		if idle {
			return
		}
		runtime.Gosched()
	}
}
