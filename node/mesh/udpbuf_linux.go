package mesh

import (
	"net"

	"golang.org/x/sys/unix"
)

// receiveBuffer is how many bytes of packets the kernel keeps for a socket, 0 if
// it does not say.
func receiveBuffer(c *net.UDPConn) (n int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		// The kernel counts its own bookkeeping, and says twice of what was asked for.
		if v, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF); err == nil {
			n = v / 2
		}
	})
	return n
}
