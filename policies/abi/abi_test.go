package abi

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"os"
	"reflect"
	"testing"
	"unsafe"
)

var update = flag.Bool("update", false, "rewrite golden files")

// fill gives every field of a struct its own value, so that two swapped fields
// or one forgotten cannot cancel out.
func fill(v reflect.Value, start uint64) uint64 {
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case f.Kind() == reflect.Struct:
			start = fill(f, start)
			continue
		case f.CanInt():
			f.SetInt(-int64(start))
		default:
			f.SetUint(start & (1<<min(f.Type().Bits(), 16) - 1))
		}
		start++
	}
	return start
}

func filled[T any](start uint64) (v T) {
	fill(reflect.ValueOf(&v).Elem(), start)
	return v
}

// The structs lie in memory as the schema says: it is what views rely on.
func TestLayout(t *testing.T) {
	check := func(zero any, fields []Field, size int) {
		v := reflect.New(reflect.TypeOf(zero)).Elem()
		if got := int(v.Type().Size()); got != size {
			t.Errorf("%T takes %d bytes, the schema says %d", zero, got, size)
		}
		fill(v, 0x101)
		b := unsafe.Slice((*byte)(v.Addr().UnsafePointer()), size)
		want := uint64(0x101)
		for _, f := range fields {
			mask := uint64(1)<<(8*min(f.Size, 2)) - 1
			got := make([]byte, 8)
			copy(got, b[f.Offset:][:f.Size])
			n, expect := binary.LittleEndian.Uint64(got), want&mask
			if f.Signed {
				expect = uint64(uint32(-int32(want)))
			}
			if n != expect {
				t.Errorf("%T.%s at %d is %#x, want %#x", zero, f.Name, f.Offset, n, expect)
			}
			want++
		}
	}
	check(Header{}, HeaderFields[:], HeaderSize)
	check(Row{}, RowFields[:], RowSize)
	check(Model{}, ModelFields[:], ModelSize)
	check(Copy{}, CopyFields[:], CopySize)
	check(Step{}, StepFields[:], StepSize)
	check(Event{}, EventFields[:], EventSize)
	if RowSize%PartSize != 0 {
		t.Errorf("a row of %d bytes is no number of parts", RowSize)
	}
}

func sampleView(s Shape) ([]byte, []Row) {
	b := make([]byte, s.Size())
	h := Begin(b, &s)
	framed := *h
	fill(reflect.ValueOf(h).Elem(), 1000)
	// What Begin wrote stays.
	h.Magic, h.Minor, h.Kind, h.Count, h.Stride, h.Header = framed.Magic, framed.Minor, framed.Kind, framed.Count, framed.Stride, framed.Header
	h.Scores, h.Ext, h.ExtLen, h.Length = framed.Scores, framed.Ext, framed.ExtLen, framed.Length
	h.ModelsAt, h.Models, h.ModelStride, h.CopiesAt, h.Copies, h.CopyStride = framed.ModelsAt, framed.Models, framed.ModelStride, framed.CopiesAt, framed.Copies, framed.CopyStride
	rows := make([]Row, s.Rows)
	for i := range rows {
		rows[i] = filled[Row](2000 + 100*uint64(i))
		PutRow(b, s.Stride, i, &rows[i])
	}
	for i := range s.Models {
		m := filled[Model](5000 + 100*uint64(i))
		PutModel(b, h, i, &m)
	}
	for i := range s.Copies {
		c := filled[Copy](6000 + 100*uint64(i))
		PutCopy(b, h, i, &c)
	}
	return b, rows
}

var shapes = map[string]Shape{
	"admit":     {Kind: Admit, Rows: 1, Stride: RowSize},
	"route":     {Kind: Route, Rows: 3, Stride: 2 * PartSize, Ext: 24},
	"no rows":   {Kind: Route, Stride: PartSize},
	"replicate": {Kind: Replicate, Rows: 2, Stride: RowSize, Models: 3, Copies: 4},
}

func TestRoundTrip(t *testing.T) {
	for name, s := range shapes {
		b, rows := sampleView(s)
		v, err := Open(b)
		if err != nil || int(v.Count) != s.Rows || v.MaxOut != 1000+23 {
			t.Errorf("%s: Open: %v, %+v", name, err, v.Header)
			continue
		}
		for i, want := range rows {
			got := v.Row(i)
			if s.Stride < RowSize {
				want.RowMachine, want.RowStanding = RowMachine{}, RowStanding{}
			}
			if got != want {
				t.Errorf("%s: row %d is %+v, want %+v", name, i, got, want)
			}
			if p := LoadPart(b, HeaderSize+i*s.Stride); *p != want.RowLoad {
				t.Errorf("%s: load of row %d is %+v", name, i, p)
			}
			if s.Kind == Route {
				if p := SeenPart(b, HeaderSize+i*s.Stride); *p != want.RowSeen {
					t.Errorf("%s: seen part of row %d is %+v", name, i, p)
				}
				if list := v.ScoreList(); list[i] != Never || Scores(b, s.Rows, s.Stride)[i] != Never {
					t.Errorf("%s: score %d is %d before the policy ran", name, i, list[i])
				}
			}
		}
		if s.Kind == Replicate {
			if got, want := *v.ModelAt(2), filled[Model](5200); got != want {
				t.Errorf("model is %+v, want %+v", got, want)
			}
			if got, want := *v.CopyAt(3), filled[Copy](6300); got != want {
				t.Errorf("copy is %+v, want %+v", got, want)
			}
			if *v.Step(MaxSteps - 1) != (Step{}) {
				t.Error("steps are not cleared")
			}
		}
		// Bytes that do not lie at a multiple of 8 are read all the same.
		shifted := append(make([]byte, 1, len(b)+1), b...)[1:]
		if again, err := Open(shifted); err != nil || !bytes.Equal(again.Bytes(), b) {
			t.Errorf("%s: shifted by a byte: %v", name, err)
		}
	}
}

