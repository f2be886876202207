package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Lanes is an http.RoundTripper that fetches one file over several connections, from
// one server or from several that have the same file: each connection asks for piece
// after piece, and the body has them in order. It begins with one connection to each
// server and opens more, one a second, while that makes it faster. A server that
// breaks off, sends nothing for some seconds or has another file is asked no more;
// the body ends with an error when none is left.
//
// It is for GET of files by servers that know ranges and strong ETags. Idle
// connections are closed at the end of the body.
type Lanes struct {
	// Dial opens a connection to each of the servers.
	Dial []func(ctx context.Context) (net.Conn, error)
	// Most is how many connections may be open; default 8.
	Most int
}

// RoundTrip implements http.RoundTripper.
func (l *Lanes) RoundTrip(req *http.Request) (*http.Response, error) {
	start, ok := rangeStart(req.Header.Get("Range"))
	if !ok || req.Method != http.MethodGet {
		return nil, errors.New("lanes fetch files from a byte on to their end")
	}
	f := &fetching{req: req, most: l.Most, start: start}
	if f.most == 0 {
		f.most = defaultLanes
	}
	f.more.L = &f.mu
	f.ctx, f.cancel = context.WithCancel(req.Context())
	context.AfterFunc(f.ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.more.Broadcast()
	})
	for _, dial := range l.Dial {
		f.servers = append(f.servers, &laneServer{dial: dial})
	}
	resp, err := f.first()
	if err != nil {
		f.stop()
	}
	return resp, err
}

// laneServer is one that has the file.
type laneServer struct {
	dial func(context.Context) (net.Conn, error)
	bad  bool
}

// fetching is a file on its way, and the body of the answer.
type fetching struct {
	req    *http.Request
	ctx    context.Context
	cancel context.CancelFunc
	most   int
	wg     sync.WaitGroup

	// Known from the first piece on.
	start, total int64
	etag         string

	mu      sync.Mutex
	more    sync.Cond // something of this has changed
	servers []*laneServer
	lanes   int
	next    int64            // where the piece begins that nobody has asked for
	again   []int64          // pieces that lanes have given back
	pieces  map[int64][]byte // that have arrived, by where they begin
	at      int64            // what is read next
	err     error            // of the first lane that failed
	closed  bool

	arrived atomic.Int64 // bytes, from all lanes
}

// first asks each server in turn for the first piece, which says what the file is.
func (f *fetching) first() (*http.Response, error) {
	var errs []error
	for _, s := range f.servers {
		lane := newFileLane(s.dial)
		resp, body, err := lane.get(f, f.start)
		if err != nil {
			s.bad = true
			lane.close()
			errs = append(errs, err)
			continue
		}
		if resp.StatusCode != http.StatusPartialContent { // it is not there, or not so long
			lane.close()
			f.stop()
			resp.Body = io.NopCloser(bytes.NewReader(body))
			return resp, nil
		}
		_, f.total, _ = pieceOf(resp.Header.Get("Content-Range"))
		f.etag = resp.Header.Get("ETag")
		f.pieces = map[int64][]byte{f.start: body}
		f.at, f.next = f.start, f.start+pieceSize
		f.mu.Lock()
		f.run(s, lane)
		for _, other := range f.servers {
			if !other.bad && other != s && f.lanes < f.most {
				f.run(other, newFileLane(other.dial))
			}
		}
		f.mu.Unlock()
		f.wg.Go(f.widen)
		return f.head(resp), nil
	}
	return nil, fmt.Errorf("no server has it: %w", errors.Join(errs...))
}

// head is the answer as one server would have given it.
func (f *fetching) head(resp *http.Response) *http.Response {
	resp.ContentLength = f.total - f.start
	resp.Header.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", f.start, f.total-1, f.total))
	if f.req.Header.Get("Range") == "" {
		resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
		resp.Header.Del("Content-Range")
	}
	resp.Request, resp.Body = f.req, f
	return resp
}

// run has a lane fetch pieces. It needs the mutex, as good does.
func (f *fetching) run(s *laneServer, l *fileLane) {
	f.lanes++
	f.wg.Go(func() {
		defer l.close()
		err := f.work(s, l)
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.lanes--; f.err == nil {
			f.err = err
		}
		f.more.Broadcast()
	})
}

// work fetches pieces until there are none, or the server fails.
func (f *fetching) work(s *laneServer, l *fileLane) error {
	for {
		at, ok := f.take(s)
		if !ok {
			return nil
		}
		_, body, err := l.get(f, at)
		f.mu.Lock()
		if err == nil && int64(len(body)) != min(pieceSize, f.total-at) {
			err = errMoved
		}
		if err != nil {
			s.bad = true
			f.again = append(f.again, at)
			f.more.Broadcast()
			f.mu.Unlock()
			return err
		}
		f.pieces[at] = body
		f.more.Broadcast()
		f.mu.Unlock()
	}
}

// take is the next piece for a lane, when there is room for it; false at the end.
func (f *fetching) take(s *laneServer) (at int64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.closed || s.bad:
			return 0, false
		case len(f.again) > 0:
			at = f.again[len(f.again)-1]
			f.again = f.again[:len(f.again)-1]
			return at, true
		case f.at >= f.total:
			return 0, false
		case f.next < f.total && f.next-f.at < int64(f.most+1)*pieceSize:
			at = f.next
			f.next += pieceSize
			return at, true
		}
		f.more.Wait()
	}
}

// widen opens more lanes as long as they make it faster: each should bring at least
// half of what it would on a line that has room. Losses make that uncertain, so only a
// few vain ones in a row end it; and the first look is at how connections begin, not at
// how fast they are.
func (f *fetching) widen() {
	tick := time.NewTicker(widenEvery)
	defer tick.Stop()
	for best, last, n, vain := int64(0), int64(0), int64(0), 0; ; n++ {
		select {
		case <-tick.C:
		case <-f.ctx.Done():
			return
		}
		sum := f.arrived.Load()
		now := sum - last
		last = sum
		switch {
		case n == 0:
		case 2*n*now < (2*n+1)*best:
			vain++
		default:
			best, vain = now, 0
		}
		f.mu.Lock()
		good := f.good()
		enough := vain == widenVain || f.lanes >= f.most || len(good) == 0 || f.next >= f.total
		if !enough {
			s := good[int(n+1)%len(good)]
			f.run(s, newFileLane(s.dial))
		}
		f.mu.Unlock()
		if enough {
			return
		}
	}
}

func (f *fetching) good() (list []*laneServer) {
	for _, s := range f.servers {
		if !s.bad {
			list = append(list, s)
		}
	}
	return list
}

// Read implements io.Reader: the file in order.
func (f *fetching) Read(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if f.at >= f.total {
			return 0, io.EOF
		}
		begin := f.at - (f.at-f.start)%pieceSize
		if p := f.pieces[begin]; p != nil {
			n := copy(b, p[f.at-begin:])
			if f.at += int64(n); f.at == begin+int64(len(p)) {
				delete(f.pieces, begin)
			}
			f.more.Broadcast()
			return n, nil
		}
		switch {
		case f.closed:
			return 0, net.ErrClosed
		case f.ctx.Err() != nil:
			return 0, context.Cause(f.ctx)
		case f.lanes == 0:
			return 0, fmt.Errorf("no server is left that has it: %w", f.err)
		}
		f.more.Wait()
	}
}

// Close implements io.Closer.
func (f *fetching) Close() error {
	f.stop()
	return nil
}

func (f *fetching) stop() {
	f.mu.Lock()
	f.closed = true
	f.more.Broadcast()
	f.mu.Unlock()
	f.cancel()
	f.wg.Wait()
}
