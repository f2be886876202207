package api

import (
	"strings"
	"testing"
)

// shiftFields are what a shape calls the shift of the context, and what is kept of the
// prompt.
func (s *shape) shiftFields() (shift, keep string) {
	if s.prefix != "" {
		return "shift", "num_keep"
	}
	return "context_shift", "n_keep"
}

// What is said of the context's shift comes through by every shape; without a word it
// does not shift.
func TestContextShift(t *testing.T) {
	last := &script{last: make(chan *Chat, 1)}
	_, url := start(t, last)
	for _, s := range shapes {
		shift, keep := s.shiftFields()
		for _, c := range []struct {
			fields string
			shift  bool
			keep   int // -2: not said
		}{
			{`"frob":1`, false, -2},
			{`"` + shift + `":false`, false, -2},
			{`"` + shift + `":null`, false, -2},
			{`"` + shift + `":true`, true, -2},
			{`"` + shift + `":true,` + s.open + `"` + keep + `":-1` + s.shut, true, -1},
			{`"` + shift + `":true,` + s.open + `"` + keep + `":0` + s.shut, true, 0},
			{s.open + `"` + keep + `":24` + s.shut, false, 24}, // clients of Ollama send it with every request
			{`"truncate":true`, false, -2},                     // Ollama's: what is too long is an error, and says so
		} {
			if status, _, body := do(t, "POST", url+s.path, s.with("omx-demo", c.fields)); status != 200 {
				t.Errorf("%s: %s: %d %s", s.name, c.fields, status, body)
				continue
			}
			got, kept := <-last.last, -2
			if got.NumKeep != nil {
				kept = *got.NumKeep
			}
			if got.Shift != c.shift || kept != c.keep {
				t.Errorf("%s: %s: shift %v, keep %d", s.name, c.fields, got.Shift, kept)
			}
		}
	}
}

func TestContextShiftOutOfRange(t *testing.T) {
	_, url := start(t, &script{})
	for _, s := range shapes {
		shift, keep := s.shiftFields()
		for _, v := range append([]string{"-2", "1.5", "1048577", "true", `"4"`, "[4]"}, outOfRange...) {
			status, _, body := do(t, "POST", url+s.path, s.with("omx-demo", s.open+`"`+keep+`":`+v+s.shut))
			if status != 400 || !strings.Contains(body, keep+": ") {
				t.Errorf("%s: %s = %s: %d %s, want 400 that names it", s.name, keep, v, status, body)
			}
		}
		for _, v := range []string{"1", `"true"`, `"auto"`, "{}"} {
			status, _, body := do(t, "POST", url+s.path, s.with("omx-demo", `"`+shift+`":`+v))
			if status != 400 || !strings.Contains(body, shift+": ") || strings.Contains(body, "shifting.") {
				t.Errorf("%s: %s = %s: %d %s, want 400 that names it", s.name, shift, v, status, body)
			}
		}
	}
}
