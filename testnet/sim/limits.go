package sim

import "omx/node/catalog"

// Limits on a scenario, so that a typing error does not take all memory.
const (
	maxNodes    = 1_000 // each sees all others: state grows with the square
	maxSites    = 64
	maxModels   = 64
	maxRequests = 1_000_000 // about 300 bytes each
	maxTokens   = 32_768    // of a prompt or an answer; the engine's arithmetic holds to here
	maxSlots    = 64        // of a device, for the same reason
	maxQueue    = 4_096     // requests waiting on a node
	maxReasons  = 20        // violations told; the rest is counted
)

const (
	milli  = catalog.Micros(1_000)
	second = catalog.Micros(1_000_000)

	// start is the first moment; records from before it are there already, and 0
	// means "never" in one.
	start = 10 * second

	// horizon is how long after the last arrival everything must have ended: the
	// slowest device has emptied the longest queue by then.
	horizon = 365 * 24 * 3600 * second
)
