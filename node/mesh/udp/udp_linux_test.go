package udp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/quic-go/quic-go"
	"go.uber.org/goleak"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quic-go takes what lacks the first two for a socket without ECN and GSO, and reads
// what lacks the third by itself.
var (
	_ quic.OOBCapablePacketConn              = &conn{}
	_ interface{ SetWriteBuffer(int) error } = &conn{}
	_ batchReader                            = &conn{}
)

// open opens a socket that takes joined datagrams apart.
func open(t testing.TB, network, host string) *conn {
	t.Helper()
	c, err := Listen(network, resolve(t, network, host))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	joined, ok := c.(*conn)
	if !ok {
		t.Skip("this kernel does not join datagrams")
	}
	return joined
}

func plain(t testing.TB, network, host string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP(network, resolve(t, network, host))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func resolve(t testing.TB, network, host string) *net.UDPAddr {
	t.Helper()
	a, err := net.ResolveUDPAddr(network, net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func port(c net.PacketConn) int { return c.LocalAddr().(*net.UDPAddr).Port }

// everything has the kernel tell all that quic-go asks of it.
func everything(t testing.TB, c syscall.Conn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	set := 0
	err = raw.Control(func(fd uintptr) {
		for _, o := range []struct{ level, name int }{{unix.IPPROTO_IP, unix.IP_RECVTOS}, {unix.IPPROTO_IP, unix.IP_PKTINFO},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS}, {unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO}} {
			if unix.SetsockoptInt(int(fd), o.level, o.name, 1) == nil {
				set++
			}
		}
	})
	if err != nil || set < 2 {
		t.Fatal(set, err)
	}
}

// controlMessage is one as the kernel writes it.
func controlMessage(level, kind int, body []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(body)))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = int32(level), int32(kind)
	h.SetLen(unix.CmsgLen(len(body)))
	copy(b[unix.CmsgLen(0):], body)
	return b
}

// burst is sent with one call, as quic-go does with GSO: datagrams of one size, the
// last what is left.
type burst struct {
	bytes, size int // size 0: one datagram
	ecn         byte
}

func (b burst) send(t testing.TB, from *net.UDPConn, to *net.UDPAddr, v6 bool, seed byte) {
	t.Helper()
	data := make([]byte, b.bytes)
	for i := range data {
		data[i] = byte(i/7) + byte(i>>8) + seed
	}
	var oob []byte
	if b.size > 0 {
		oob = controlMessage(unix.IPPROTO_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, uint16(b.size)))
	}
	if v6 {
		oob = append(oob, controlMessage(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, binary.NativeEndian.AppendUint32(nil, uint32(b.ecn)))...)
	} else {
		oob = append(oob, controlMessage(unix.IPPROTO_IP, unix.IP_TOS, binary.NativeEndian.AppendUint32(nil, uint32(b.ecn)))...)
	}
	if n, _, err := from.WriteMsgUDP(data, oob, to); err != nil || n != len(data) {
		t.Fatal(n, err)
	}
}

func (b burst) datagrams() int {
	if b.size == 0 || b.bytes == 0 {
		return 1
	}
	return (b.bytes + b.size - 1) / b.size
}

// datagram is all that is known of one.
type datagram struct {
	data     []byte
	from     *net.UDPAddr
	flags    int
	controls map[string][]byte
}

type batchReader interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	SetReadDeadline(time.Time) error
}

// messages are as quic-go has them.
func messages() []ipv4.Message {
	ms := make([]ipv4.Message, 8)
	for i := range ms {
		ms[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 1452)}, OOB: make([]byte, 128)}
	}
	return ms
}

// read reads so many datagrams as quic-go does, and says in how many calls.
func read(t testing.TB, c batchReader, n int) (all []datagram, calls int) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	ms := messages()
	for len(all) < n {
		k, err := c.ReadBatch(ms, 0)
		if err != nil || k < 1 {
			t.Fatalf("after %d datagrams: %d, %v", len(all), k, err)
		}
		calls++
		for _, m := range ms[:k] {
			all = append(all, datagram{bytes.Clone(m.Buffers[0][:m.N]), m.Addr.(*net.UDPAddr), m.Flags, controls(t, m.OOB[:m.NN])})
		}
	}
	return all, calls
}

