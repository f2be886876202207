package mesh

import (
	"fmt"
	"net"
	"os"
)

// wantBuffer is what QUIC asks for: less, and a burst of packets is lost while the
// process waits for a core, which congestion control takes for a narrow line.
const wantBuffer = 7 << 20

// bufferAdvice says what to do where the kernel gives a socket less than QUIC
// wants; "" where it gives enough, or does not say. Root gets what it asks for.
func bufferAdvice() string {
	if os.Geteuid() == 0 {
		return ""
	}
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return ""
	}
	defer c.Close()
	_ = c.SetReadBuffer(wantBuffer) // the kernel gives what it may
	return adviceFor(receiveBuffer(c))
}

func adviceFor(got int) string {
	if got == 0 || got >= wantBuffer {
		return ""
	}
	return fmt.Sprintf("the kernel keeps %d KiB of packets for a socket, %d KiB are wanted: transfers over a network will be slower; run: sysctl -w net.core.rmem_max=%d", got>>10, wantBuffer>>10, wantBuffer)
}
