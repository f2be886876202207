package store

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"omx/bench/measure"
)

func TestRun(t *testing.T) {
	r, err := Run(t.Context(), Options{Short: true}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Series {
		if s := &r.Series[i]; s.Note != "" || s.Summary().Wall.Median <= 0 {
			t.Errorf("%s by %s: %s %+v", s.Name, s.Variant, s.Note, s.Summary())
		}
	}
	files := 0
	for _, d := range r.Damage {
		if d.Wrong != 0 || d.Refused != 0 || d.Whole+d.Empty != d.Files {
			t.Errorf("%+v", d)
		}
		files += d.Files
	}
	if len(r.Series) != 6 || files == 0 {
		t.Errorf("%d rows, %d damaged files", len(r.Series), files)
	}
	if w := r.Whole[0]; w.Save <= 0 || w.Open <= 0 || w.DiskBytes <= 0 {
		t.Errorf("%+v", w)
	}
	asJSON := func(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
	for name, write := range map[string]func(io.Writer) error{"table": r.WriteTable, "markdown": r.WriteMarkdown, "json": asJSON} {
		var b bytes.Buffer
		if err := write(&b); err != nil || !strings.Contains(b.String(), "one bit flipped") {
			t.Errorf("%s: %v\n%s", name, err, &b)
		}
	}
}

func TestCheck(t *testing.T) {
	made := func(variant string, wall, allocs float64, note string) measure.Series {
		return measure.Series{Name: "near/10", Variant: variant, Note: note, Samples: []measure.Sample{{Wall: wall, Allocs: allocs}}}
	}
	for _, c := range []struct {
		wall, allocs float64
		note, want   string
		damage       Damage
	}{
		{900, 0, "", "", Damage{Files: 3, Whole: 1, Empty: 2}},
		{1100, 0, "", "the goal is 100", Damage{}},
		{900, 1, "", "allocates 1.00 times", Damage{}},
		{900, 0, "a wrong answer", "a wrong answer", Damage{}},
		{900, 0, "", "1 were served wrong", Damage{Files: 2, Wrong: 1}},
		{900, 0, "", "1 refused", Damage{Files: 2, Refused: 1}},
	} {
		r := &Result{Series: []measure.Series{made(variantStore, 100_000, 50, ""), made(variantSnapshot, c.wall, c.allocs, c.note)}, Damage: []Damage{c.damage}}
		if err := r.Check(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
