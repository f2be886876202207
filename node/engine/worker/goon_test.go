package worker

import (
	"encoding/json"
	"testing"

	"omx/node/engine/frame"
)

// An answer that is begun goes on as if it had not been cut, and says nothing twice.
func TestLoopGoesOn(t *testing.T) {
	tool := json.RawMessage(`{"type":"function","function":{"name":"f"}}`)
	for name, c := range map[string]struct {
		answer string
		job    frame.Job
	}{
		"text":   {"one two three", frame.Job{}},
		"stop":   {"one two stop three", frame.Job{Stop: []string{"stop", "o t!"}}},
		"length": {"one two three", frame.Job{MaxTokens: 9}},
		"tools":  {"a < b and {\"c\": 1} or <tool no", frame.Job{Tools: []json.RawMessage{tool}}},
		"call":   {"I call it. <tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>", frame.Job{Tools: []json.RawMessage{tool}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2, 200)
			r.submit(1, "a="+c.answer+"=", c.job)
			var pieces []frame.Frame
			_, results := r.finishRaw(t, func(f frame.Frame) {
				if f.Kind == frame.Piece {
					f.Payload = append([]byte(nil), f.Payload...)
					pieces = append(pieces, f)
				}
			})
			want := results[1]
			whole := ""
			for _, p := range pieces {
				whole += string(p.Payload)
			}
			head := frame.Begun{}
			for i, p := range pieces {
				head.Text += string(p.Payload)
				head.Tokens += int(p.Tokens)
				b, job := head, c.job
				job.Begun = &b
				r.steps = nil
				r.submit(2, "a="+c.answer+"=", job)
				texts, results := r.finish()
				got := results[2]
				if head.Text+texts[2] != whole || got.Output != want.Output || got.Finish != want.Finish || got.Stop != want.Stop || got.Prompt != want.Prompt || len(got.Calls) != len(want.Calls) {
					t.Errorf("cut after piece %d: %q and %q, %+v; want %q, %+v", i, head.Text, texts[2], got, whole, want)
				}
			}
		})
	}
}

// What cannot be is refused, and the slot is free.
func TestLoopCannotGoOn(t *testing.T) {
	r := newRig(t, 1, 200)
	for i, text := range []string{"not allowed #", "it stops END here"} {
		id := uint32(i + 1)
		r.submit(id, "a=b=", frame.Job{Stop: []string{"END"}, Begun: &frame.Begun{Text: text, Tokens: 3}})
		texts, results := r.finish()
		if results[id].Code != frame.Cannot || texts[id] != "" {
			t.Errorf("%q: %q, %+v", text, texts[id], results[id])
		}
	}
}
