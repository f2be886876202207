package abi

import (
	"encoding/hex"
	"flag"
	"os"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files")

// fill gives every field of a struct its own value, so that two swapped fields
// or one forgotten cannot cancel out.
func fill(v any, start uint64) {
	s := reflect.ValueOf(v).Elem()
	for i := range s.NumField() {
		f := s.Field(i)
		if f.CanInt() {
			f.SetInt(-int64(start) - int64(i))
			continue
		}
		f.SetUint((start + uint64(i)) & 0xffff)
	}
}

func sampleView() ([]byte, Header, [2]Row) {
	var h Header
	var rows [2]Row
	fill(&h, 1000)
	h.Kind = Route
	fill(&rows[0], 2000)
	fill(&rows[1], 3000)
	b := make([]byte, Size(2))
	PutHeader(b, &h, 2)
	PutRow(b, 0, &rows[0])
	PutRow(b, 1, &rows[1])
	return b, h, rows
}

func TestViewRoundTrip(t *testing.T) {
	b, h, rows := sampleView()
	got, n, err := ReadHeader(b)
	if err != nil || n != 2 || got != h {
		t.Fatalf("ReadHeader = %+v, %d, %v; want %+v, 2", got, n, err, h)
	}
	for i := range rows {
		if r := ReadRow(b, i); r != rows[i] {
			t.Errorf("row %d = %+v, want %+v", i, r, rows[i])
		}
		if s := Score(b, 2, i); s != Never {
			t.Errorf("score %d = %d before the policy ran, want Never", i, s)
		}
	}
	PutScore(b, 2, 1, 77)
	if Score(b, 2, 1) != 77 || Score(b, 2, 0) != Never {
		t.Error("PutScore wrote the wrong row")
	}
}

// The bytes are a contract with every module in the field: a change of layout
// that is not an append must not pass unseen.
func TestViewGolden(t *testing.T) {
	b, _, _ := sampleView()
	const file = "testdata/view.hex"
	got := hex.Dump(b)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got {
		t.Fatalf("the view's bytes changed (%v):\n%s", err, got)
	}
}

func TestReadHeaderRefuses(t *testing.T) {
	good, _, _ := sampleView()
	cases := map[string]func([]byte) []byte{
		"empty":     func(b []byte) []byte { return nil },
		"short":     func(b []byte) []byte { return b[:HeaderSize-1] },
		"magic":     func(b []byte) []byte { b[0]++; return b },
		"rows":      func(b []byte) []byte { le.PutUint32(b[offCount:], MaxRows+1); return b },
		"stride":    func(b []byte) []byte { b[offStride]++; return b },
		"truncated": func(b []byte) []byte { return b[:len(b)-1] },
	}
	for name, damage := range cases {
		if _, _, err := ReadHeader(damage(append([]byte(nil), good...))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAnswer(t *testing.T) {
	for s := OK; s <= Unsupported; s++ {
		if a := Pack(s, 42); a.Status() != s || a.Value() != 42 {
			t.Errorf("Pack(%v) = %v, %d", s, a.Status(), a.Value())
		}
	}
	if s := Answer(5 << 32).Status(); s != BadAnswer {
		t.Errorf("status 5 = %v, want bad answer", s)
	}
	if s := Answer(^uint64(0)).Status(); s != BadAnswer {
		t.Errorf("all ones = %v, want bad answer", s)
	}
	a, r, w, ok := UnpackVerdict(PackVerdict(Shed, 9, 65535))
	if a != Shed || r != 9 || w != 65535 || !ok {
		t.Errorf("verdict = %v %d %d %v", a, r, w, ok)
	}
	if _, _, _, ok := UnpackVerdict(4); ok {
		t.Error("action 4 accepted")
	}
}

func FuzzReadHeader(f *testing.F) {
	b, _, _ := sampleView()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, n, err := ReadHeader(b)
		for i := range n {
			if err == nil {
				ReadRow(b, i)
				Score(b, n, i)
			}
		}
	})
}

func BenchmarkPutView64(b *testing.B) {
	buf := make([]byte, Size(64))
	h, r := Header{Kind: Route}, Row{}
	for b.Loop() {
		PutHeader(buf, &h, 64)
		for i := range 64 {
			PutRow(buf, i, &r)
		}
	}
}