// The bytes of a view are fixed: modules built for this version rely on them.
func TestGolden(t *testing.T) {
	b, _ := sampleView(shapes["route"])
	got := []byte(hex.EncodeToString(b) + "\n")
	const file = "testdata/view.hex"
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(want, got) {
		t.Errorf("the view is not what %s has (%v): modules in the field would misread it", file, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, damage := range map[string]func(b []byte) []byte{
		"empty":       func(b []byte) []byte { return nil },
		"cut":         func(b []byte) []byte { return b[:len(b)-1] },
		"magic":       func(b []byte) []byte { b[0]++; return b },
		"kind":        func(b []byte) []byte { b[6] = 9; return b },
		"rows":        func(b []byte) []byte { b[8]++; return b },
		"many rows":   func(b []byte) []byte { b[10] = 1; return b },
		"stride":      func(b []byte) []byte { b[12]++; return b },
		"header size": func(b []byte) []byte { b[14]++; return b },
		"scores":      func(b []byte) []byte { b[16] += 4; return b },
		"length":      func(b []byte) []byte { b[28]++; return b },
	} {
		b, _ := sampleView(shapes["route"])
		if _, err := Open(damage(b)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// FuzzOpen reads whatever it accepts to its ends.
func FuzzOpen(f *testing.F) {
	for _, s := range shapes {
		b, _ := sampleView(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Open(b)
		if err != nil {
			return
		}
		for i := range int(v.Count) {
			v.Row(i)
		}
		for i := range int(v.Models) {
			_ = *v.ModelAt(i)
		}
		for i := range int(v.Copies) {
			_ = *v.CopyAt(i)
		}
		if Kind(v.Kind) == Replicate {
			_ = *v.Step(MaxSteps - 1)
		} else if len(v.ScoreList()) != int(v.Count) {
			t.Error("scores are missing")
		}
	})
}

func TestAnswers(t *testing.T) {
	a := Pack(OK, 7)
	if a.Status() != OK || a.Value() != 7 {
		t.Errorf("Pack = %v %d", a.Status(), a.Value())
	}
	for _, bad := range []Answer{Pack(OutOfFuel, 0), Pack(Status(99), 0), ^Answer(0)} {
		if bad.Status() != BadAnswer {
			t.Errorf("%#x has status %v", uint64(bad), bad.Status())
		}
	}
	v := PackVerdict(Shed, 200, 6553)
	if action, reason, wait, ok := UnpackVerdict(v); action != Shed || reason != 200 || wait != 6553 || !ok {
		t.Errorf("verdict = %v %d %d %t", action, reason, wait, ok)
	}
	if _, _, _, ok := UnpackVerdict(4); ok {
		t.Error("an unknown action is taken")
	}
	for _, n := range []string{Route.String(), OK.String(), NotReady.String(), Reject.String(), OpUnload.String(), EventRefused.String()} {
		if n == "unknown" || n == "unknown status" {
			t.Error("a name is missing")
		}
	}
	if k, ok := ParseKind("replicate"); k != Replicate || !ok {
		t.Errorf("ParseKind = %v", k)
	}
}

// Writing a view allocates nothing.
func TestBeginAllocates(t *testing.T) {
	s := Shape{Kind: Route, Rows: 64, Stride: RowSize}
	b := make([]byte, s.Size())
	row := filled[Row](1)
	if n := testing.AllocsPerRun(100, func() {
		Begin(b, &s)
		for i := range s.Rows {
			PutRow(b, s.Stride, i, &row)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkBegin64(b *testing.B) {
	s := Shape{Kind: Route, Rows: 64, Stride: 2 * PartSize}
	view := make([]byte, s.Size())
	row := filled[Row](1)
	for b.Loop() {
		Begin(view, &s)
		for i := range s.Rows {
			*LoadPart(view, HeaderSize+i*s.Stride) = row.RowLoad
			*SeenPart(view, HeaderSize+i*s.Stride) = row.RowSeen
		}
	}
}
