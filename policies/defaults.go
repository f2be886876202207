package policies

// The policies that decide where the operator names none.
const (
	DefaultAdmit     = "free-slot"
	DefaultRoute     = "prefix-affinity"
	DefaultReplicate = "keep-n"
)
