package decision

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"omx/bench/measure"
	"omx/policies"
)

func TestRun(t *testing.T) {
	r, err := Run(t.Context(), measure.Config{Duration: 2 * time.Millisecond, Repeats: 3}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range r.Series {
		s, sum := &r.Series[i], r.Series[i].Summary()
		seen[s.Name+" "+s.Variant] = true
		if s.Note != "" {
			t.Errorf("%s by %s: %s", s.Name, s.Variant, s.Note)
		}
		// They are those of the process: with thousands of rows so few decisions are
		// made in this time that one by the runtime shows.
		most := max(1, sum.Wall.Median/float64(20*time.Microsecond))
		if sum.Wall.Median <= 0 || sum.Allocs.Median >= most {
			t.Errorf("%s by %s: %v ns, %v allocations", s.Name, s.Variant, sum.Wall.Median, sum.Allocs.Median)
		}
	}
	for _, want := range []string{"route/64 builtin", "route/64 expected-time", "route/8 random", "admit " + policies.DefaultAdmit} {
		if !seen[want] {
			t.Errorf("%s was not measured", want)
		}
	}
	for name, write := range map[string]func(io.Writer) error{"table": r.WriteTable, "markdown": r.WriteMarkdown, "gobench": r.WriteGobench} {
		var b bytes.Buffer
		if err := write(&b); err != nil || !strings.Contains(b.String(), "expected-time") {
			t.Errorf("%s: %v\n%s", name, err, &b)
		}
	}
}
