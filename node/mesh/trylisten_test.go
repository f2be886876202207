package mesh

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
)

func TestTryListen(t *testing.T) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	port := c.LocalAddr().(*net.UDPAddr).Port
	addr := fmt.Sprintf("/ip4/127.0.0.1/udp/%d/quic-v1", port)
	if got, err := TryListen(addr); !errors.Is(err, syscall.EADDRINUSE) || got != port {
		t.Errorf("taken: port %d, %v", got, err)
	}
	c.Close()
	for range 2 { // the first does not keep it
		if got, err := TryListen(addr); err != nil || got != port {
			t.Errorf("free: port %d, %v", got, err)
		}
	}
	for _, bad := range []string{"nonsense", "/ip4/127.0.0.1/tcp/1", "/ip4/192.0.2.1/udp/0/quic-v1"} {
		if _, err := TryListen(bad); err == nil {
			t.Errorf("could listen on %s", bad)
		}
	}
}
