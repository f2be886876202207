package catalog

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestPrefixes(t *testing.T) {
	p := NewPrefixes([]uint32{9, 3, 7, 3, 1 << 31})
	for _, c := range []struct {
		blocks []uint32
		want   int
	}{{nil, 0}, {[]uint32{3}, 1}, {[]uint32{3, 9, 1 << 31, 4, 7}, 3}, {[]uint32{4, 3}, 0}} {
		if n := p.Match(c.blocks); n != c.want || Prefixes(nil).Match(c.blocks) != 0 {
			t.Errorf("%v: %d, want %d", c.blocks, n, c.want)
		}
	}
	id, err := ParseModelID("m")
	if err != nil {
		t.Fatal(err)
	}
	in := Placement{Model: id, Prefixes: p}
	b, err := json.Marshal(in)
	var out Placement
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil || !slices.Equal(out.Prefixes, p) {
		t.Errorf("%s: %v, %v", b, out.Prefixes, err)
	}
	if many := NewPrefixes(make([]uint32, 2*MaxPrefixes)); len(many) != 1 {
		t.Errorf("%d are kept", len(many))
	}
	if n := testing.AllocsPerRun(100, func() { p.Match([]uint32{3, 9}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzPrefixes(f *testing.F) {
	f.Add([]byte("AwAAAAcAAAA"))
	f.Add([]byte("BwAAAAMAAAA"))
	f.Add([]byte("!"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p Prefixes
		if p.UnmarshalText(text) != nil {
			return
		}
		if len(p) > MaxPrefixes || !slices.IsSorted(p) {
			t.Errorf("%v", p)
		}
		again, err := p.MarshalText()
		var q Prefixes
		if err != nil || q.UnmarshalText(again) != nil || !slices.Equal(p, q) {
			t.Errorf("%v came back as %v, %v", p, q, err)
		}
	})
}
