package vnet

const (
	// MaxNodes is how many addresses the network has.
	MaxNodes = 1 << 16
	// MaxPacket is the payload of one packet: an Ethernet frame less the headers.
	MaxPacket = 1500 - header

	header = 28 // bytes of IPv4 and UDP headers, which take their time on a wire too

	// maxInbox is how many packets wait in a socket until somebody reads; about
	// what Linux keeps by default for packets of this size.
	maxInbox = 256
	// maxHeld is how many packets wait at a paused node, each way.
	maxHeld = 256
	// defaultQueue of an access, in bytes.
	defaultQueue = 1 << 20
)
