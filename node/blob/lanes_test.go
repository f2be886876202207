package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"omx/node/nodetest"
)

// laneNet is a server of one file, reached over pipes.
type laneNet struct {
	conns  chan net.Conn
	opened atomic.Int32
	dial   func(context.Context) (net.Conn, error)
}

func (n *laneNet) Accept() (net.Conn, error) {
	c, ok := <-n.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (n *laneNet) Close() error   { return nil }
func (n *laneNet) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// serveLanes serves until the test ends.
func serveLanes(t *testing.T, h http.Handler) *laneNet {
	n := &laneNet{conns: make(chan net.Conn)}
	n.dial = func(ctx context.Context) (net.Conn, error) {
		here, there := net.Pipe()
		select {
		case n.conns <- there:
			n.opened.Add(1)
			return here, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s := &http.Server{Handler: h}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(n) })
	t.Cleanup(func() {
		close(n.conns)
		wg.Wait()
		_ = s.Shutdown(context.Background()) // waits for what is being served
	})
	return n
}

// holder serves a file; slow is how long each 100 kB take on one connection.
func holder(file []byte, etag string, slow time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		http.ServeContent(&slowly{w, slow}, r, "", time.Time{}, bytes.NewReader(file))
	})
}

type slowly struct {
	http.ResponseWriter
	each time.Duration
}

func (s *slowly) Write(b []byte) (n int, err error) {
	time.Sleep(s.each * time.Duration(len(b)) / 100_000)
	return s.ResponseWriter.Write(b)
}

func someFile(size int) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func dials(all ...*laneNet) (list []func(context.Context) (net.Conn, error)) {
	for _, n := range all {
		list = append(list, n.dial)
	}
	return list
}

func fetchBy(t *testing.T, l *Lanes, rng string) (*http.Response, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://mesh/file", nil)
	if err != nil {
		t.Fatal(err)
	}
	if rng != "" {
		req.Header.Set("Range", rng)
	}
	resp, err := l.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, b, err
}

func TestLanesFetchAFileInOrder(t *testing.T) {
	file := someFile(5*pieceSize + 12345)
	for _, c := range []struct {
		name, rng string
		from      int
		code      int
	}{{"whole", "", 0, 200}, {"rest", "bytes=7654321-", 7654321, 206}, {"last byte", "bytes=10498104-", 10498104, 206}} {
		t.Run(c.name, func(t *testing.T) {
			nodetest.Bubble(t, func(t *testing.T) {
				a, b := serveLanes(t, holder(file, `"x"`, time.Millisecond)), serveLanes(t, holder(file, `"x"`, time.Millisecond))
				resp, got, err := fetchBy(t, &Lanes{Dial: dials(a, b)}, c.rng)
				if err != nil || resp.StatusCode != c.code || resp.ContentLength != int64(len(file)-c.from) || !bytes.Equal(got, file[c.from:]) {
					t.Fatalf("%v, %d bytes: %v", resp, len(got), err)
				}
			})
		})
	}
}

// Lanes that share nothing are opened as long as there is more to fetch; lanes that
// share one line are not.
func TestLanesWidenWhileItHelps(t *testing.T) {
	file := someFile(24 * pieceSize)
	nodetest.Bubble(t, func(t *testing.T) {
		each := serveLanes(t, holder(file, `"x"`, 80*time.Millisecond)) // 1.25 MB/s on each connection
		began := time.Now()
		if _, got, err := fetchBy(t, &Lanes{Dial: dials(each)}, ""); err != nil || !bytes.Equal(got, file) {
			t.Fatal(err)
		}
		took := time.Since(began)
		if alone := time.Duration(len(file)/100_000) * 80 * time.Millisecond; took > alone/2 || each.opened.Load() < 5 || each.opened.Load() > defaultLanes {
			t.Errorf("%v over %d lanes; %v over one", took, each.opened.Load(), alone)
		}
	})
	nodetest.Bubble(t, func(t *testing.T) {
		line := make(chan struct{}, 1) // a mutex would stop the bubble's time
		shared := serveLanes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			line <- struct{}{}
			defer func() { <-line }()
			holder(file, `"x"`, 20*time.Millisecond).ServeHTTP(w, r)
		}))
		if _, got, err := fetchBy(t, &Lanes{Dial: dials(shared)}, ""); err != nil || !bytes.Equal(got, file) {
			t.Fatal(err)
		}
		if n := shared.opened.Load(); n > 2+widenVain {
			t.Errorf("%d lanes on a line that one fills", n)
		}
	})
}

