package upstream

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"omx/node/engine/enginetest"
	"omx/node/nodetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server until the test ends.
func serve(t testing.TB, h http.Handler) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

// start runs an upstream of the server and waits until it can be used.
func start(t testing.TB, cfg Config) *Upstream {
	t.Helper()
	u := begin(t, cfg)
	eventually(t, "the upstream can be used", func() bool { all := u.Models(); return len(all) > 0 && all[0].Err == "" })
	return u
}

func begin(t testing.TB, cfg Config) *Upstream {
	t.Helper()
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	def(&cfg.Timeouts.Every, 20*time.Millisecond)
	u, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	if err := u.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return u
}

var (
	id         = nodetest.Model
	eventually = nodetest.Eventually
	status     = enginetest.Status
	ask        = enginetest.Ask
	answerOf   = enginetest.Answer
)
