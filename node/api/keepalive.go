package api

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// keepAlive reads how long a model is to stay loaded: a duration in words ("5m"),
// or a number of seconds; below 0 for good.
type keepAlive struct{ time *time.Duration }

func (k *keepAlive) UnmarshalJSON(b []byte) error {
	k.time = nil
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		text = string(b)
	} else if text == "" { // or null
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(seconds) || math.Abs(seconds) > maxKeep.Seconds() {
			return badField("keep_alive", `must be a duration as "5m", or a number of seconds up to %d; -1 is for good`, int(maxKeep.Seconds()))
		}
		d = time.Duration(seconds * float64(time.Second))
	}
	switch {
	case d < 0:
		d = -1
	case d > maxKeep:
		return badField("keep_alive", "is longer than %v; -1 is for good", maxKeep)
	}
	k.time = &d
	return nil
}

// unload tells whether the model is to go at once.
func (k keepAlive) unload() bool { return k.time != nil && *k.time == 0 }
