package abi

// Status is how a decision ended. Values below 16 are the guest's own.
type Status uint16

const (
	OK          Status = 0
	BadRequest  Status = 1 // the guest could not read the view
	NoCandidate Status = 2 // nothing fits: nobody should serve this
	Abstain     Status = 3 // no opinion: the built-in decides
	Unsupported Status = 4 // the guest does not decide this kind

	OutOfFuel Status = 16 // the guest ran over its budget
	Trapped   Status = 17 // the guest crashed
	BadAnswer Status = 18 // the answer names a row that is not there or not allowed
	NotReady  Status = 19 // no instance could be used
)

var statusNames = map[Status]string{
	OK: "ok", BadRequest: "bad request", NoCandidate: "no candidate", Abstain: "abstain",
	Unsupported: "unsupported", OutOfFuel: "out of fuel", Trapped: "trapped",
	BadAnswer: "bad answer", NotReady: "not ready",
}

func (s Status) String() string {
	if n, ok := statusNames[s]; ok {
		return n
	}
	return "unknown status"
}

// Answer is the i64 a policy returns: status<<32 | value. For route the value
// is a row index; for admit it is a Verdict.
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

// Value is the row index or the packed verdict.
func (a Answer) Value() uint32 { return uint32(a) }

// Action is what admission says.
type Action uint8

const (
	Allow  Action = 0 // now
	Queue  Action = 1 // when a slot is free
	Shed   Action = 2 // later: come back after the wait
	Reject Action = 3 // never
)

func (a Action) String() string {
	switch a {
	case Allow:
		return "allow"
	case Queue:
		return "queue"
	case Shed:
		return "shed"
	case Reject:
		return "reject"
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
