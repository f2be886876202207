package policyhost

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// Every figure is measured, and those that do not depend on the machine's load
// hold.
func TestRun(t *testing.T) {
	r, err := Run(t.Context(), Options{Short: true}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, f := range r.Figures {
		seen[f.What]++
		switch f.What {
		case "decisions that differ":
			if f.Value != 0 {
				t.Errorf("%s: %v decisions differ", f.By, f.Value)
			}
		case "heap after 50 reloads":
			if !f.Held() {
				t.Errorf("reloads leave %v KiB", f.Value)
			}
		default:
			if f.Value <= 0 {
				t.Errorf("%+v", f)
			}
		}
	}
	for what, least := range map[string]int{"metered / plain, 64 rows": 4, "runaway stopped after": len(shapes), "a 1 ms tick was late by": 1,
		"signed module to first answer": 1, "heap after 50 reloads": 1, "replay": 3} {
		if seen[what] < least {
			t.Errorf("%s: %d figures, want %d", what, seen[what], least)
		}
	}
	var b bytes.Buffer
	if err := r.WriteMarkdown(&b); err != nil || !strings.Contains(b.String(), "runaway stopped after") {
		t.Errorf("%v: %s", err, &b)
	}
}
