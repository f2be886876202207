package policies

// The policies that decide where the operator names none.
const (
	DefaultRoute = "expected-time"
	DefaultAdmit = "bounded-queue"
)
