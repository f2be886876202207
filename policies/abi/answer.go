package abi

// How a decision ended when the guest did not end it itself. Values below 16 are
// the guest's own.
const (
	OutOfFuel Status = 16 // the guest ran over its budget
	Trapped   Status = 17 // the guest crashed
	BadAnswer Status = 18 // the answer names a row that is not there or not allowed
	NotReady  Status = 19 // no instance could be used
)

var hostStatusNames = [...]string{"out of fuel", "trapped", "bad answer", "not ready"}

// statusWords are the guest's statuses as people read them.
var statusWords = [...]string{"ok", "bad request", "no candidate", "abstain", "unsupported"}

func (s Status) String() string {
	switch {
	case int(s) < len(statusWords):
		return statusWords[s]
	case s >= OutOfFuel && int(s-OutOfFuel) < len(hostStatusNames):
		return hostStatusNames[s-OutOfFuel]
	}
	return "unknown status"
}

// Answer is the i64 a policy returns: status<<32 | value. For route the value
// is a row index, for admit a verdict, for replicate the number of steps.
type Answer uint64

// Pack builds an answer; native policies use it.
func Pack(s Status, value uint32) Answer { return Answer(uint64(s)<<32 | uint64(value)) }

// Status is the guest's status; anything it cannot mean is BadAnswer.
func (a Answer) Status() Status {
	if s := uint32(a >> 32); s <= uint32(Unsupported) {
		return Status(s)
	}
	return BadAnswer
}

// Value is the row index, the packed verdict or the number of steps.
func (a Answer) Value() uint32 { return uint32(a) }

func (a Action) String() string {
	if int(a) < len(ActionNames) {
		return ActionNames[a].Name
	}
	return "unknown"
}

func (o Op) String() string {
	if o > 0 && int(o) <= len(OpNames) {
		return OpNames[o-1].Name
	}
	return "unknown"
}

func (e EventKind) String() string {
	if e > 0 && int(e) <= len(EventNames) {
		return EventNames[e-1].Name
	}
	return "unknown"
}

// PackVerdict lays out an admission value: action, the policy's own reason code
// and, for Shed, the wait in tenths of a second (at most 6553 s).
func PackVerdict(a Action, reason uint8, waitDeci uint16) uint32 {
	return uint32(a) | uint32(reason)<<8 | uint32(waitDeci)<<16
}

// UnpackVerdict undoes PackVerdict; ok is false for an unknown action.
func UnpackVerdict(v uint32) (a Action, reason uint8, waitDeci uint16, ok bool) {
	a = Action(v)
	return a, uint8(v >> 8), uint16(v >> 16), a <= Reject
}
