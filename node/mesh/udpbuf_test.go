package mesh

import (
	"net"
	"runtime"
	"strings"
	"testing"
)

func TestBufferAdvice(t *testing.T) {
	if adviceFor(0) != "" || adviceFor(wantBuffer) != "" {
		t.Error("advice where none is needed")
	}
	if a := adviceFor(208 << 10); !strings.Contains(a, "208 KiB") || !strings.Contains(a, "rmem_max=7340032") || strings.Contains(a, "\n") {
		t.Error(a)
	}
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	if got := receiveBuffer(c); runtime.GOOS == "linux" && got != 64<<10 {
		t.Errorf("asked for 64 KiB, read %d bytes", got)
	}
}
