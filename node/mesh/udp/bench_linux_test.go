package udp

import (
	"encoding/binary"
	"net"
	"syscall"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// BenchmarkRead is what it takes to read a datagram that comes alone, one of 32 that
// wait, from eight senders, and one of 16 that came joined; with the system's socket
// as quic-go reads it, eight at a time, and with this package's.
func BenchmarkRead(b *testing.B) {
	for _, c := range []struct {
		name       string
		wait, from int
		size       int // of joined ones
	}{{"alone", 1, 1, 0}, {"of 32", 32, 8, 0}, {"of 16 joined", 16, 1, 1200}} {
		b.Run(c.name+"/plain", func(b *testing.B) {
			s := plain(b, "udp4", "127.0.0.1")
			benchmarkRead(b, s, ipv4.NewPacketConn(s), c.wait, c.from, c.size)
		})
		b.Run(c.name+"/omx", func(b *testing.B) {
			s := open(b, "udp4", "127.0.0.1")
			benchmarkRead(b, s, s, c.wait, c.from, c.size)
		})
	}
}

func benchmarkRead(b *testing.B, to net.PacketConn, r batchReader, wait, senders, size int) {
	var from []*net.UDPConn
	for range senders {
		from = append(from, plain(b, "udp4", "127.0.0.1"))
	}
	sends, data, oob := wait, make([]byte, 100), []byte(nil)
	if size > 0 {
		sends, data = 1, make([]byte, wait*size)
		oob = controlMessage(unix.IPPROTO_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, uint16(size)))
	}
	at := to.LocalAddr().(*net.UDPAddr).AddrPort()
	ms := messages()
	everything(b, to.(syscall.Conn))
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += wait {
		b.StopTimer()
		for k := range sends {
			if _, _, err := from[k%senders].WriteMsgUDPAddrPort(data, oob, at); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		for n := 0; n < wait; {
			k, err := r.ReadBatch(ms, 0)
			if err != nil {
				b.Fatal(err)
			}
			n += k
		}
	}
}
