package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// asker gets a node's answers.
type asker struct {
	client *http.Client
	key    string
}

// errOther says that something answers that is no node.
var errOther = errors.New("what answers there is no node")

// errStatus is a node's answer that is not 200.
type errStatus int

func (e errStatus) Error() string { return fmt.Sprintf("it answered %d", int(e)) }

// newAsker asks through the proxy of the environment, as other commands do, or without
// one.
func newAsker(key string, proxy bool) *asker {
	t := &http.Transport{DisableKeepAlives: true}
	if proxy {
		t.Proxy = http.ProxyFromEnvironment
	}
	return &asker{&http.Client{Transport: t, Timeout: askTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, key}
}

// get reads a JSON answer. An answer that is none is errOther.
func (a *asker) get(ctx context.Context, base, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+path, nil)
	if err != nil {
		return err
	}
	if a.key != "" {
		req.Header.Set("Authorization", "Bearer "+a.key)
	}
	resp, err := a.client.Do(req)
	if u := (*url.Error)(nil); errors.As(err, &u) {
		if err = u.Err; u.Timeout() {
			return fmt.Errorf("no answer within %v", askTimeout)
		} // else without the URL, which is said beside it
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errStatus(resp.StatusCode)
	}
	if json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into) != nil {
		return errOther
	}
	return nil
}

// isRefused tells whether a node wants a key, or another one.
func isRefused(err error) bool {
	return errors.Is(err, errStatus(http.StatusUnauthorized)) || errors.Is(err, errStatus(http.StatusForbidden))
}

// hostOf is the host of a base URL.
func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// portOf is the port of a base URL.
func portOf(base string) int {
	u, err := url.Parse(base)
	if err != nil {
		return 0
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	n, _ := strconv.Atoi(port)
	return n
}
