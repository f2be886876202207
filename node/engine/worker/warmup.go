package worker

import (
	"time"

	"omx/node/engine/frame"
)

const (
	warmUpPrompt = "Say hello to everyone who is here today, and then count slowly from one to twenty."
	warmUpTokens = 8
	// warmUpAgain is what the first answer may take for there to be a second: its
	// own time is mostly that of bringing the weights into memory.
	warmUpAgain = time.Second
)

// warmUp answers before anybody asks, so that the first request finds the
// weights in memory and its node knows how fast the model is: routing by a guess
// would keep every request on the nodes that have been measured already.
func (l *loop) warmUp() error {
	if l.model.context() == 0 {
		return nil // it writes nothing
	}
	job := &frame.Job{Messages: []frame.Message{{Role: "user", Content: warmUpPrompt}}, MaxTokens: warmUpTokens}
	for took := time.Duration(0); took < warmUpAgain; took += warmUpAgain / 2 {
		l.rates = rates{}
		began := time.Now()
		l.start(command{request: 1, job: job})
		for l.working() {
			if err := l.step(); err != nil {
				return err
			}
		}
		took += time.Since(began)
		for i := range l.slots { // nobody's prompt is to be found there
			l.model.forget(i, 0)
			l.slots[i] = slot{index: i}
		}
	}
	l.frames, l.arrived = l.frames[:0], 0
	l.rates.sent = frame.Rates{}
	l.sendRates(time.Now(), true)
	return l.broken
}
