package worker

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"omx/node/engine/frame"
)

// Vectors are made between the steps of answers, in steps of bounded size.
func TestLoopVectors(t *testing.T) {
	r := newRig(t, 1, 100)
	r.submit(1, "a=an answer=", frame.Job{})
	var input []string
	for i := range 50 {
		input = append(input, strings.Repeat("x", 1+i))
	}
	r.do(command{request: 2, texts: &frame.Texts{Input: input}})
	r.do(command{request: 3, texts: &frame.Texts{Input: []string{"ab"}, Query: "q"}})
	r.do(command{request: 4, texts: &frame.Texts{Input: []string{"ab"}}})
	r.do(command{request: 4}) // not wanted any more
	for n := 0; r.working(); n++ {
		if err := r.step(); err != nil || n > 1000 {
			t.Fatal("stuck: ", err)
		}
	}
	got := map[uint32][][]float32{}
	results := map[uint32]frame.Result{}
	text, pieces := "", 0
	for rd := frame.NewReader(bytes.NewReader(r.frames)); ; {
		f, err := rd.Next()
		if err != nil {
			break
		}
		switch f.Kind {
		case frame.Vector:
			got[f.Request] = append(got[f.Request], frame.Floats(f.Payload))
			if len(got[2]) == 50 {
				pieces = len(text)
			}
		case frame.Piece:
			text += string(f.Payload)
		case frame.End:
			var res frame.Result
			if err := f.Decode(&res); err != nil {
				t.Fatal(err)
			}
			results[f.Request] = res
		}
	}
	if len(got[2]) != 50 || results[2].Prompt != 50*51/2 || text != "an answer" || pieces == 0 {
		t.Fatalf("%d vectors, result %+v, %q, of which %d before the vectors", len(got[2]), results[2], text, pieces)
	}
	for i, v := range got[2] {
		if v[0] != float32(1+i) {
			t.Errorf("vector %d is %v", i, v)
		}
	}
	if results[3].Code != frame.Cannot || results[4].Code != frame.Canceled || len(got[4]) != 0 {
		t.Errorf("%+v, %+v", results[3], results[4])
	}
}

// What another slot of the same tenant has read is not read again.
func TestLoopSharesBetweenSlots(t *testing.T) {
	same := strings.Repeat("the same beginning ", 8)
	for _, c := range []struct {
		name   string
		scope  uint64
		whole  bool
		shared int
	}{{"another slot", 1, false, 1}, {"of another tenant", 2, false, 0}, {"a model that cannot", 1, true, 0}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, 2, 600)
			r.script.whole = c.whole
			r.submit(1, same+"=first=", frame.Job{Scope: 1})
			for range 4 {
				if err := r.step(); err != nil { // the first is under way
					t.Fatal(err)
				}
			}
			r.submit(2, same+"=second=", frame.Job{Scope: c.scope})
			texts, results := r.finish()
			if texts[1] != "first" || texts[2] != "second" || r.shared != c.shared {
				t.Fatalf("%v, shared %d times", texts, r.shared)
			}
			if n := results[2].Cached; c.shared == 1 && n != len(same)+1 || c.shared == 0 && n != 0 {
				t.Errorf("%d tokens were there", n)
			}
		})
	}
}

func TestLoopCountsAndTellsLikelyTokens(t *testing.T) {
	r := newRig(t, 1, 20)
	r.do(command{request: 1, count: true, job: &frame.Job{Messages: []frame.Message{{Content: "five="}}}})
	r.do(command{request: 2, count: true, job: &frame.Job{Messages: []frame.Message{{Content: strings.Repeat("x", 30)}}}})
	r.submit(3, "a=xyz=", frame.Job{Logprobs: 3, Stop: []string{"yz"}})
	_, results := r.finishRaw(t, func(f frame.Frame) {
		var d frame.Detail
		if f.Kind != frame.Rich {
			return
		}
		if err := f.Decode(&d); err != nil || d.Text != "x" || len(d.Logprobs) != 1 || len(d.Logprobs[0].Top) != 2 || f.Tokens != 1 {
			t.Errorf("%+v, %v", d, err)
		}
	})
	if results[1].Prompt != 5 || results[2].Prompt != 30 || results[1].Code != frame.OK || results[2].Code != frame.OK {
		t.Errorf("counted %+v", results)
	}
	if results[3].Stop != "yz" {
		t.Errorf("%+v", results[3])
	}
}

// Calls that a model writes are no text; after the one that is wanted the answer ends.
func TestLoopFindsCalls(t *testing.T) {
	tool := []json.RawMessage{json.RawMessage(`{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}`)}
	call := `Well.<tool_call>{"name":"f","arguments":{"x":1}}</tool_call>`
	for _, c := range []struct {
		job   frame.Job
		text  string
		calls int
	}{
		{frame.Job{Tools: tool}, "Well.Well.", 2},
		{frame.Job{Tools: tool, OneCall: true}, "Well.", 1},
		{frame.Job{}, call + call, 0},
	} {
		r := newRig(t, 1, 600)
		r.submit(1, "a="+call+call+"=", c.job)
		texts, results := r.finish()
		if texts[1] != c.text || len(results[1].Calls) != c.calls || results[1].Finish != "stop" {
			t.Errorf("%+v: %q, %+v", c.job.OneCall, texts[1], results[1])
		}
		for _, got := range results[1].Calls {
			if got.Name != "f" || string(got.Arguments) != `{"x":1}` || got.ID == "" {
				t.Errorf("%+v", got)
			}
		}
	}
}
