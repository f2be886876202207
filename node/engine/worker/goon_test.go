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
		"text":    {"one two three", frame.Job{}},
		"stop":    {"one two stop three", frame.Job{Stop: []string{"stop", "o t!"}}},
		"length":  {"one two three", frame.Job{MaxTokens: 9}},
		"tools":   {"a < b and {\"c\": 1} or <tool no", frame.Job{Tools: []json.RawMessage{tool}}},
		"thought": {"<think>\nWell, so.\n\nOr so.\n</think>\n\nIt is so.", frame.Job{Think: new(bool)}},
		"call":    {"I call it. <tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>", frame.Job{Tools: []json.RawMessage{tool}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2, 200)
			r.submit(1, "a="+c.answer+"=", c.job)
			type piece struct {
				text    string
				thought bool
				tokens  int
			}
			var pieces []piece
			_, results := r.finishRaw(t, func(f frame.Frame) {
				var d frame.Detail
				switch {
				case f.Kind == frame.Piece:
					pieces = append(pieces, piece{string(f.Payload), false, int(f.Tokens)})
				case f.Kind == frame.Rich && f.Decode(&d) == nil:
					pieces = append(pieces, piece{d.Text, d.Thought, int(f.Tokens)})
				}
			})
			want := results[1]
			whole := ""
			for _, p := range pieces {
				whole += p.text
			}
			head := frame.Begun{}
			for i, p := range pieces {
				if p.thought {
					head.Thought += p.text
				} else {
					head.Text += p.text
				}
				head.Tokens += p.tokens
				b, job := head, c.job
				job.Begun = &b
				r.submit(2, "a="+c.answer+"=", job)
				texts, results := r.finish()
				got := results[2]
				if head.Thought+head.Text+texts[2] != whole || got.Output != want.Output || got.Finish != want.Finish || got.Stop != want.Stop || got.Prompt != want.Prompt || len(got.Calls) != len(want.Calls) {
					t.Errorf("cut after piece %d: %+v and %q, %+v; want %q, %+v", i, head, texts[2], got, whole, want)
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
