package journal

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"omx/node/decide"
	"omx/policies/abi"
)

// said is a record as it is compared.
type said struct {
	Type   Type
	Kind   abi.Kind
	ID     uint64
	View   []byte
	Scores []uint32
	Steps  []byte
	Answer abi.Answer
	Status abi.Status
	Fuel   uint64
	Digest [32]byte
	Event  abi.Event
	Params string
	Gen    uint64
	Out    Outcome
}

func heard(r *Record) said {
	s := said{Type: r.Type, Kind: r.Kind}
	switch r.Type {
	case TypeDecision:
		d := &r.Decision
		s.ID, s.View, s.Answer, s.Status, s.Fuel, s.Digest = d.ID, bytes.Clone(d.View), d.Answer, d.Status, d.Fuel, d.Digest
		s.Scores, s.Steps = slices.Clone(d.Scores), bytes.Clone(d.Steps)
	case TypeEvent:
		s.Event = r.Event
	case TypeFresh:
		s.Digest, s.Params, s.Gen = r.Fresh.Digest, string(r.Fresh.Params), r.Fresh.Generation
	case TypeOutcome:
		s.Out = r.Outcome
	}
	return s
}

// What is written is read back, whatever kinds, models, shapes, events and
// failures follow each other, over many blocks and files.
func TestRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var fleets []*fleet
	for i, s := range []abi.Shape{
		{Kind: abi.Admit, Rows: 1, Stride: 128}, {Kind: abi.Route, Rows: 1, Stride: 64}, {Kind: abi.Route, Rows: 7, Stride: 128},
		{Kind: abi.Route, Rows: 64, Stride: 256}, {Kind: abi.Replicate, Rows: 5, Stride: 256}, {Kind: abi.Replicate, Rows: 30, Stride: 64},
	} {
		f := newFleet(uint64(i), s.Kind, s.Rows, s.Stride)
		f.model = uint64(i)
		fleets = append(fleets, f)
	}
	dir := t.TempDir()
	var want []said
	record := func(w *Writer) {
		for n := range 6000 {
			if n%40 == 39 {
				w.Flush()
				waitIdle(w)
			}
			f := fleets[rng.IntN(len(fleets))]
			digest := [32]byte{1, byte(f.shape.Kind), byte(rng.IntN(20) / 19)}
			switch rng.IntN(20) {
			case 0:
				params := []byte("rate=5\n")
				w.Fresh(f.shape.Kind, digest, params, uint64(n))
				want = append(want, said{Type: TypeFresh, Kind: f.shape.Kind, Digest: digest, Params: string(params), Gen: uint64(n)})
			case 1, 2, 3:
				e := abi.Event{Kind: uint16(abi.EventDone), Now: f.now, Request: rng.Uint64(), Took: rng.Uint32()}
				for k := abi.Admit; k <= abi.Replicate; k++ {
					w.Event(k, &e)
					want = append(want, said{Type: TypeEvent, Kind: k, Event: e})
				}
			case 4:
				o := Outcome{ID: rng.Uint64(), TTFT: rng.Uint64(), Took: 5, Tokens: 9, Err: byte(n)}
				w.Outcome(o)
				want = append(want, said{Type: TypeOutcome, Kind: abi.Route, Out: o})
			default:
				f.ext = []string{"", "llama:3", "a longer name of a model"}[rng.IntN(3)]
				if rng.IntN(30) == 0 {
					f.model = uint64(rng.IntN(12))
				}
				if rng.IntN(50) == 0 {
					f.rows = append(f.rows, abi.Row{RowLoad: abi.RowLoad{Node: 99}})[:max(1, len(f.rows)+rng.IntN(3)-1)]
					f.shape.Rows = len(f.rows)
					if f.shape.Kind == abi.Admit {
						f.rows, f.shape.Rows = f.rows[:1], 1
					}
				}
				d := f.taken(digest)
				if rng.IntN(30) == 0 {
					d.Status, d.Answer, d.Result = abi.Trapped, 0, nil
				}
				w.Decision(d)
				want = append(want, expected(d))
			}
		}
	}
	stats := write(t, dir, Config{MaxFileBytes: 256 << 10, MaxFiles: 1000, RingBytes: 256 << 10}, record)
	if stats.Lost != 0 || stats.Records != uint64(len(want)) {
		t.Fatalf("%+v of %d records", stats, len(want))
	}
	n := 0
	r := all(t, dir, func(rec *Record) {
		if rec.Type == TypeStart || rec.Type == TypeFresh && rec.Fresh.Continued {
			return
		}
		if n >= len(want) {
			t.Fatalf("record %d of %d: %+v", n, len(want), heard(rec))
		}
		if got := heard(rec); !reflect.DeepEqual(got, want[n]) {
			for i := range min(len(got.View), len(want[n].View)) {
				if got.View[i] != want[n].View[i] {
					t.Fatalf("record %d: byte %d of the view (%d bytes) is %d, not %d", n, i, len(got.View), got.View[i], want[n].View[i])
				}
			}
			got.View, want[n].View = nil, nil
			t.Fatalf("record %d is\n%+v\nnot\n%+v", n, got, want[n])
		}
		n++
	})
	if n != len(want) || r.Damaged() != nil {
		t.Fatalf("%d of %d records, damage: %v", n, len(want), r.Damaged())
	}
	if seqs, _ := files(dir); len(seqs) < 2 {
		t.Errorf("it took %d files, the test is about several", len(seqs))
	}
}

// expected is what a decision is read back as.
func expected(d *decide.Taken) said {
	s := said{Type: TypeDecision, Kind: d.Kind, ID: d.ID, View: bytes.Clone(d.View), Answer: d.Answer, Status: d.Status, Fuel: d.Fuel, Digest: d.Digest}
	if d.Result == nil {
		return s
	}
	switch d.Kind {
	case abi.Route:
		s.Scores = slices.Clone(uint32s(d.Result, int(abi.HeaderAt(d.View).Count)))
	case abi.Replicate:
		s.Steps = append([]byte{}, d.Result[:d.Answer.Value()*abi.StepSize]...)
	}
	return s
}

func TestScores(t *testing.T) {
	const never = abi.Never
	for _, scores := range [][]uint32{
		{never}, {never, never}, {0}, {5, 5, 5}, {5, never}, {0, 254}, {0, 255}, {0, 254, never}, {100, 100 + 65534},
		{100, 100 + 65535, never}, {0, 1<<24 - 2}, {0, 1<<24 - 1}, {0, never - 1}, {0, never - 1, never}, {never - 1, never},
	} {
		b, ok := putScores(make([]byte, 0, 64), scores)
		got := make([]uint32, len(scores))
		rest, read := readScores(b, got)
		if !ok || !read || len(rest) != 0 || !slices.Equal(got, scores) {
			t.Errorf("%v is read back as %v (%d bytes, %d left)", scores, got, len(b), len(rest))
		}
	}
}

func TestDiff(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		was := make([]byte, 8*rng.IntN(6000))
		is := bytes.Clone(was)
		for range rng.IntN(9) {
			if len(is) > 0 {
				is[rng.IntN(len(is))]++
			}
		}
		ref := bytes.Clone(was)
		b, ok := putDiff(make([]byte, 0, len(is)*2+64), ref, is)
		if !ok || !bytes.Equal(ref, is) {
			t.Fatal("there was room, and ref is not the same as the view")
		}
		rest, _, ok := applyDiff(append(b, 1, 2, 3), was)
		if !ok || len(rest) != 3 || !bytes.Equal(was, is) {
			t.Fatalf("%d bytes are not read back (%d left)", len(is), len(rest))
		}
	}
}
