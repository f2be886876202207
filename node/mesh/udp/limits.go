package udp

// Every bound on what a socket keeps.
const (
	// maxTrain is what one read can bring: the length of a UDP packet has 16 bits.
	maxTrain = 1 << 16
	// maxControl is room for what the kernel says of a read. All that quic-go asks
	// for, of both kinds of IP, is 120 bytes, and the size of a datagram 24.
	maxControl = 256
	// maxSenders is how many addresses are remembered, some 100 bytes each; when
	// there are more, all are forgotten: a node has a tenth as many connections.
	maxSenders = 1024
)
