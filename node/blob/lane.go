package blob

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// fileLane is one connection to a server, over which pieces of a file are fetched.
type fileLane struct{ t *http.Transport }

func newFileLane(dial func(context.Context) (net.Conn, error)) *fileLane {
	return &fileLane{&http.Transport{MaxConnsPerHost: 1, DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}}
}

func (l *fileLane) close() { l.t.CloseIdleConnections() }

// get fetches the piece that begins somewhere; if the answer is not a piece, its body
// is cut short.
func (l *fileLane) get(f *fetching, at int64) (*http.Response, []byte, error) {
	ctx, cancel := context.WithCancelCause(f.ctx)
	defer cancel(nil)
	watch := time.AfterFunc(laneStall, func() { cancel(errStalled) })
	defer watch.Stop()
	req := f.req.Clone(ctx)
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", at, at+pieceSize-1))
	resp, err := l.t.RoundTrip(req)
	if err != nil {
		return nil, nil, why(ctx, err)
	}
	defer resp.Body.Close()
	size := int64(maxLaneError)
	if resp.StatusCode == http.StatusPartialContent {
		first, total, ok := pieceOf(resp.Header.Get("Content-Range"))
		size = min(pieceSize, total-at)
		if !ok || first != at || resp.ContentLength != size {
			return nil, nil, fmt.Errorf("%w: not the piece that was asked for", errFinal)
		}
	}
	if f.total > 0 && (resp.StatusCode != http.StatusPartialContent || resp.Header.Get("ETag") != f.etag) {
		return nil, nil, errMoved
	}
	body := make([]byte, 0, size)
	for {
		n, err := resp.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		f.arrived.Add(int64(n))
		watch.Reset(laneStall)
		switch {
		case err == io.EOF, err == nil && len(body) == cap(body):
			return resp, body, nil
		case err != nil:
			return nil, nil, why(ctx, err)
		}
	}
}

// pieceOf reads the Content-Range of a piece.
func pieceOf(s string) (first, total int64, ok bool) {
	first, last, total, ok := spanOf(s)
	return first, total, ok && last-first < pieceSize
}

// rangeStart reads "bytes=FIRST-"; 0 for none.
func rangeStart(s string) (int64, bool) {
	if s == "" {
		return 0, true
	}
	from, ok := strings.CutPrefix(s, "bytes=")
	from, ok2 := strings.CutSuffix(from, "-")
	n, err := strconv.ParseInt(from, 10, 64)
	return n, ok && ok2 && err == nil && n >= 0
}
