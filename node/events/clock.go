package events

import (
	"sync/atomic"
	"time"
)

// clock gives the time at the price of one load while it is asked often, and at
// the price of time.Now when it is asked seldom. Reading the system's clock
// for each event costs more than all the rest of Emit (46 ns against 26 ns on a
// virtual machine, 2026-11); a ticker that never rests would wake an idle machine
// a thousand times a second. So the ticker runs while there are questions.
//
// An answer is right to tick, or to the scheduler's time slice (10 ms) while
// every processor is busy emitting.
type clock struct {
	// word is microseconds since 1970, shifted left by one; the lowest bit says
	// that it was asked for since the last tick. 0: the ticker rests.
	word atomic.Int64
	wake chan struct{}
}

const tick = time.Millisecond

func (c *clock) now() int64 {
	if w := c.word.Load(); w&1 != 0 {
		return w >> 1
	}
	return c.ask()
}

func (c *clock) ask() int64 {
	w := c.word.Load()
	if w == 0 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
		return time.Now().UnixMicro()
	}
	c.word.CompareAndSwap(w, w|1) // if it fails, somebody else has asked
	return w >> 1
}

func (c *clock) run(stop <-chan struct{}) {
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for {
		select {
		case <-c.wake:
		case <-stop:
			return
		}
		for asked := true; asked; asked = c.word.Load()&1 != 0 {
			c.word.Store(time.Now().UnixMicro() << 1)
			timer.Reset(tick)
			select {
			case <-timer.C:
			case <-stop:
				c.word.Store(0)
				return
			}
		}
		c.word.Store(0) // whoever asked just now is asked to wake it the next time
	}
}
