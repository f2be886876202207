package upstream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// caller sends requests to the server.
type caller struct {
	base    string
	client  *http.Client
	keyFile string
	key     atomic.Pointer[string]
}

// errGarbage says that the server sent what its API does not have.
var errGarbage = errors.New("it sent what cannot be read")

func newCaller(s *settings) *caller {
	c := &caller{base: s.base, keyFile: s.KeyFile, client: &http.Client{}}
	c.key.Store(&s.Key)
	if s.Client != nil {
		*c.client = *s.Client
	} else {
		t := &http.Transport{
			DialContext:            (&net.Dialer{Timeout: s.Timeouts.Dial}).DialContext,
			TLSHandshakeTimeout:    s.Timeouts.Dial,
			MaxIdleConnsPerHost:    maxSlots, // no more than were needed at once
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true, // a few packed bytes may be many; and tokens must not wait
			ForceAttemptHTTP2:      true,
		}
		if s.Proxy {
			t.Proxy = http.ProxyFromEnvironment
		}
		c.client.Transport = t
	}
	// A redirect would take key and prompt to somewhere that nobody named.
	c.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// readKey takes over a key that has changed.
func (c *caller) readKey() error {
	if c.keyFile == "" {
		return nil
	}
	key, err := readKey(c.keyFile)
	if err == nil {
		c.key.Store(&key)
	}
	return err
}

// do sends a request; the texts are of the prompt in it, which no error may tell.
// The response is good if the error is nil.
func (c *caller) do(ctx context.Context, method, path string, body any, texts []string) (*http.Response, error) {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return nil, errors.New("the request cannot be written as JSON") // err may have a part of it
		}
	}
	var resp *http.Response
	for try := 1; ; try++ {
		var stale bool
		var err error
		if resp, stale, err = c.send(ctx, method, path, content); err == nil {
			break
		}
		if !stale || try == maxTries || ctx.Err() != nil {
			return nil, err
		}
		c.client.CloseIdleConnections() // the others may be gone, too
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, c.refusal(resp, texts)
	}
	return resp, nil
}

// send sends a request once. It was stale if it failed on a connection kept from
// before: llama-server closes its own after each streamed answer, and all servers
// close those that are idle, without a word. Then nobody has begun to answer.
func (c *caller) send(ctx context.Context, method, path string, content []byte) (resp *http.Response, stale bool, err error) {
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { stale = i.WasIdle }}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), method, c.base+path, bytes.NewReader(content))
	if err != nil {
		return nil, false, errors.New("its URL cannot be used")
	}
	if content != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if key := *c.key.Load(); key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err = c.client.Do(r)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err // the URL is told by who calls
		}
		return nil, stale, errors.New(clean(err.Error()))
	}
	return resp, false, nil
}

// json asks for one JSON value of at most so many bytes.
func (c *caller) json(ctx context.Context, method, path string, body any, texts []string, into any, most int64) error {
	resp, err := c.do(ctx, method, path, body, texts)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return errors.New(clean(err.Error()))
	}
	if int64(len(b)) > most {
		return fmt.Errorf("%w: more than %d bytes at %s", errGarbage, most, path)
	}
	if json.Unmarshal(b, into) != nil { // the error may tell what it was
		return fmt.Errorf("%w: no JSON of its API at %s", errGarbage, path)
	}
	return nil
}

// text is the beginning of a page, whatever its status.
func (c *caller) text(ctx context.Context, path string) (string, error) {
	resp, err := c.do(ctx, http.MethodGet, path, nil, nil)
	var refused *statusError
	if errors.As(err, &refused) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxSaid))
	if err != nil {
		return "", errors.New(clean(err.Error()))
	}
	return string(b), nil
}

// stream asks for an answer that comes in pieces and has read take them, then
// leaves the connection as it can be used again, if it can.
func (c *caller) stream(ctx context.Context, path string, body any, a *answer, kinds []string, read func(*lines) error) error {
	resp, err := c.do(ctx, http.MethodPost, path, body, a.texts)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if !slices.Contains(kinds, kind) {
		return fmt.Errorf("%w: %s instead of %s", errGarbage, clean(kind), strings.Join(kinds, " or "))
	}
	if err := read(&lines{r: bufio.NewReaderSize(resp.Body, 32<<10), left: maxStream}); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("the connection ended in the middle of the answer")
		}
		return err
	}
	a.watch.Stop()
	late := time.AfterFunc(drainTimeout, func() { resp.Body.Close() })
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	late.Stop()
	return nil
}
