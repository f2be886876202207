package mesh

import (
	"fmt"
	"net"

	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	ma "github.com/multiformats/go-multiaddr"
)

// TryListen says whether a node could listen on a UDP multiaddr, by doing so for a
// moment, and which port that is. The error is syscall.EADDRINUSE where another
// socket has it, or another one of the system's.
func TryListen(addr string) (port int, err error) {
	a, err := ma.NewMultiaddr(addr)
	if err != nil {
		return 0, fmt.Errorf("mesh address %q: %w", addr, err)
	}
	to, _, err := quicreuse.FromQuicMultiaddr(a)
	if err != nil {
		return 0, fmt.Errorf("mesh address %q: %w", addr, err)
	}
	c, err := net.ListenUDP("udp", to)
	if err != nil {
		return to.Port, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return to.Port, c.Close()
}
