package events

const (
	// DefaultQueue holds a burst of a thousand events, as when a hundred peers
	// connect at once, in 48 KiB; a second buffer of that size is being delivered.
	DefaultQueue = 1024
	// MaxQueue bounds what one subscriber may ask for: 6 MiB with both buffers.
	MaxQueue = 1 << 16
	// MaxSubscribers bounds the work of one Emit, and the goroutines that handle
	// events, one a subscriber; a node has about five.
	MaxSubscribers = 50
)
