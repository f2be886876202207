package udp

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"reflect"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

func addrPort(a netip.Addr, port int) netip.AddrPort { return netip.AddrPortFrom(a, uint16(port)) }

func sizeMessage(size int32) []byte {
	return controlMessage(unix.IPPROTO_UDP, unix.UDP_GRO, binary.NativeEndian.AppendUint32(nil, uint32(size)))
}

// sizes gives a whole train out.
func sizes(t train, room, control int) (n []int, last ipv4.Message) {
	for {
		m := ipv4.Message{Buffers: [][]byte{make([]byte, room)}, OOB: make([]byte, control)}
		t.next(&m)
		n, last = append(n, m.N), m
		if t.empty() {
			return n, last
		}
	}
}

func TestTrain(t *testing.T) {
	tos := controlMessage(unix.IPPROTO_IP, unix.IP_TOS, []byte{2})
	info := controlMessage(unix.IPPROTO_IP, unix.IP_PKTINFO, make([]byte, 12))
	with := func(all ...[]byte) []byte { return bytes.Join(all, nil) }
	tooLong := bytes.Clone(tos)
	tooLong[0] = 200
	for name, c := range map[string]struct {
		bytes   int
		control []byte
		flags   int
		room    int
		want    []int
		others  []byte // of the last
		last    int    // its flags
	}{
		"joined":                      {2500, with(sizeMessage(1000), tos, info), 0, 1452, []int{1000, 1000, 500}, with(tos, info), 0},
		"the size last":               {2000, with(tos, info, sizeMessage(1000)), 0, 1452, []int{1000, 1000}, with(tos, info), 0},
		"between others":              {2000, with(tos, sizeMessage(1999), info), 0, 1999, []int{1999, 1}, with(tos, info), 0},
		"not joined":                  {1200, with(tos), 0, 1452, []int{1200}, tos, 0},
		"nothing said":                {1200, nil, 0, 1452, []int{1200}, nil, 0},
		"empty":                       {0, with(tos), 0, 1452, []int{0}, tos, 0},
		"empty and joined":            {0, sizeMessage(1200), 0, 1452, []int{0}, nil, 0},
		"size 0":                      {900, sizeMessage(0), 0, 1452, []int{900}, nil, 0},
		"size below 0":                {900, sizeMessage(-1), 0, 1452, []int{900}, nil, 0},
		"size beyond all":             {900, sizeMessage(901), 0, 1452, []int{900}, nil, 0},
		"size of 16 bits":             {900, controlMessage(unix.IPPROTO_UDP, unix.UDP_GRO, []byte{1, 0}), 0, 1452, []int{900}, nil, 0},
		"larger than the room":        {300, sizeMessage(100), 0, 99, []int{99, 99, 99}, nil, unix.MSG_TRUNC},
		"cut by the kernel":           {150, sizeMessage(100), unix.MSG_TRUNC, 1452, []int{100, 50}, nil, unix.MSG_TRUNC},
		"controls cut by the kernel":  {200, sizeMessage(100), unix.MSG_CTRUNC, 1452, []int{100, 100}, nil, unix.MSG_CTRUNC},
		"a control longer than all":   {100, with(tos, tooLong, sizeMessage(10)), 0, 1452, []int{100}, tos, 0},
		"a control shorter than any":  {100, with(sizeMessage(50), make([]byte, 16)), 0, 1452, []int{50, 50}, nil, 0},
		"half a control":              {100, with(sizeMessage(50), tos[:9]), 0, 1452, []int{50, 50}, nil, 0},
		"more control than room, 128": {100, with(sizeMessage(50), info, info, info, info, info), 0, 1452, []int{50, 50}, nil, unix.MSG_CTRUNC},
	} {
		t.Run(name, func(t *testing.T) {
			got, last := sizes(newTrain(make([]byte, c.bytes), bytes.Clone(c.control), c.flags, nil), c.room, 128)
			if !reflect.DeepEqual(got, c.want) || last.Flags != c.last || !bytes.Equal(last.OOB[:last.NN], c.others) {
				t.Errorf("datagrams %v with %x, flags %#x; want %v with %x, %#x", got, last.OOB[:last.NN], last.Flags, c.want, c.others, c.last)
			}
		})
	}
}

// FuzzTrain compares with the library's own reader of control messages, and puts the
// datagrams together again.
func FuzzTrain(f *testing.F) {
	tos := controlMessage(unix.IPPROTO_IP, unix.IP_TOS, []byte{2})
	f.Add(make([]byte, 25), append(sizeMessage(10), tos...), uint16(12), uint8(128))
	f.Add(make([]byte, 0), tos, uint16(0), uint8(0))
	f.Add(make([]byte, 10), append(tos, sizeMessage(0)[:20]...), uint16(5), uint8(30))
	f.Fuzz(func(t *testing.T, data, control []byte, room uint16, controlRoom uint8) {
		want, size := []unix.SocketControlMessage{}, 0
		all, err := unix.ParseSocketControlMessage(bytes.Clone(control))
		for _, m := range all {
			if m.Header.Level != unix.IPPROTO_UDP || m.Header.Type != unix.UDP_GRO {
				want = append(want, m)
			} else if len(m.Data) == 4 {
				size = int(int32(binary.NativeEndian.Uint32(m.Data)))
			}
		}
		if size <= 0 || size > len(data) {
			size = len(data)
		}
		tr := newTrain(data, bytes.Clone(control), 0, nil)
		if err == nil && tr.size != size {
			t.Fatalf("datagrams of %d bytes, not %d", tr.size, size)
		}
		size = tr.size
		var joined []byte
		m := ipv4.Message{Buffers: [][]byte{make([]byte, room)}, OOB: make([]byte, controlRoom)}
		for count := 1; ; count++ {
			tr.next(&m)
			whole := min(size, len(data)-(count-1)*size)
			if m.N != min(whole, int(room)) || (m.Flags&unix.MSG_TRUNC != 0) != (m.N < whole) {
				t.Fatalf("datagram %d: %d bytes of %d, room for %d, flags %#x", count, m.N, whole, room, m.Flags)
			}
			joined = append(append(joined, m.Buffers[0][:m.N]...), data[(count-1)*size+m.N:(count-1)*size+whole]...)
			got, perr := unix.ParseSocketControlMessage(m.OOB[:m.NN])
			if perr != nil || err == nil && m.Flags&unix.MSG_CTRUNC == 0 && !same(got, want) {
				t.Fatalf("control messages %+v, not %+v (%v)", got, want, perr)
			}
			if tr.empty() {
				break
			}
		}
		if !bytes.Equal(joined, data) {
			t.Fatal("the datagrams together are not what came")
		}
	})
}

func same(a, b []unix.SocketControlMessage) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Header != b[i].Header || !bytes.Equal(a[i].Data, b[i].Data) {
			return false
		}
	}
	return true
}

// Who sends from ever new addresses does not fill the memory.
func TestSendersAreBounded(t *testing.T) {
	s := senders{known: map[sender]*net.UDPAddr{}}
	a := netip.MustParseAddr("2001:db8::1")
	for i := range 3 * maxSenders {
		from := addrPort(a, i)
		if got := s.address(from); got.AddrPort() != from || got != s.address(from) {
			t.Fatal(got, from)
		}
		if len(s.known) > maxSenders {
			t.Fatalf("%d addresses are kept", len(s.known))
		}
	}
}
