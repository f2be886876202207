package engine

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"omx/node/nodetest"
)

// In virtual time a simulated engine keeps its pace to the nanosecond.
func TestSimPace(t *testing.T) {
	nodetest.Bubble(t, func(t *testing.T) {
		s, err := NewSim(SimConfig{Models: []Status{{ID: model(t, "m")}}, Slots: 1, Prefill: time.Millisecond, Decode: 10 * time.Millisecond, Output: 20})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		began := time.Now()
		for i := range 3 {
			_, u, err := answer(s, ask(s, "twelve bytes")) // 3 tokens and 4 for the turn
			if err != nil {
				t.Fatal(err)
			}
			if u.PromptTokens != 7 || u.TTFT != 17*time.Millisecond || u.Total != 207*time.Millisecond || u.OutputTokens != 20 {
				t.Errorf("answer %d: %+v", i, u)
			}
		}
		if d := time.Since(began); d != 3*207*time.Millisecond {
			t.Errorf("three answers took %v", d)
		}
	})
}

func TestSimSeeds(t *testing.T) {
	say := func(seed uint64, question string) string {
		s, err := NewSim(SimConfig{Models: []Status{{ID: model(t, "m")}}, Seed: seed, Output: 30})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		text, _, err := answer(s, ask(s, question))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if say(1, "a") != say(1, "a") {
		t.Error("the same engine and question gave different answers")
	}
	if say(1, "a") == say(2, "a") || say(1, "a") == say(1, "b") {
		t.Error("seed and question make no difference")
	}
}

func TestSimRefuses(t *testing.T) {
	for name, cfg := range map[string]SimConfig{
		"slots": {Slots: -1}, "queue": {QueueLimit: -1}, "context": {ContextTokens: 1}, "pace": {Decode: -1}, "output": {Output: -1},
	} {
		if _, err := NewSim(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A prompt and its usage cross the mesh as JSON.
func TestJSON(t *testing.T) {
	p := Prompt{Model: model(t, "m"), Messages: []Message{{Role: "user", Content: "é"}}, MaxTokens: 3, Temperature: 0.5, TopP: 0.9, TopK: 40, Seed: 1 << 31, Stop: []string{"x"}, Scope: 1 << 63}
	u := Usage{PromptTokens: 1, OutputTokens: 2, QueueWait: 3, TTFT: 4, Total: 5, Finish: FinishStop}
	var p2 Prompt
	var u2 Usage
	for _, v := range []struct{ from, to any }{{p, &p2}, {u, &u2}} {
		data, err := json.Marshal(v.from)
		if err == nil {
			err = json.Unmarshal(data, v.to)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(p, p2) || !reflect.DeepEqual(u, u2) {
		t.Errorf("came back as %+v, %+v", p2, u2)
	}
}
