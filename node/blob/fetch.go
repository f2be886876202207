package blob

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

var (
	errStalled = errors.New("the server sends nothing any more")
	errCut     = errors.New("the connection ended before the file did")
	errMoved   = errors.New("the file changed on the server") // since the part that is here
	errFinal   = errors.New("trying again does not help")
)

// fetch asks for what is missing, once. Again: the fault may pass.
func (d *download) fetch(parent context.Context, client *http.Client) (again bool, err error) {
	if d.n > 0 && d.n == d.state.Total {
		return false, nil // it was cut off between the last byte and the store
	}
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	watch := time.AfterFunc(d.s.stall, func() { cancel(errStalled) })
	defer watch.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.src.URL, nil)
	if err != nil {
		return false, errors.New("the URL cannot be asked for")
	}
	req.Header.Set("Accept-Encoding", "identity") // lengths and ranges are those of the file
	if d.n > 0 && d.mayResume() {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.n))
		if d.state.ETag != "" {
			req.Header.Set("If-Range", d.state.ETag)
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return !final(err), why(ctx, err)
	}
	defer resp.Body.Close()
	if again, err := d.begin(resp); err != nil {
		return again, err
	}
	d.progress(d.n, d.state.Total)
	told := d.n
	buf := make([]byte, bufferSize)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			watch.Stop() // the rest of this is no time of the server's
			if err := d.pace.WaitN(ctx, n); err != nil {
				return false, why(ctx, err)
			}
			watch.Reset(d.s.stall)
			if d.state.Total >= 0 && d.n+int64(n) > d.state.Total {
				return true, errors.Join(fmt.Errorf("%w: more bytes came than it said", ErrMismatch), d.restart("", -1))
			}
			if _, err := d.Write(buf[:n]); err != nil {
				return false, err
			}
			if d.n-told >= bufferSize || d.n == d.state.Total {
				d.progress(d.n, d.state.Total)
				told = d.n
			}
			if d.n-d.state.Have >= d.s.every {
				if err := d.save(); err != nil {
					return false, err
				}
				watch.Reset(d.s.stall) // that was the disk's time
			}
		}
		switch {
		case err == io.EOF:
			if told != d.n {
				d.progress(d.n, d.state.Total)
			}
			return true, d.ended()
		case err != nil:
			return true, why(ctx, err)
		}
	}
}

// begin reads what the server says before the bytes, and makes the file ready.
func (d *download) begin(resp *http.Response) (again bool, err error) {
	etag := resp.Header.Get("ETag")
	if strings.HasPrefix(etag, "W/") || len(etag) > maxETag {
		etag = "" // the same by meaning is not the same by bytes
	}
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return d.whole(etag, resp.ContentLength)
	case code == http.StatusPartialContent && d.n > 0:
		start, total, ok := contentRange(resp.Header.Get("Content-Range"))
		changed := !ok || start != d.n || d.state.Total >= 0 && total != d.state.Total ||
			etag != "" && d.state.ETag != "" && etag != d.state.ETag
		if changed {
			return true, errors.Join(errMoved, d.restart("", -1))
		}
		d.state.Total, d.resumed = total, true
		return d.fits(total)
	case code == http.StatusRequestedRangeNotSatisfiable && d.n > 0:
		return true, errors.Join(errMoved, d.restart("", -1))
	case code == http.StatusNotFound || code == http.StatusGone:
		return false, fmt.Errorf("it %w: the server answers %s", ErrNotFound, status(resp))
	case code >= 500 || code == http.StatusRequestTimeout || code == http.StatusTooManyRequests:
		return true, fmt.Errorf("the server answers %s", status(resp))
	default:
		return false, fmt.Errorf("the server answers %s; check the address, and whether the file is for everybody", status(resp))
	}
}

// whole begins from the first byte.
func (d *download) whole(etag string, total int64) (again bool, err error) {
	if total < 0 && d.src.Want.IsZero() {
		// Then the end of the file and a broken line look alike.
		return false, errors.New("the server does not say how long the file is; give its digest")
	}
	if err := d.restart(etag, total); err != nil {
		return false, err
	}
	return d.fits(total)
}

// fits refuses a length before its bytes come.
func (d *download) fits(total int64) (again bool, err error) {
	switch {
	case total > d.limit:
		err = fmt.Errorf("%w: it has %d bytes, %d are allowed", ErrTooLarge, total, d.limit)
	case d.src.Bytes > 0 && total >= 0 && total != d.src.Bytes:
		err = fmt.Errorf("%w: it has %d bytes, not %d", ErrMismatch, total, d.src.Bytes)
	case total >= 0:
		err = d.s.room(total - d.n)
	}
	return false, err
}

// ended judges the end of a body.
func (d *download) ended() error {
	if d.state.Total >= 0 && d.n < d.state.Total {
		return errCut
	}
	return nil
}

// contentRange reads the Content-Range of all that was missing.
func contentRange(s string) (start, total int64, ok bool) {
	start, last, total, ok := spanOf(s)
	return start, total, ok && last == total-1
}

// spanOf reads "bytes FIRST-LAST/TOTAL".
func spanOf(s string) (first, last, total int64, ok bool) {
	span, ok := strings.CutPrefix(s, "bytes ")
	span, of, ok2 := strings.Cut(span, "/")
	from, to, ok3 := strings.Cut(span, "-")
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	total, err3 := strconv.ParseInt(of, 10, 64)
	ok = ok && ok2 && ok3 && err1 == nil && err2 == nil && err3 == nil
	return first, last, total, ok && 0 <= first && first <= last && last < total
}

// final tells whether a request that failed will fail again.
func final(err error) bool {
	_, cert := errors.AsType[*tls.CertificateVerificationError](err)
	dns, ok := errors.AsType[*net.DNSError](err)
	return cert || errors.Is(err, errFinal) || ok && dns.IsNotFound
}

// why is a network error without the URL, which may be one that a server signed.
func why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errCut
	}
	return err
}

func status(resp *http.Response) string {
	return fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
}
