package seed

import (
	"io"
	"strings"
	"testing"
	"time"

	"omx/bench/measure"
	"omx/bench/mesh"
)

func TestCheck(t *testing.T) {
	rows := func(name string, procs int, report, omx, allocs float64) *Result {
		one := func(variant string, wall, allocs float64) measure.Series {
			return measure.Series{Name: name, Variant: variant, Procs: procs, Samples: []measure.Sample{{Wall: wall, Allocs: allocs}}}
		}
		return &Result{Series: []measure.Series{one(variantNaive, 1, 9), one(variantReport, report, 9), one(variantOmx, omx, allocs)}}
	}
	wrong := func(omx, most float64) *Result {
		return &Result{Facts: []Fact{{Name: "monitor/truth", Title: "points off", Naive: 90, Report: 90, Omx: omx, Most: most}}}
	}
	end := func(dial, kept, allocs float64) *Result {
		asked := func(variant string, p50 float64) measure.Series {
			return measure.Series{Name: requestName, Variant: variant, Samples: []measure.Sample{{P50: p50, Allocs: 9}}}
		}
		return &Result{EndToEnd: &EndToEnd{
			Request: []measure.Series{asked(mesh.DialEach, dial), asked(mesh.Kept, kept)},
			Peers:   []measure.Series{{Name: "peers/live", Variant: "count", Samples: []measure.Sample{{Allocs: allocs}}}},
		}}
	}
	for _, tt := range []struct {
		name string
		res  *Result
		want string // in the error; "" for none
	}{
		{"held", rows("pool/use/100", 2, 600, 100, 0), ""},
		{"too slow", rows("pool/use/100", 2, 599, 100, 0), "the goal is 6"},
		{"too slow, but nobody contends", rows("pool/use/100", 1, 599, 100, 0), ""},
		{"allocates", rows("pool/use/100", 2, 600, 100, 1), "pool/use/100-2: omx allocates"},
		{"allocates on one processor", rows("pool/use/100", 1, 600, 100, 1), "pool/use/100-1: omx allocates"},
		{"the measuring's own share", rows("pool/use/100", 2, 600, 100, 0.001), ""},
		{"slower in the report's form", rows("events/legacy", 2, 99, 100, 0), "the goal is 1"},
		{"longer than is aimed at", rows("peers/lookup/churn", 2, 100, 90, 0), ""}, // a time is never checked
		{"within the truth", wrong(5, 5), ""},
		{"off the truth", wrong(5.1, 5), "5.1, the goal is at most 5"},
		{"one is too many", wrong(1, 0), "the goal is at most 0"},
		{"dialling is as dear as hoped", end(4000, 100, 0), ""},
		{"the kept stream is slow", end(3999, 100, 0), "the goal is 40"},
		{"no kept stream", end(4000, 0, 0), "the goal is 40"},
		{"counting allocates", end(4000, 100, 1), "peers/live by count: allocates"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.res.Check()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// A wrong answer fails the run, whichever repeat it was in.
func TestWrongAnswersFailTheRun(t *testing.T) {
	for _, bad := range []int{0, 1, 3} { // 0: never
		started := 0
		c := measure.Case{Name: "x", Variant: "y", Workers: 1, Start: func(int) (*measure.Run, error) {
			started++
			right := started != bad
			return eachOf(10, func(int) bool { return right }, nil), nil
		}}
		cfg := measure.Config{Duration: time.Millisecond, Repeats: 3}
		_, err := strictly(t.Context(), []measure.Case{c}, cfg, io.Discard, func(note string) bool { return note == errWrong.Error() })
		if (err != nil) != (bad > 0) || err != nil && !strings.Contains(err.Error(), "x, y: "+errWrong.Error()) {
			t.Errorf("wrong in repeat %d: %v", bad, err)
		}
	}
}
