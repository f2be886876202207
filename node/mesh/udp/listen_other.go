//go:build !linux

package udp

import "net"

// Listen opens a socket as net.ListenUDP does.
func Listen(network string, laddr *net.UDPAddr) (net.PacketConn, error) {
	return net.ListenUDP(network, laddr)
}
