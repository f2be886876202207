package mesh

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

func TestPunchNamesOnlyWhatCanBeDialled(t *testing.T) {
	good := ma.StringCast("/ip4/192.0.2.1/udp/4001/quic-v1")
	sent := []ma.Multiaddr{good, ma.StringCast("/ip4/0.0.0.0/udp/1/quic-v1"), ma.StringCast("/ip4/224.0.0.251/udp/5353/quic-v1"),
		ma.StringCast("/ip4/192.0.2.1/tcp/80"), ma.StringCast("/dns/example.org/udp/1/quic-v1"), circuitSelf}
	step, got, err := parsePunch(appendPunch(nil, punchAnswer, sent)[headerLen:])
	if err != nil || step != punchAnswer || len(got) != 1 || !got[0].Equal(good) {
		t.Errorf("step %d, %v, %v", step, got, err)
	}
	many := make([]ma.Multiaddr, maxAddrs+1)
	for i := range many {
		many[i] = good
	}
	for name, bad := range map[string][]byte{"empty": {}, "step": {2}, "cut": {0, 0, 9, 1}, "many": appendPunch(nil, 0, many)[headerLen:]} {
		if _, _, err := parsePunch(bad); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPunch(f *testing.F) {
	f.Add(appendPunch(nil, punchAsk, []ma.Multiaddr{ma.StringCast("/ip4/192.0.2.1/udp/4001/quic-v1"), ma.StringCast("/ip6/2001:db8::1/udp/1/quic-v1")})[headerLen:])
	f.Add([]byte{1, 0, 2, 4, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, addrs, err := parsePunch(b)
		if len(addrs) > maxAddrs || err != nil && !errors.Is(err, ErrProtocol) {
			t.Errorf("%d addresses, %v", len(addrs), err)
		}
		for _, a := range addrs {
			if _, err := udpOf(a); err != nil {
				t.Errorf("%s: %v", a, err)
			}
		}
	})
}

func FuzzPassed(f *testing.F) {
	f.Add(appendPassed(nil, passOn, 7, []byte("packet")))
	f.Add([]byte{passed})
	f.Fuzz(func(t *testing.T, b []byte) {
		what, node, packet, ok := parsePassed(b)
		if ok && string(appendPassed(nil, what, node, packet)) != string(b) {
			t.Errorf("%x is read as %d for %x: %x", b, what, node, packet)
		}
	})
}

func TestCircuitSocket(t *testing.T) {
	var to uint64
	s := newCircuitSocket(func(handle uint64, _ []byte) error { to = handle; return nil })
	if _, err := s.WriteTo([]byte("x"), circuitAddr(1<<63+5)); err != nil || to != 1<<63+5 {
		t.Errorf("sent to %x, %v", to, err)
	}
	if _, err := s.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv6loopback, Port: 1}); err == nil {
		t.Error("sent to an address of the internet")
	}
	for i := range maxCircuitInbox {
		if !s.take(uint64(i), []byte{byte(i)}) {
			t.Fatalf("no room for packet %d", i)
		}
	}
	if s.take(1, nil) {
		t.Error("takes more than it may")
	}
	var b [10]byte
	for i := range maxCircuitInbox {
		n, from, err := s.ReadFrom(b[:])
		if h, ok := circuitHandle(from); err != nil || n != 1 || b[0] != byte(i) || !ok || h != uint64(i) {
			t.Fatalf("packet %d: %d bytes from %v, %v", i, n, from, err)
		}
	}
	read := make(chan error)
	wait := func() {
		_, _, err := s.ReadFrom(b[:])
		read <- err
	}
	_ = s.SetReadDeadline(time.Now().Add(time.Millisecond))
	go wait()
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("at the deadline: %v", err)
	}
	_ = s.SetReadDeadline(time.Time{})
	go wait()
	_ = s.Close()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := s.WriteTo([]byte("x"), circuitAddr(1)); !errors.Is(err, net.ErrClosed) || s.take(1, nil) {
		t.Errorf("after the end: %v", err)
	}
}
