//go:build unix

package mesh

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkBulk is 256 MiB over one stream between two hosts, with the system's
// sockets and with those that the mesh opens. To compare them on a machine that does
// other things too, run it many times with -benchtime 1x: -count does not take turns.
func BenchmarkBulk(b *testing.B) {
	for _, way := range []struct {
		name   string
		listen func(string, *net.UDPAddr) (net.PacketConn, error)
	}{
		{"plain", func(network string, a *net.UDPAddr) (net.PacketConn, error) { return net.ListenUDP(network, a) }},
		{"omx", nil},
	} {
		b.Run(way.name, func(b *testing.B) {
			const total, frame = 256 << 20, 32 << 10
			kc, ks := newKey(b), newKey(b)
			server := startPeer(b, Config{Key: ks, ListenUDP: way.listen, Peers: []string{"/p2p/" + idOf(b, kc).String()}})
			client := startPeer(b, Config{Key: kc, ListenUDP: way.listen, Peers: server.Addrs()})
			client.await(b, "the server is up", func() bool { return client.up[server.ID()] })
			server.handle(func(_ context.Context, s *ServerStream) {
				text := make([]byte, frame)
				if s.Accept() != nil {
					return
				}
				for range total / frame {
					if s.Token(text, 1) != nil {
						return
					}
				}
				s.Done(nil)
			})
			b.SetBytes(total)
			used := cpuTime(b)
			for b.Loop() {
				s, err := client.Open(b.Context(), server.ID(), 0, nil)
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for {
					tok, err := s.Next()
					if errors.Is(err, ErrDone) {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					n += len(tok.Text)
				}
				s.Close()
				if n != total {
					b.Fatalf("%d bytes of %d came", n, total)
				}
			}
			b.ReportMetric((cpuTime(b)-used).Seconds()/float64(b.N)/total*1e9, "cpu-s/GB")
		})
	}
}

// cpuTime is what this process has used of the processors.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
