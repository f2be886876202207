package worker

import (
	"slices"
	"strings"
	"testing"

	"omx/node/engine/frame"
)

// An answer that fills its context goes on if it was asked to, and is as long as it was
// asked to be, or ten contexts.
func TestLoopShifts(t *testing.T) {
	const room, prompt = 24, "^a=abcdefghij="    // 14 tokens, and 10 to the end of the answer
	long := "^a=" + strings.Repeat("x", 9) + "=" // 13, of 24
	for name, c := range map[string]struct {
		prompt         string
		room           int
		job            frame.Job
		output, shifts int
		finish         string
		held           int // of the prompt, afterwards
	}{
		"not asked":          {prompt, 20, frame.Job{}, 6, 0, "length", 14},
		"no need":            {prompt, room + 10, frame.Job{Shift: true}, 10, 0, "stop", 14},
		"no need by length":  {prompt, room, frame.Job{Shift: true, MaxTokens: 10, Keep: 1000}, 10, 0, "length", 14},
		"to ten contexts":    {prompt, 20, frame.Job{Shift: true, Keep: -1}, 200, 65, "length", 14},
		"to a length":        {prompt, 20, frame.Job{Shift: true, Keep: -1, MaxTokens: 50}, 50, 15, "length", 14},
		"more than it keeps": {prompt, 20, frame.Job{Shift: true, Keep: 1 << 30, MaxTokens: 50}, 50, 15, "length", 14},
		"from none":          {long, 16, frame.Job{Shift: true, MaxTokens: 100}, 4, 1, "stop", 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1, c.room)
			r.submit(1, c.prompt, c.job)
			_, results := r.finish()
			if got := results[1]; got.Output != c.output || got.Finish != c.finish || got.Shifts != c.shifts || got.Prompt != len(c.prompt) {
				t.Errorf("%+v, want %d tokens and %d shifts to %q", got, c.output, c.shifts, c.finish)
			}
			// What is held then is the prompt's beginning, and it is reused.
			r.submit(2, c.prompt, frame.Job{MaxTokens: 1})
			texts, results := r.finish()
			if got := results[2]; texts[2] != c.prompt[3:4] || got.Cached != min(c.held, len(c.prompt)-1) {
				t.Errorf("afterwards %q, %+v, want %d tokens reused", texts[2], got, c.held)
			}
		})
	}
}

// What is kept is kept, half of the rest goes, and what another slot does is its own.
func TestLoopShiftKeeps(t *testing.T) {
	r := newRig(t, 2, 40)
	r.submit(1, "^a="+strings.Repeat("y", 29)+"=", frame.Job{Shift: true, Keep: 2, MaxTokens: 20}) // 33 tokens
	r.submit(2, "b=abcdefghijkl=", frame.Job{})
	before := []token(nil)
	for n := 0; r.loop.slots[0].shifts == 0; n++ {
		before = slices.Clone(r.loop.slots[0].held)
		if err := r.step(); err != nil || n > 100 {
			t.Fatal("it does not shift", err)
		}
	}
	want := slices.Concat(before[:3], before[3+18:], r.loop.slots[0].held[22:])
	if len(before) != 40 || !slices.Equal(r.loop.slots[0].held, want) {
		t.Errorf("held %v, then %v, want %v", before, r.loop.slots[0].held, want)
	}
	if texts, results := r.finish(); texts[2] != "abcdefghijkl" || results[2].Shifts != 0 || results[1].Shifts == 0 {
		t.Errorf("%v %+v", texts, results)
	}
}

// A prompt like what is left after a shift reads none of it.
func TestLoopShiftServesNoOther(t *testing.T) {
	r := newRig(t, 2, 200)
	prompt := "a=" + strings.Repeat("z", 150) + "="
	r.submit(1, prompt, frame.Job{Shift: true, Keep: 100, MaxTokens: 180})
	for n := 0; r.loop.slots[0].shifts == 0; n++ {
		if err := r.step(); err != nil || n > 1000 {
			t.Fatal("it does not shift", err)
		}
	}
	held := ""
	for _, b := range r.loop.slots[0].held[:140] {
		held += string(rune(b))
	}
	r.submit(2, held, frame.Job{MaxTokens: 1}) // while it runs
	_, results := r.finish()
	if results[2].Cached != 100 {
		t.Errorf("of a busy slot: %+v, want 100 reused", results[2])
	}
	if of, in := r.loop.slots[0].held, r.script.slots[0]; len(of) != 100 || !slices.Equal(of, in) {
		t.Errorf("the free slot holds %d tokens, the model %d of it, want 100", len(of), len(in))
	}
}

func TestLoopShiftRefused(t *testing.T) {
	const prompt = "a=abcdefghijklm=" // 16 tokens
	for name, c := range map[string]struct {
		job   frame.Job
		fixed bool
		code  frame.Code
		says  string
	}{
		"a model that cannot":      {frame.Job{Shift: true, MaxTokens: 1}, true, frame.Cannot, "(shift, context_shift)"},
		"too much to keep":         {frame.Job{Shift: true, Keep: -1}, false, frame.BadPrompt, "is to keep 16 tokens of the prompt, and can keep 15 of a context of 20"},
		"one that has shifted":     {frame.Job{Shift: true, Begun: &frame.Begun{Text: "abcd", Tokens: 4}}, false, frame.Cannot, "gone on with"},
		"that has, and is at most": {frame.Job{Shift: true, Keep: 4, MaxTokens: 4, Begun: &frame.Begun{Text: "abcd", Tokens: 4}}, false, frame.OK, ""},
		"one that has not":         {frame.Job{Shift: true, Keep: 4, Begun: &frame.Begun{Text: "abc", Tokens: 3}}, false, frame.OK, ""},
	} {
		r := newRig(t, 1, 20)
		r.fixed = c.fixed
		r.submit(1, prompt, c.job)
		texts, results := r.finish()
		if got := results[1]; got.Code != c.code || !strings.Contains(got.Message, c.says) || c.code != frame.OK && texts[1] != "" {
			t.Errorf("%s: %q, %+v", name, texts[1], got)
		}
	}
}

// A memory that turns out not to shift ends the answer, and the slot is empty.
func TestLoopShiftFails(t *testing.T) {
	r := newRig(t, 1, 20)
	r.torn = true
	r.submit(1, "a=abcdefghijkl=", frame.Job{Shift: true})
	texts, results := r.finish()
	if texts[1] != "abcdef" || results[1].Finish != "length" || results[1].Shifts != 0 {
		t.Errorf("%q, %+v", texts[1], results[1])
	}
	r.submit(2, "a=abcdefghijkl=", frame.Job{MaxTokens: 2})
	if texts, results = r.finish(); texts[2] != "ab" || results[2].Cached != 0 {
		t.Errorf("afterwards %q, %+v", texts[2], results[2])
	}
}
