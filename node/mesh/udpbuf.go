package mesh

import (
	"net"
	"os"
)

// wantBuffer is what QUIC asks for: less, and a burst of packets is lost while the
// process waits for a core, which congestion control takes for a narrow line.
const wantBuffer = 7 << 20

// ReceiveBuffer is how many bytes of packets the kernel keeps for a socket of this
// user, at most what QUIC wants, and how many it wants; 0 if the system does not say.
// Root gets what it asks for.
func ReceiveBuffer() (got, want int) {
	if os.Geteuid() == 0 {
		return wantBuffer, wantBuffer
	}
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, wantBuffer
	}
	defer c.Close()
	_ = c.SetReadBuffer(wantBuffer) // the kernel gives what it may
	return min(receiveBuffer(c), wantBuffer), wantBuffer
}
