package worker

import (
	"math"
	"testing"

	"omx/node/engine/frame"
)

func TestBounded(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, v := range []float32{nan, inf, -inf, -1e30, 1e30} {
		j := bounded(&frame.Job{Temperature: v, TopP: v, MinP: v, Presence: v, Frequency: v, Repeat: v, TopK: math.MaxInt, RepeatLast: math.MinInt}, 100)
		if j.Temperature != 0 || j.TopP != 1 || j.MinP != 0 || j.Presence != 0 || j.Frequency != 0 || j.Repeat != 1 || j.TopK != math.MaxInt32 || j.RepeatLast != 100 {
			t.Errorf("%v: %+v", v, j)
		}
	}
	if j := bounded(&frame.Job{Temperature: 0.7, TopP: 0.9, MinP: 0.05, Presence: 1, Frequency: -1, Repeat: 1.1, TopK: 40, RepeatLast: 32}, 100); j.Temperature != 0.7 || j.TopP != 0.9 ||
		j.MinP != 0.05 || j.Presence != 1 || j.Frequency != -1 || j.Repeat != 1.1 || j.TopK != 40 || j.RepeatLast != 32 {
		t.Errorf("%+v", j)
	}
	if j := bounded(&frame.Job{}, 100); j.RepeatLast != defaultRepeatLast || j.Repeat != 1 {
		t.Errorf("%+v", j)
	}
}