func controls(t testing.TB, oob []byte) map[string][]byte {
	t.Helper()
	ms, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		t.Fatalf("control messages %x: %v", oob, err)
	}
	all := map[string][]byte{}
	for _, m := range ms {
		all[fmt.Sprintf("level %d type %d", m.Header.Level, m.Header.Type)] = bytes.Clone(m.Data)
	}
	return all
}

// The same bursts come out of a plain socket and out of one that joins, datagram by
// datagram: the same bytes, sender, flags and words of the kernel.
func TestSameAsPlain(t *testing.T) {
	bursts := []burst{
		{1200, 0, 0}, // as of a client that has nothing to say
		{10*1200 + 300, 1200, 2},
		{0, 0, 2}, // empty: who gives none gives quic-go a datagram that is not there
		{10 * 1252, 1252, 1},
		{1, 0, 3},
		{45 * 1400, 1400, 3},
		{64, 1, 0},
		{2 * 1200, 1200, 2},
		{3000, 0, 2},           // larger than there is room for
		{3*2000 + 10, 2000, 1}, // each of them
	}
	for _, c := range []struct {
		network, host, from string
		ecnAt, infoAt       string
	}{
		{"udp4", "127.0.0.1", "127.0.0.1", "level 0 type 1", "level 0 type 8"},
		{"udp4", "0.0.0.0", "127.0.0.1", "level 0 type 1", "level 0 type 8"},
		{"udp6", "::1", "::1", "level 41 type 67", "level 41 type 50"},
		{"udp6", "::", "::1", "level 41 type 67", "level 41 type 50"},
		{"udp", "::", "::1", "level 41 type 67", "level 41 type 50"},
		{"udp", "::", "127.0.0.1", "level 0 type 1", "level 0 type 8"}, // both kinds in one socket
	} {
		t.Run(fmt.Sprintf("%s %s from %s", c.network, c.host, c.from), func(t *testing.T) {
			v6 := net.ParseIP(c.from).To4() == nil
			if v6 {
				probe, err := net.ListenPacket("udp6", "[::1]:0")
				if err != nil {
					t.Skip("no IPv6 here:", err)
				}
				_ = probe.Close()
			}
			joined, single := open(t, c.network, c.host), plain(t, c.network, c.host)
			from := plain(t, map[bool]string{false: "udp4", true: "udp6"}[v6], c.from)
			everything(t, joined)
			everything(t, single)
			for i, b := range bursts {
				at := func(s net.PacketConn) *net.UDPAddr { return &net.UDPAddr{IP: net.ParseIP(c.from), Port: port(s)} }
				b.send(t, from, at(joined), v6, byte(i))
				b.send(t, from, at(single), v6, byte(i))
				got, calls := read(t, joined, b.datagrams())
				want, _ := read(t, ipv4.NewPacketConn(single), b.datagrams())
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("burst %+v: %d datagrams\n%+v\nof the plain socket %d\n%+v", b, len(got), got, len(want), want)
				}
				if least := (b.datagrams() + 7) / 8; calls != least {
					t.Errorf("burst %+v: %d calls, %d if it came joined, as over loopback since Linux 5.11", b, calls, least)
				}
				for _, g := range got {
					if ecn := g.controls[c.ecnAt]; len(ecn) == 0 || ecn[0] != b.ecn || g.controls[c.infoAt] == nil {
						t.Fatalf("burst %+v: %v", b, g.controls)
					}
				}
			}
		})
	}
}

