package wasm

import "omx/policies/abi"

// world is what a policy can find out beside its view: a clock that stands
// still and numbers that are not random. Both come from the view or event it is
// being asked about, so that the same one gives the same answer everywhere.
type world struct {
	now      uint64 // ns
	filled   uint64 // µs: up to when logLeft was given
	random   uint64 // state of the generator
	logLeft  int    // bytes it may log
	logLost  uint64 // lines it could not
	counters [maxCounters]int64
}

// newWorld is what it is before the first view. The clock does not stand at 0,
// which Go's run-time library takes for a fault.
func newWorld() world { return world{now: 1, logLeft: maxLog} }

// hear takes the time from an event.
func (w *world) hear(b []byte) {
	if len(b) >= abi.EventSize {
		e := abi.EventAt(b)
		w.set(e.Now, e.Request)
	}
}

// set puts the clock on now, in µs, and gives what may be logged since.
func (w *world) set(now, seed uint64) {
	w.now, w.random = max(now*1000, 1), seed
	if now < w.filled {
		return
	}
	more := (now - w.filled) / logEvery
	if more >= maxLog {
		w.logLeft, w.filled = maxLog, now
		return
	}
	w.logLeft = min(w.logLeft+int(more), maxLog)
	w.filled += more * logEvery
}

// next is the next number of SplitMix64 (Steele, Lea and Flood, 2014).
func (w *world) next() uint64 {
	w.random += 0x9e3779b97f4a7c15
	z := w.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Counters are what the policy counts of its own, by number.
func (i *Instance) Counters() [maxCounters]int64 { return i.world.counters }

// LogLost is how many lines the policy logged beyond what it may.
func (i *Instance) LogLost() uint64 { return i.world.logLost }

// write logs what the policy says, a line, as far as it may.
func (i *Instance) write(level int, text []byte) {
	w := &i.world
	switch {
	case i.log == nil:
	case len(text)+logLine > w.logLeft:
		w.logLost++
	default:
		w.logLeft -= len(text) + logLine
		i.log(min(max(level, 0), 3), printable(text))
	}
}

// printable keeps a policy from writing anything but text into a log.
func printable(b []byte) string {
	out := make([]rune, 0, len(b))
	for _, c := range string(b) {
		if c == '\n' || c == '\t' {
			c = ' '
		}
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 {
			c = '?'
		}
		out = append(out, c)
	}
	return string(out)
}
