// Package udp opens the sockets that QUIC runs on.
//
// On Linux one receives with UDP_GRO: the kernel joins datagrams of one sender that
// have one size, a single system call brings up to 64 KiB of them, and they are
// taken apart here. To quic-go it is a socket like any other: each datagram comes
// with its sender and with everything that the kernel said of it, ECN mark and
// destination among it, and sending, with GSO, is the system's socket's. Where the
// kernel cannot join datagrams, and on other systems, it is that socket altogether.
//
// Package mesh may import it; it imports nothing of this module.
package udp