func TestLanesGoOnWithoutAServer(t *testing.T) {
	file := someFile(20 * pieceSize)
	good := func() http.Handler { return holder(file, `"x"`, time.Millisecond) }
	for name, bad := range map[string]http.Handler{
		"breaks off": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"x"`)
			http.ServeContent(&breaking{ResponseWriter: w}, r, "", time.Time{}, bytes.NewReader(file))
		}),
		"stalls": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
		"other":  holder(someFile(20*pieceSize+1), `"y"`, 0),
		"short":  holder(file[:3*pieceSize], `"x"`, 0),
		"absent": http.NotFoundHandler(),
	} {
		t.Run(name, func(t *testing.T) {
			nodetest.Bubble(t, func(t *testing.T) {
				a, b := serveLanes(t, good()), serveLanes(t, bad)
				if _, got, err := fetchBy(t, &Lanes{Dial: dials(a, b)}, ""); err != nil || !bytes.Equal(got, file) {
					t.Errorf("%d bytes: %v", len(got), err)
				}
			})
		})
	}
	nodetest.Bubble(t, func(t *testing.T) {
		gone := &Lanes{Dial: []func(context.Context) (net.Conn, error){func(context.Context) (net.Conn, error) { return nil, errors.New("not there") }}}
		if _, _, err := fetchBy(t, gone, ""); err == nil {
			t.Error("no server, and no error")
		}
		n := serveLanes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if w.Header().Set("ETag", `"x"`); r.Header.Get("Range") != "bytes=0-2097151" {
				panic(http.ErrAbortHandler)
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
		}))
		if _, got, err := fetchBy(t, &Lanes{Dial: dials(n)}, ""); err == nil || len(got) != pieceSize {
			t.Errorf("the only server fails: %d bytes, %v", len(got), err)
		}
		if resp, _, err := fetchBy(t, &Lanes{Dial: dials(serveLanes(t, http.NotFoundHandler()))}, ""); err != nil || resp.StatusCode != 404 {
			t.Errorf("absent: %v, %v", resp, err)
		}
	})
}

// breaking ends a connection after 100 kB.
type breaking struct {
	http.ResponseWriter
	n int
}

func (w *breaking) Write(b []byte) (int, error) {
	if w.n += len(b); w.n > 100_000 {
		panic(http.ErrAbortHandler)
	}
	return w.ResponseWriter.Write(b)
}

func TestLanesEndWithTheirRequest(t *testing.T) {
	file := someFile(20 * pieceSize)
	nodetest.Bubble(t, func(t *testing.T) {
		n := serveLanes(t, holder(file, `"x"`, 10*time.Millisecond))
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://mesh/file", nil)
		resp, err := (&Lanes{Dial: dials(n)}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 3*pieceSize)); err != nil {
			t.Error(err)
		}
		cancel()
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		resp.Body.Close()
		if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
			t.Error("reads after the end")
		}
	})
}

// A pull through lanes goes on where it was, and notices a server that lies.
func TestPullThroughLanes(t *testing.T) {
	file := someFile(6 * pieceSize)
	s := open(t, t.TempDir())
	var cut atomic.Bool
	cut.Store(true)
	flaky := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first, _, _ := bytes.Cut([]byte(r.Header.Get("Range")), []byte("-"))
		if cut.Load() && string(first) >= "bytes=6" { // from the third piece on
			panic(http.ErrAbortHandler)
		}
		holder(file, `"x"`, 0).ServeHTTP(w, r)
	})
	nodetest.Bubble(t, func(t *testing.T) {
		n := serveLanes(t, flaky)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		src := Source{URL: "http://mesh/file", Want: digestOf(file)}
		o := PullOptions{Client: &http.Client{Transport: &Lanes{Dial: dials(n)}}}
		if _, err := s.Pull(ctx, src, o); err == nil {
			t.Fatal("a cut file is whole")
		}
		cut.Store(false)
		from := int64(-1)
		o.Progress = func(done, _ int64) {
			if from < 0 {
				from = done
			}
		}
		ref, err := s.Pull(t.Context(), src, o)
		if err != nil || ref.Bytes != int64(len(file)) || from <= 0 {
			t.Errorf("%+v, began at %d: %v", ref, from, err)
		}
		lies := serveLanes(t, holder(someFile(len(file)-1), `"x"`, 0))
		o.Client.Transport = &Lanes{Dial: dials(lies)}
		if _, err := s.Pull(t.Context(), Source{URL: "http://mesh/other", Want: digestOf(file[1:])}, o); !errors.Is(err, ErrMismatch) {
			t.Errorf("another file: %v", err)
		}
	})
}
