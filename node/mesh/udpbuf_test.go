package mesh

import (
	"net"
	"os"
	"runtime"
	"testing"
)

func TestReceiveBuffer(t *testing.T) {
	got, want := ReceiveBuffer()
	if want != wantBuffer || got > want || got <= 0 && runtime.GOOS == "linux" || os.Geteuid() == 0 && got != want {
		t.Errorf("%d bytes of %d", got, want)
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