// Reading one datagram at a time, in whatever way, loses none of a burst.
func TestOneAtATime(t *testing.T) {
	c, from := open(t, "udp4", "127.0.0.1"), plain(t, "udp4", "127.0.0.1")
	burst{3*1000 + 1, 1000, 2}.send(t, from, c.LocalAddr().(*net.UDPAddr), false, 0)
	everything(t, c)
	b, oob := make([]byte, 1452), make([]byte, 128)
	if n, addr, err := c.ReadFrom(b); n != 1000 || err != nil || addr.String() != from.LocalAddr().String() {
		t.Fatal(n, addr, err)
	}
	if n, _, flags, addr, err := c.ReadMsgUDP(b[:10], oob); n != 10 || flags != unix.MSG_TRUNC || err != nil || addr.Port != port(from) {
		t.Fatal(n, flags, addr, err)
	}
	if n, err := c.ReadBatch(nil, 0); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	ms := []ipv4.Message{{Buffers: [][]byte{make([]byte, 600), make([]byte, 600)}}, {Buffers: [][]byte{b}}, {Buffers: [][]byte{b}}}
	if n, err := c.ReadBatch(ms, 0); n != 2 || err != nil || ms[0].N != 1000 || ms[0].Flags&unix.MSG_TRUNC != 0 || ms[1].N != 1 {
		t.Fatal(n, err, ms[0].N, ms[0].Flags, ms[1].N)
	}
	if _, err := c.ReadBatch(ms, unix.MSG_PEEK); !errors.Is(err, syscall.EINVAL) {
		t.Fatal(err)
	}
}

// A deadline that has passed, as quic-go sets one to have its reader come back, ends
// a read that waits and those that follow, until another is set.
func TestDeadline(t *testing.T) {
	c := open(t, "udp4", "127.0.0.1")
	b := make([]byte, 10)
	done := reading(c)
	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if _, _, err := c.ReadFrom(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteTo([]byte("x"), c.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if n, _, err := c.ReadFrom(b); n != 1 || err != nil {
		t.Fatal(n, err)
	}
}

func TestCloseWhileReading(t *testing.T) {
	c := open(t, "udp4", "127.0.0.1")
	first, second := reading(c), reading(c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, done := range []chan error{first, second} {
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	}
	if n, addr, err := c.ReadFrom(nil); n != 0 || addr != nil || !errors.Is(err, net.ErrClosed) {
		t.Fatal(n, addr, err)
	}
}

// reading waits for a datagram.
func reading(c *conn) chan error {
	done := make(chan error, 1)
	go func() {
		_, _, err := c.ReadFrom(make([]byte, 10))
		done <- err
	}()
	return done
}

// A kernel that cannot join, and any other fault in asking it, leave a plain socket.
func TestKernelWithout(t *testing.T) {
	c, err := listen("udp4", resolve(t, "udp4", "127.0.0.1"), func(syscall.Conn) error { return syscall.ENOPROTOOPT })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, ok := c.(*net.UDPConn); !ok {
		t.Errorf("a %T", c)
	}
	other, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: t.TempDir() + "/s"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := join(other); err == nil {
		t.Error("joins what is not UDP")
	}
	used, err := Listen("udp4", c.LocalAddr().(*net.UDPAddr))
	if !errors.Is(err, syscall.EADDRINUSE) || used != nil {
		t.Error(used, err)
	}
}

// Reading allocates nothing, whoever of many sends.
func TestReadAllocatesNothing(t *testing.T) {
	for _, c := range []struct{ network, host string }{{"udp4", "127.0.0.1"}, {"udp", "::"}} {
		t.Run(c.network, func(t *testing.T) {
			to := open(t, c.network, c.host)
			everything(t, to)
			at := resolve(t, "udp4", "127.0.0.1").AddrPort().Addr()
			var from [20]*net.UDPConn
			for i := range from {
				from[i] = plain(t, "udp4", "127.0.0.1")
			}
			segments := controlMessage(unix.IPPROTO_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, 1200))
			sent := make([]byte, 5*1200)
			ms := messages()
			addr := addrPort(at, port(to))
			once := func() {
				for _, f := range from {
					if _, _, err := f.WriteMsgUDPAddrPort(sent, segments, addr); err != nil {
						t.Fatal(err)
					}
					if n, err := to.ReadBatch(ms, 0); n != 5 || err != nil {
						t.Fatal(n, err)
					}
				}
			}
			once()
			if n := testing.AllocsPerRun(100, once); n != 0 {
				t.Errorf("%v allocations in %d reads", n, len(from))
			}
		})
	}
}
