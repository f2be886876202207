package virtual

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"omx/node/blob"
	"omx/node/catalog"
	"omx/node/mesh"
	"omx/node/nodetest"
	"omx/testnet/virtual/vnet"
)

// fileServer serves one file over lanes.
type fileServer struct {
	conns chan net.Conn
	file  []byte
}

func (s *fileServer) Accept() (net.Conn, error) {
	if c, ok := <-s.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (s *fileServer) Close() error   { return nil }
func (s *fileServer) Addr() net.Addr { return &net.UDPAddr{} }

// ServeHTTP implements http.Handler.
func (s *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"x"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.file))
}

type heldLane struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *heldLane) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Conn.Close()
}

// fetchOver fetches a file over at most so many lanes, and says how long it took.
func fetchOver(t *testing.T, path vnet.Path, size, most int) (took time.Duration) {
	nodetest.Bubble(t, func(t *testing.T) {
		nw := vnet.New(vnet.Config{Seed: 7, Path: func(int, int) vnet.Path { return path }})
		f := &Fleet{Net: nw}
		file := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{7}).Read(file)
		s := &fileServer{conns: make(chan net.Conn), file: file}
		server := &http.Server{Handler: s}
		var wg sync.WaitGroup
		wg.Go(func() { _ = server.Serve(s) })
		keys, ids := make([]ed25519.PrivateKey, 2), make([]catalog.NodeID, 2)
		for i := range keys {
			keys[i] = keyOf(1, i)
			var err error
			if ids[i], err = mesh.KeyID(keys[i]); err != nil {
				t.Fatal(err)
			}
		}
		var hosts []*mesh.Mesh
		for i := range keys {
			cfg := mesh.Config{Key: keys[i], Listen: []string{address(i)}, ListenUDP: f.listener(i), SourceIP: vnet.IP(i), Peers: []string{address(1-i) + "/p2p/" + ids[1-i].String()}}
			if i == 1 {
				cfg.ServeLane = func(_ catalog.NodeID, c net.Conn) {
					l := &heldLane{Conn: c, closed: make(chan struct{})}
					s.conns <- l
					<-l.closed
				}
			}
			m, err := mesh.New(cfg, bare{}, bare{})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			hosts = append(hosts, m)
		}
		time.Sleep(2 * time.Second)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://mesh/file", nil)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		lanes := &blob.Lanes{Most: most, Dial: []func(context.Context) (net.Conn, error){func(ctx context.Context) (net.Conn, error) { return hosts[0].DialLane(ctx, ids[1]) }}}
		resp, err := lanes.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		took = time.Since(began)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, file) {
			t.Errorf("%d bytes of %d: %v", len(got), len(file), err)
		}
		for _, m := range hosts {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
		close(s.conns)
		_ = server.Close()
		wg.Wait()
		nw.Close()
		time.Sleep(leaveTime)
	})
	return took
}

// Lanes are for paths on which one connection takes losses for congestion.
func TestLanesOverABadPath(t *testing.T) {
	size := 32 << 20
	if nodetest.Race { // it would be measured
		size = 4 << 20
	}
	for _, c := range []struct {
		name   string
		path   vnet.Path
		atBest float64 // times as fast as one lane, at least
	}{
		{"40 ms, 1 % lost", vnet.Path{Delay: 20 * time.Millisecond, Loss: 0.01}, 3},
		{"40 ms", vnet.Path{Delay: 20 * time.Millisecond}, 0.9},
	} {
		one, more := fetchOver(t, c.path, size, 1), fetchOver(t, c.path, size, 8)
		rate := func(d time.Duration) float64 { return float64(size) * 8 / 1e6 / d.Seconds() }
		t.Logf("%s: one lane %.1f Mbit/s, up to eight %.1f Mbit/s", c.name, rate(one), rate(more))
		if !nodetest.Race && more.Seconds()*c.atBest > one.Seconds() {
			t.Errorf("%s: up to eight lanes took %v, one %v", c.name, more, one)
		}
	}
}
