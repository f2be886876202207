package nodetest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Do sends a request and reads the whole answer. Header has names and values in turn;
// "Host" is the host that is asked for. The test ends if no answer comes.
func Do(t testing.TB, method, url, body string, header ...string) (status int, h http.Header, text string) {
	t.Helper()
	resp := send(t.Context(), t, method, url, body, header)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// Open sends a request as Do does and returns when the answer begins, for those that
// are read as they come. The end of ctx ends it; the end of the test closes its body.
func Open(ctx context.Context, t testing.TB, method, url, body string, header ...string) *http.Response {
	t.Helper()
	resp := send(ctx, t, method, url, body, header)
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func send(ctx context.Context, t testing.TB, method, url, body string, header []string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
